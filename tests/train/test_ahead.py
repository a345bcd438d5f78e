"""Draws are the same whether they were worked out ahead or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganlab.interfaces import Stage
from ganlab.randomness import Streams
from ganlab.track.folder import RunFolder
from ganlab.train.ahead import NUMBERS, PASSES, Ahead
from ganlab.train.draws import Draws, draw_pairs
from ganlab.train.events import UpdateDiscriminator, UpdateGenerator, events
from ganlab.train.prepare import prepare
from ganlab.train.trainer import Trainer

from .tiny import quiet, tiny


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=6), st.integers(0, 100))
def test_any_row_of_positions_is_answered(pieces: list[tuple[int, int]], start: int) -> None:
    ahead, position = Ahead(lambda at: at * at, lambda drawn: 1), start
    for distance, count in pieces:
        for _ in range(count):
            assert ahead.at(position) == position * position
            position += distance
    assert ahead.at(start) == start * start  # back again


def test_positions_at_equal_distances_are_drawn_once_and_many_at_a_time() -> None:
    drawn: list[int] = []
    ahead = Ahead(drawn.append, lambda _: 1)
    for position in range(0, 100 * PASSES, 100):
        ahead.at(position)
    assert drawn == list(range(0, 100 * PASSES + 100, 100))


@pytest.mark.parametrize(("numbers", "at_once"), [(NUMBERS // 4, 4), (NUMBERS, 1), (3 * NUMBERS, 1)])
def test_large_draws_are_drawn_fewer_at_a_time(numbers: int, at_once: int) -> None:
    drawn: list[int] = []
    ahead = Ahead(drawn.append, lambda _: numbers)
    for position in (0, 10):
        ahead.at(position)
    assert len(drawn) == 1 + at_once


def expected(trainer: Trainer, purpose: str, stage: Stage, images_shown: int) -> Draws:
    """A pass's draws, worked out when they are needed."""
    players = trainer.players
    return draw_pairs(
        Streams(trainer.recipe.run.seed),
        purpose,
        images_shown,
        minibatch=stage.minibatch,
        latent_size=players.generator.latent_size,
        chances=players.system.chances,
        wanted={pair.name: pair.wanted(stage.resolution) for pair in players.pairs},
        device=trainer.device,
        rows=trainer.sharing.rows,
    )


def expected_labels(trainer: Trainer, stage: Stage, images_shown: int) -> np.ndarray:
    source = Streams(trainer.recipe.run.seed).at("generator/labels", images_shown)
    indices = source.integers(0, trainer.feed.source.count, stage.minibatch)
    return trainer.feed.source.labels(indices if trainer.sharing.rows is None else indices[trainer.sharing.rows])


@pytest.mark.parametrize(
    "overrides",
    [(), ("updates.discriminator_steps=3",), ("run.micro_batches=2",), ("schedule.minibatches={4=16, 8=4}",)],
    ids=["in turn", "3 to 1", "divided", "other minibatches"],
)
def test_every_pass_of_a_run_has_the_draws_of_its_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    monkeypatch.setattr("ganlab.train.ahead.PASSES", 16)
    labelled = ("data.labels=true", 'regularizers=["ac-gan"]', "discriminator.noise=multiplicative-noise")
    loaded = tiny(tmp_path, *labelled, *overrides)
    trainer = prepare(loaded, RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    seen = 0
    for event in events(trainer.schedule, trainer.cadence, trainer.recipe.run.images):
        if not isinstance(event, UpdateDiscriminator | UpdateGenerator):
            continue
        purpose = "discriminator" if isinstance(event, UpdateDiscriminator) else "generator"
        trainer.sharing.enter(event.stage.minibatch)
        found = trainer._draws.of(purpose, event.stage, event.images_shown)
        wanted = expected(trainer, purpose, event.stage, event.images_shown)
        assert found.noise.keys() == wanted.noise.keys()
        assert found.uniform.keys() == wanted.uniform.keys()
        for one, other in zip(found.tensors(), wanted.tensors(), strict=True):
            assert torch.equal(one, other)
        if purpose == "generator":
            labels = trainer._draws.labels(event.stage, event.images_shown)
            assert labels is not None
            np.testing.assert_array_equal(labels.numpy(), expected_labels(trainer, event.stage, event.images_shown))
        seen += 1
    trainer.close()
    assert seen > 3 * 16
