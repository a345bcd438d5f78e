"""Two halves of a discriminator update at once give the numbers of one after the other, the same bits each time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from ganlab.interfaces import Critique
from ganlab.recipe.digest import digest
from ganlab.track.folder import RunFolder
from ganlab.train.lane_choice import LITTLE, pass_operations, suits
from ganlab.train.lanes import Awaited, Lane
from ganlab.train.prepare import prepare
from ganlab.train.step import Passes, plain_passes
from ganlab.train.trainer import Trainer

from .test_step import CPU, VARIANTS, assert_same, outcomes, setup, with_strength
from .tiny import assert_equal_runs, quiet, tiny, train_all, train_in_pieces

MORE = {
    **VARIANTS,
    "r1 and r2": ("loss=relativistic", "regularizers=['r1', 'r2']"),
    "recomputed": ("run.recompute_from=8",),
}


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane(1)
    yield made
    made.close()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Whatever the machine has; tests take one otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_two(lane: Lane) -> Passes:
    return plain_passes()._replace(lane=lane)


@pytest.mark.parametrize("variant", MORE)
def test_two_lanes_give_what_one_gives(tmp_path: Path, variant: str, lane: Lane) -> None:
    players, reals, _, level = setup(tmp_path, *MORE[variant])
    with_strength(players)
    used = []
    begin = lane.begin
    lane.begin = lambda work, *given, **named: (used.append(work), begin(work, *given, **named))[1]  # type: ignore[method-assign]  # counted
    assert_same(outcomes(players, reals, level, in_two(lane)), outcomes(players, reals, level))
    assert len(used) == 2


@pytest.mark.parametrize("variant", ["wgan-gp", "r1", "discrimination"])
def test_the_bits_are_the_same_each_time_whichever_thread_is_first(
    tmp_path: Path, variant: str, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    players, reals, _, level = setup(tmp_path, *MORE[variant])
    pauses = [0.0, 0.02] * 4

    begin = lane.begin

    def begin_late(work: Any, *given: Any, **named: Any) -> Any:
        begin(time.sleep, pauses.pop())
        return begin(work, *given, **named)

    first, *others = [outcomes(players, reals, level, in_two(lane))[0] for _ in range(6)]
    monkeypatch.setattr(lane, "begin", begin_late)
    others += [outcomes(players, reals, level, in_two(lane))[0] for _ in range(4)]
    for other in others:
        assert torch.equal(first.loss, other.loss)
        for a, b in zip(first.gradients, other.gradients, strict=True):
            assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]  # both are tensors here


def trainer_of(folder: Path, *overrides: str) -> Trainer:
    return prepare(
        tiny(folder, "run.threads=2", "run.replay=off", *overrides),
        RunFolder.create(folder / "run"),
        fresh=True,
        say=quiet,
    )


def lane_taken(trainer: Trainer) -> bool:
    stage = trainer.schedule.at(0)
    trainer.update_discriminator(stage, 0)
    trainer.update_generator(stage, stage.minibatch)
    trainer.close()
    return trainer._passes.lane is not None


WIDE = ("generator.widths=[128, 8, 8]", "discriminator.widths=[128, 8, 8]", "schedule.minibatch=256")


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("overrides", "taken"),
    [
        ((), True),
        (("run.lanes=two",), True),
        (("run.lanes=one",), False),
        (("run.replay=auto",), False),
        (("run.replay=auto", "run.lanes=two"), True),
        (("run.threads=1", "run.lanes=two"), False),
        (("loss=lsgan",), False),  # asks for nothing beside scores
        (("loss=lsgan", "regularizers=['r1']"), True),
        (("discriminator.normalization=batch",), False),  # judges reals and fakes one after the other
        (("generator.widths=[128, 8, 8]", "discriminator.widths=[128, 8, 8]", "schedule.minibatch=256"), False),
        (
            (
                "generator.widths=[128, 8, 8]",
                "discriminator.widths=[128, 8, 8]",
                "schedule.minibatch=256",
                "run.lanes=two",
            ),
            True,
        ),
    ],
)
def test_who_has_two_lanes(tmp_path: Path, overrides: tuple[str, ...], taken: bool) -> None:
    assert lane_taken(trainer_of(tmp_path, *overrides)) == taken


def test_a_look_at_a_minibatch_is_counted_as_it_is_done(tmp_path: Path) -> None:
    players, *_ = setup(tmp_path)
    (pair,) = players.pairs
    assert suits(players)
    # 4x4: fromRGB 3 -> 8; 3x3 from 8 features and the deviation to 8; dense to 8; scores.
    by_hand = 2 * (16 * 3 * 8 + 16 * 9 * 9 * 8 + 16 * 8 * 8 + 8)
    assert pass_operations(pair, 3, 4, 8, CPU) == 8 * by_hand < LITTLE
    assert pass_operations(pair, 3, 16, 8, CPU) > 4 * 8 * by_hand


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_operations_are_counted_in_the_precision_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """What a convolution does may depend on it."""
    seen: list[bool] = []

    def counted(*_: object) -> int:
        seen.append(torch.is_autocast_enabled("cpu"))
        return 0

    monkeypatch.setattr("ganlab.train.lane_choice.pass_operations", counted)
    assert lane_taken(trainer_of(tmp_path, f"run.precision={precision}"))
    assert set(seen) == {precision == "bfloat16"}


@pytest.mark.usefixtures("two_threads")
def test_runs_in_two_lanes_repeat_and_resume_bit_for_bit(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.threads=2", "run.lanes=two", "augmentation=diffaugment")
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [130, 250]))


def test_a_run_may_go_on_in_another_number_of_lanes(tmp_path: Path) -> None:
    one, two = (tiny(tmp_path, "run.threads=2", f"run.lanes={lanes}") for lanes in ("one", "two"))
    assert digest(one.plain()) == digest(two.plain())


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_is_to_be_done_meanwhile_begins_before_gradients(tmp_path: Path, lanes: int, lane: Lane) -> None:
    players, reals, _, level = setup(tmp_path)
    events: list[str] = []
    for parameter in players.discriminator.parameters():
        parameter.register_hook(lambda gradient: events.append("gradient"))
    passes = (in_two(lane) if lanes == 2 else plain_passes())._replace(meanwhile=lambda: events.append("meanwhile"))
    outcomes(players, reals, level, passes)
    assert events.count("meanwhile") == 1
    assert events.index("meanwhile") == 0 < events.count("gradient")


class Broken(Exception):
    """On purpose."""


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("where", ["the loss", "the lane"])
def test_an_error_in_either_comes_out_and_leaves_nothing_running(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(tmp_path)
    (pair,) = trainer.players.pairs
    running: list[int] = []
    forward = type(pair.discriminator).forward

    def slow(module: Any, *given: Any, **named: Any) -> Any:
        if not threading.current_thread().name.startswith("ganlab-lane"):
            return forward(module, *given, **named)
        if where == "the lane":
            raise Broken
        running.append(1)
        time.sleep(0.2)
        found = forward(module, *given, **named)
        running.pop()
        return found

    def failing(_: Any) -> Any:
        raise Broken

    stage = trainer.schedule.at(0)
    trainer.update_discriminator(stage, 0)
    monkeypatch.setattr(type(pair.discriminator), "forward", slow)
    if where == "the loss":
        monkeypatch.setattr(pair.loss, "discriminator", failing)
    with pytest.raises(Broken):
        trainer.update_discriminator(stage, stage.minibatch)
    assert running == []
    assert torch.get_num_threads() == 2
    monkeypatch.undo()
    trainer.update_discriminator(stage, stage.minibatch)  # as if nothing had been
    trainer.close()


@pytest.mark.usefixtures("two_threads")
def test_operations_take_half_of_the_threads_in_either_lane_and_all_of_them_afterwards(lane: Lane) -> None:
    with lane.halved():
        assert torch.get_num_threads() == 1
        assert lane.begin(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == 2


def test_scores_are_cut_off_from_how_they_came_about(lane: Lane) -> None:
    x = torch.ones(3, requires_grad=True)
    awaited = Awaited(lane.begin(lambda: (Critique(x * 2, None), Critique(x * 3, x * 4))))
    real, fake = awaited.critiques()
    assert awaited.critiques()[0] is real
    assert real.label_logits is None
    assert fake.label_logits is not None
    assert [leaf.grad_fn for leaf in awaited.leaves] == [None] * 3
    assert all(leaf.requires_grad for leaf in awaited.leaves)
    assert [float(found.detach()[0]) for found in awaited.results] == [2, 3, 4]


def test_a_layer_that_holds_works_its_weight_out_once_for_two_threads(tmp_path: Path, lane: Lane) -> None:
    players, *_ = setup(tmp_path)
    layer = players.lists["discriminator"].holders[0]
    worked_out: list[int] = []
    scaling = layer.scaling.forward

    def slow(weight: torch.Tensor) -> torch.Tensor:
        worked_out.append(1)
        time.sleep(0.05)
        return scaling(weight)

    layer.scaling.forward = slow
    layer.hold()
    there = lane.begin(layer.current_weight)
    assert layer.current_weight() is there.result()
    layer.release()
    assert worked_out == [1]


def test_a_system_of_several_pairs_has_one_lane(tmp_path: Path) -> None:
    players, *_ = setup(tmp_path)
    (pair,) = players.pairs
    assert not suits(attrs.evolve(players, pairs=(pair, pair)))
