"""Updates that are recorded and replayed train as plain ones do.

On the CPU a tape of torch's operations stands for CUDA's graphs. As with them recording changes nothing, and a replay
repeats operations on the same memory without any Python: a number worked out on the host would be baked in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganlab.errors import GanlabError
from ganlab.recipe import LoadedRecipe
from ganlab.track.folder import RunFolder
from ganlab.train.capture import obstacle_to_capture, obstacle_to_whole
from ganlab.train.graphs import WARM_UP, GraphRecording
from ganlab.train.prepare import prepare
from ganlab.train.ranks import ALONE, Ranks
from ganlab.train.state import checkpoints
from ganlab.train.tensors import read_tensors
from ganlab.train.trainer import Trainer

from . import tiny as runs
from .tiny import assert_equal_runs, quiet, train_all, train_in_pieces

Found = TypeVar("Found")


SHORT = ("run.images=176", "data.resolution=8")
"""A level alone, then one that is faded in and trained alone."""
LABELLED = ("data={name='synthetic', classes=3, resolution=8, labels=true}", "regularizers=['ac-gan']")


def tiny(folder: Path, *overrides: str) -> LoadedRecipe:
    """The tiny recipe, without the CPU's own replays."""
    return runs.tiny(folder, "run.replay=off", *overrides)


class Tape(TorchDispatchMode):
    """Records operations, and puts back afterwards what they changed of the tensors that were there before."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func._schema.is_mutable:
            for tensor in given:
                place = tensor.untyped_storage().data_ptr()
                if place not in self._made and place not in self._before:
                    whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
                    self._before[place] = (whole, whole.clone())
        result = func(*args, **kwargs)
        places = {tensor.untyped_storage().data_ptr() for tensor in given}
        new = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        fresh = [tensor for tensor in new if tensor.untyped_storage().data_ptr() not in places]
        self._made.update(tensor.untyped_storage().data_ptr() for tensor in fresh)
        self.operations.append((func, args, kwargs, fresh if len(fresh) == len(new) else []))
        return result

    def put_back(self) -> None:
        for whole, before in self._before.values():
            whole.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self.operations:
            again = [leaf for leaf in tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            for result, value in zip(results, again, strict=False):
                result.detach().copy_(value)


class TapeRecorder:
    """Stands for CUDA's graphs on the CPU, and counts."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.warmed = self.recorded = self.replayed = self.forgotten = 0
        self.told: list[str] = []
        self.refuses = refuses

    def begin(self, *, read_only: bool) -> GraphRecording:
        return GraphRecording(self)

    def warm_up(self, work: Callable[[], Found]) -> Found:
        self.warmed += 1
        return work()

    def record(self, work: Callable[[], Found]) -> Callable[[], Found]:
        tape = Tape()
        with tape:
            found = work()
        with torch.no_grad():
            tape.put_back()
        if self.refuses:
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
        self.recorded += 1

        def replay() -> Found:
            self.replayed += 1
            tape.replay()
            return found

        return replay

    def forget(self) -> None:
        self.forgotten += 1


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context in which every training's updates are captured by a recorder."""

    @contextmanager
    def capturing(recorder: TapeRecorder) -> Iterator[list[str | None]]:
        reasons: list[str | None] = []
        original = Trainer.__attrs_post_init__

        def post_init(self: Trainer) -> None:
            original(self)
            reasons.append(self.capture(recorder, recorder.told.append))

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "__attrs_post_init__", post_init)
            yield reasons

    return capturing


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("updates.together=true", "discriminator.noise=multiplicative-noise", "loss=lsgan"),
        ("updates.discriminator_steps=2", "updates.clear_optimizer=false", "optimizer.beta1=0.5"),
        ("discriminator.weight_scaling=spectral", *LABELLED),
        (
            "regularizers=[{name='r1', gamma=9.0, gamma_end=1.0, gamma_images=150}]",
            "ema.half_life_images=40",
            "schedule.decay_images=150",
            "schedule.decay_to=0.1",
        ),
        ("loss=relativistic", "updates.discriminator_steps=2", "updates.clear_optimizer=false"),
    ],
    ids=[
        "in turn",
        "together, with noise that adapts",
        "several steps, moments kept",
        "power iteration, labels",
        "a penalty and rates that follow a cosine",
        "a generator that is shown reals",
    ],
)
def test_captured_training_has_the_bits_of_plain_training(
    tmp_path: Path, captured: Callable[..., Any], overrides: tuple[str, ...]
) -> None:
    loaded = tiny(tmp_path, *SHORT, *overrides)
    plain = train_all(loaded, tmp_path / "plain")
    recorder = TapeRecorder()
    with captured(recorder) as reasons:
        assert_equal_runs(plain, train_all(loaded, tmp_path / "captured"))
    assert reasons == [None]
    kinds = 1 if "updates.together=true" in overrides else 2
    # At 4x4, and at 8x8 in its fade and alone; with several steps there are too few updates of the generator for all.
    assert recorder.recorded >= kinds * (2 if "updates.discriminator_steps=2" in overrides else 3)
    assert recorder.warmed >= recorder.recorded * WARM_UP
    assert recorder.replayed > recorder.recorded


def test_a_captured_run_may_be_stopped_and_gone_on_with(tmp_path: Path, captured: Callable[..., Any]) -> None:
    loaded = tiny(tmp_path, *SHORT)
    plain = train_all(loaded, tmp_path / "plain")
    with captured(TapeRecorder()):
        pieces = train_in_pieces(loaded, tmp_path / "pieces", [40, 104])
    assert_equal_runs(plain, pieces)


def test_a_learning_rate_that_changes_within_a_level_reaches_the_replays(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    recorder = TapeRecorder()
    weights = []
    for name in ("plain", "captured"):
        folder = RunFolder.create(tmp_path / name)
        trainer = prepare(loaded, folder, fresh=True, say=quiet)
        if name == "captured":
            assert trainer.capture(recorder, recorder.told.append) is None
        for number in range(8):  # all of them at 4x4
            stage = trainer.schedule.at(number * 8)
            stage = attrs.evolve(stage, discriminator_learning_rate=0.001 / (1 + number))
            trainer.update_discriminator(stage, number * 8)
        trainer.feed.close()
        weights.append([p.detach().clone() for p in trainer.players.discriminator.parameters()])
    assert recorder.replayed == 8 - WARM_UP
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_what_cannot_be_captured_is_done_as_usual_and_said_once(tmp_path: Path, captured: Callable[..., Any]) -> None:
    loaded = tiny(tmp_path, "run.images=80")
    plain = train_all(loaded, tmp_path / "plain")
    recorder = TapeRecorder(refuses=True)
    with captured(recorder):
        assert_equal_runs(plain, train_all(loaded, tmp_path / "captured"))
    assert recorder.told == ["operation not permitted when stream is capturing"]


def test_graphs_do_not_outlive_what_they_were_recorded_for(tmp_path: Path) -> None:
    trainer = prepare(tiny(tmp_path), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    recorder = TapeRecorder()
    assert trainer.capture(recorder, recorder.told.append) is None
    first, faded = trainer.schedule.at(0), trainer.schedule.at(96)
    assert first.resolution != faded.resolution
    for _ in range(WARM_UP + 1):
        trainer.update_discriminator(first, 0)
    assert (recorder.recorded, recorder.forgotten) == (1, 0)
    trainer.update_discriminator(faded, 96)
    assert recorder.forgotten == 1
    for _ in range(WARM_UP):
        trainer.update_discriminator(faded, 96)
    assert recorder.recorded == 2
    trainer.clear_optimizers()
    assert recorder.forgotten == 2
    trainer.feed.close()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("run.micro_batches=2", "run.micro_batches is not 1"),
        ("run.compile=true", "run.compile is true"),
        ("run.precision=float16", "float16 scales its losses"),
    ],
)
def test_what_a_run_cannot_have_captured_is_said(tmp_path: Path, override: str, reason: str) -> None:
    assert obstacle_to_capture(tiny(tmp_path, override).recipe, ALONE) == reason


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("ema={half_life_images=40, rampup_images=80}", "ema.rampup_images is set"),
        ("optimizer={beta2_end=0.9, beta2_images=80}", "the optimizer's settings change"),
    ],
)
def test_whose_losses_and_gradients_only_can_be_is_said(tmp_path: Path, override: str, reason: str) -> None:
    recipe = tiny(tmp_path, override).recipe
    assert obstacle_to_capture(recipe, ALONE) is None
    assert obstacle_to_whole(recipe) == reason


def test_several_ranks_are_an_obstacle(tmp_path: Path) -> None:
    recipe = tiny(tmp_path).recipe
    assert obstacle_to_capture(recipe, Ranks(rank=1, size=2)) == "there are several ranks"
    assert obstacle_to_capture(recipe, ALONE) is None


@pytest.mark.parametrize("override", ["optimizer=sgd", "optimizer.epsilon_placement=corrected"])
def test_an_optimizer_that_does_not_offer_it_is_one(tmp_path: Path, override: str) -> None:
    trainer = prepare(tiny(tmp_path, override), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    assert trainer.capture(TapeRecorder(), print) == "the optimizer does not offer it"
    trainer.feed.close()


def test_graphs_on_the_cpu_are_refused_in_one_line(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.device=cpu", "run.cuda_graphs=on")
    with pytest.raises(GanlabError, match=r"run\.cuda_graphs: on: needs a CUDA device, not cpu; use 'auto' or 'off'"):
        prepare(loaded, RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)


@pytest.mark.gpu
@pytest.mark.parametrize("overrides", [(), ("updates.together=true",), ("run.precision=bfloat16",)])
def test_cuda_graphs_train_as_plain_updates_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    replays = [0]
    original = torch.cuda.CUDAGraph.replay

    def replay(self: torch.cuda.CUDAGraph) -> None:
        replays[0] += 1
        original(self)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", replay)
    common = ("run.device=cuda", "run.precision=float32", *overrides)
    plain = train_all(tiny(tmp_path, *common), tmp_path / "plain")
    assert replays == [0]
    graphs = train_all(tiny(tmp_path / "other", *common, "run.cuda_graphs=on"), tmp_path / "graphs")
    assert replays[0] > 20
    one, other = (read_tensors(checkpoints(folder.checkpoints)[-1]) for folder in (plain, graphs))
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-3, msg=name)
