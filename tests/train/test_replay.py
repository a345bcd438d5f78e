"""Updates that are replayed on the CPU are those that Python would do, to the bit, or are left to Python."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import TrainingFailed
from ganlab.recipe import digest
from ganlab.track.folder import RunFolder
from ganlab.train import replay
from ganlab.train.prepare import prepare
from ganlab.train.replay import WARM_UP, CpuRecording
from ganlab.train.tape import Tape

from .tiny import assert_equal_runs, quiet, tiny, train_all, train_in_pieces

SHORT = ("run.images=176", "data.resolution=8")
LABELLED = ("data={name='synthetic', classes=3, resolution=8, labels=true}", "regularizers=['ac-gan']")


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Grows with each replay."""
    done: list[str] = []
    make = replay._replay_of

    def counting(*arguments: Any) -> Callable[[], Any]:
        made = make(*arguments)

        def again() -> Any:
            done.append("replay")
            return made()

        return again

    monkeypatch.setattr(replay, "_replay_of", counting)
    return done


# -- whole runs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("run.precision=bfloat16",),
        ("updates.together=true", "discriminator.noise=multiplicative-noise", "loss=lsgan"),
        ("updates.discriminator_steps=2", "updates.clear_optimizer=false", "optimizer.beta1=0.5"),
        ("discriminator.weight_scaling=spectral", *LABELLED),
        (
            "regularizers=[{name='r1', gamma=9.0, gamma_end=1.0, gamma_images=150}]",
            "schedule.decay_images=150",
            "schedule.decay_to=0.1",
        ),
        ("loss=relativistic", "regularizers=['r1', 'r2']", "augmentation=diffaugment"),
        ("discriminator.normalization=batch", "generator.normalization=batch", "loss=non-saturating"),
        ("loss={name='wgan', clip=0.01}",),
        ("run.recompute_from=8",),
        ("optimizer=sgd",),
        ("optimizer.epsilon_placement=corrected",),
        ("ema={half_life_images=40, rampup_images=80}",),
        ("optimizer={beta2_end=0.9, beta2_images=80}",),
    ],
    ids=lambda overrides: " ".join(overrides)[:60] or "as it is",
)
def test_a_replayed_run_has_the_bits_of_one_without(
    tmp_path: Path, overrides: tuple[str, ...], replays: list[str]
) -> None:
    plain = train_all(tiny(tmp_path, *SHORT, *overrides, "run.replay=off"), tmp_path / "plain")
    assert replays == []
    told: list[str] = []
    loaded = tiny(tmp_path, *SHORT, *overrides, "run.replay=on")
    assert said_of(loaded, tmp_path / "said", told) == ["replay: updates are replayed"]
    assert_equal_runs(plain, train_all(loaded, tmp_path / "replayed"))
    assert len(replays) >= (8 if "updates.discriminator_steps=2" in overrides else 10)


def said_of(loaded: Any, path: Path, told: list[str]) -> list[str]:
    """What is said of replays before a run begins."""
    prepare(loaded, RunFolder.create(path), fresh=True, say=told.append).close()
    return [line for line in told if line.startswith("replay")]


def test_a_replayed_run_may_be_stopped_and_gone_on_with(tmp_path: Path, replays: list[str]) -> None:
    loaded = tiny(tmp_path)
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [130, 250]))
    assert replays


def test_a_run_may_go_on_with_or_without_replays() -> None:
    one, two = ({"run": {"replay": each}} for each in ("on", "off"))
    assert digest(one) == digest(two)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("run.replay=on", "run.micro_batches=2"), ["replay: none, as run.micro_batches is not 1"]),
        (("run.replay=on", "run.lanes=two"), ["replay: none, as run.lanes is two"]),
        (("run.replay=auto", "run.lanes=two"), []),
        (("run.replay=auto",), []),
        (("run.replay=off",), []),
    ],
)
def test_what_is_in_the_way_is_said_to_who_asked(tmp_path: Path, overrides: tuple[str, ...], said: list[str]) -> None:
    assert said_of(tiny(tmp_path, *overrides), tmp_path / "run", []) == said


def test_a_torch_without_the_interpreter_trains_as_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "available", lambda: False)
    (line,) = said_of(tiny(tmp_path, "run.replay=on"), tmp_path / "run", [])
    assert line == f"replay: none, as torch {torch.__version__} has no interpreter"


def test_a_component_that_cannot_be_replayed_trains_as_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replays: list[str]
) -> None:
    from ganlab_losses.built.wasserstein import WassersteinLoss

    plain_loss = WassersteinLoss.generator

    def looking(self: Any, batch: Any) -> Any:
        assert batch.fake.scores.detach().mean().item() < 1e9
        return plain_loss(self, batch)

    monkeypatch.setattr(WassersteinLoss, "generator", looking)
    plain = train_all(tiny(tmp_path, *SHORT, "run.replay=off"), tmp_path / "plain")
    told: list[str] = []
    trainer = prepare(tiny(tmp_path, *SHORT), RunFolder.create(tmp_path / "some"), fresh=True, say=told.append)
    for number in range(WARM_UP + 2):
        trainer.update_discriminator(trainer.schedule.at(0), 8 * number)
        trainer.update_generator(trainer.schedule.at(0), 8 * number + 8)
    trainer.close()
    reason = "aten._local_scalar_dense.default takes a number out of a tensor"
    assert [line for line in told if line.startswith("replay")] == [f"replay: none, as {reason}"]
    assert_equal_runs(plain, train_all(tiny(tmp_path, *SHORT), tmp_path / "as usual"))
    assert replays == []


@pytest.mark.parametrize("replayed", ["on", "off"])
def test_a_loss_that_is_not_finite_ends_the_run_in_its_step(tmp_path: Path, replayed: str, replays: list[str]) -> None:
    loaded = tiny(tmp_path, f"run.replay={replayed}")
    trainer = prepare(loaded, RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    stage = trainer.schedule.at(0)
    for number in range(5):
        trainer.update_discriminator(stage, 8 * number)
    with torch.no_grad():
        for parameter in trainer.players.discriminator.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="loss/discriminator is not finite in the step that began at 40"):
        trainer.update_discriminator(stage, 40)
    assert len(replays) == (5 + 1 - WARM_UP - 2 if replayed == "on" else 0)
    trainer.close()


# -- single kinds of work ------------------------------------------------------------------------------------------


class Walk:
    """A small network that learns, in whichever way `work` says."""

    def __init__(self, work: Callable[[Walk], Any]) -> None:
        generator = torch.Generator().manual_seed(5)
        self.images = torch.empty(4, 6, 8, 8)
        self.network = nn.Conv2d(6, 6, 3, padding=1)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 8)
        self.kept = torch.zeros(6)
        self.count = 0
        self.shown = 0
        self.work = work

    def step(self) -> Any:
        """What `work` finds; it is added to the weights, so that one step depends on those before."""
        found = self.work(self)
        with torch.no_grad():
            self.network.bias.add_(found.mean() * 0.1)
        return {"found": found, "text": "kept"}

    def many(self, recording: CpuRecording | None, count: int = 7) -> list[Tensor]:
        """All that steps found and left behind."""
        all_found = []
        for _ in range(count):
            self.shown += 1
            self.images.copy_(torch.linspace(-1, self.shown, self.images.numel()).view_as(self.images).sin())
            found = self.step() if recording is None else recording.do(self.step)
            assert found["text"] == "kept"
            all_found.append(found["found"].clone())
        return [*all_found, self.network.bias.detach().clone(), self.kept.clone()]


def _backward(walk: Walk) -> Tensor:
    out = F.leaky_relu(walk.network(walk.images), 0.2)
    (inner,) = torch.autograd.grad(out.sum(), walk.network.weight, create_graph=True)
    (gradient,) = torch.autograd.grad(inner.square().sum(), walk.network.weight)
    return gradient


def _kept(walk: Walk) -> Tensor:
    walk.kept[1:4].mul_(0.5).add_(walk.images.mean((0, 2, 3))[1:4])
    return walk.kept + 0.0


def _listed(walk: Walk) -> Tensor:
    first, second, _ = walk.images.split([1, 2, 3], dim=1)
    values, places = walk.images.flatten(1).topk(3)
    return torch.cat([first.flatten(), second.std(dim=(0, 2)).flatten(), values.flatten(), places.flatten().float()])


def _without_arguments(walk: Walk) -> Tensor:
    out = F.batch_norm(walk.images, None, None, training=True)
    out = F.interpolate(F.layer_norm(out, [8, 8]), scale_factor=1.5, mode="bilinear")
    out = F.pad(F.avg_pool2d(out, 2), [1, 2, 0, 1], value=float("inf")).clamp(max=9.0)
    return out.to(torch.bfloat16, memory_format=torch.channels_last).to(torch.float64)


def _indexed(walk: Walk) -> Tensor:
    where = torch.arange(4).flip(0)
    out = walk.images[where, :, 2:5].clone()
    out[where, 1] = -1.0
    return torch.where(out > 0, out, torch.full_like(out, float("nan"))).nan_to_num(3.0).pow(2).norm(dim=(1, 2))


def _many_at_once(walk: Walk) -> Tensor:
    weights = [p.detach() for p in walk.network.parameters()]
    torch._foreach_mul_(weights, 0.9)
    torch._foreach_lerp_(weights, [torch.ones_like(each) for each in weights], 0.25)
    return torch.stack(torch._foreach_norm(weights))


def _complex(walk: Walk) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(walk.images) * 1j).imag.contiguous()


def _half(walk: Walk) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return _backward(walk)


@pytest.mark.parametrize(
    "work",
    [_backward, _kept, _listed, _without_arguments, _indexed, _many_at_once, _complex, _half],
    ids=lambda work: work.__name__,
)
def test_operations_of_all_sorts_are_replayed_to_the_bit(work: Callable[[Walk], Any], replays: list[str]) -> None:
    recording = CpuRecording()
    replayed = Walk(work).many(recording)
    assert recording.refused is None
    assert len(replays) == 7 - WARM_UP - 2
    for one, other in zip(Walk(work).many(None), replayed, strict=True):
        assert torch.equal(one, other)


def _random(walk: Walk) -> Tensor:
    return walk.images * torch.rand(1, generator=torch.Generator().manual_seed(walk.count))


def _number(walk: Walk) -> Tensor:
    return walk.images * walk.images.mean().item()


def _sized(walk: Walk) -> Tensor:
    return walk.images.mean() * walk.images.nonzero().shape[0]


def _counting(walk: Walk) -> Tensor:
    walk.count += 1
    return walk.images * walk.count


def _now_and_then(walk: Walk) -> Tensor:
    walk.count += 1
    return walk.images * 2.0 if walk.count % 2 else walk.images.square().sqrt()


def _one_more(walk: Walk) -> Tensor:
    walk.count += 1
    return walk.images if walk.count < WARM_UP + 2 else walk.images.square().sqrt()


def _by_numpy(walk: Walk) -> Tensor:
    return walk.images * torch.from_numpy(np.cos(walk.images.numpy()))


def _by_lists(walk: Walk) -> Tensor:
    return walk.images + walk.images[0, 0, 0].tolist()[3]


def _masked(walk: Walk) -> Tensor:
    return walk.images[walk.images > 0].sum()


def _rebound(walk: Walk) -> Tensor:
    walk.kept = walk.kept * 0.5 + walk.images.mean((0, 2, 3))
    return walk.kept + 1.0


def _unseen(walk: Walk) -> Tensor:
    found = walk.kept + walk.images.mean()
    walk.kept.numpy()[:] += 1.0
    return found


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (_random, "aten.rand.generator draws random numbers of its own"),
        (_number, "aten._local_scalar_dense.default takes a number out of a tensor"),
        (_sized, "aten.nonzero.default makes a tensor whose size depends on numbers"),
        (_masked, "aten.index.Tensor makes a tensor whose size depends on numbers"),
        (_counting, "aten.mul.Tensor is not called with the same each time"),
        (_now_and_then, "is not called with the same each time"),
        (_one_more, "is not called with the same each time"),
        (_by_numpy, "a tensor of shape [4, 6, 8, 8] is made anew each time without torch's operations"),
        (_by_lists, "aten.add.Tensor is not called with the same each time"),
        (_rebound, "a tensor of shape [6] is made anew each time without torch's operations"),
        (_unseen, "a component does more than torch sees, as the same operations come to other numbers"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_the_same_each_time_is_left_to_python(
    work: Callable[[Walk], Any], reason: str, replays: list[str]
) -> None:
    recording = CpuRecording()
    walk = Walk(work)
    found = []
    for number in range(7):
        found += walk.many(None if recording.refused else recording, 1) if number else walk.many(recording, 1)
    assert recording.refused is not None
    assert reason in recording.refused
    other = Walk(work)
    expected = [each for _ in range(7) for each in other.many(None, 1)]
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))
    assert replays == []


def test_an_error_while_an_update_is_watched_comes_out_and_is_forgotten(replays: list[str]) -> None:
    walk, recording, broken = Walk(_backward), CpuRecording(), [False]

    def work() -> Any:
        if broken[0]:
            raise KeyboardInterrupt
        return walk.step()

    walk.images.fill_(0.5)
    recording.do(work)
    recording.do(work)
    broken[0] = True
    with pytest.raises(KeyboardInterrupt):
        recording.do(work)
    broken[0] = False
    recording.do(work)
    assert replays == []
    recording.do(work)
    assert replays == ["replay"]


def test_a_tape_keeps_nothing_alive_that_operations_make() -> None:
    tape = Tape(saving=True)
    given = torch.ones(3)
    with tape:
        made = given * 2
        made += 1
        gone = weakref.ref(made)
        del made
        gc.collect()
        assert gone() is None
        after = given * 4
    assert [str(call.results) for call in tape.calls] == ["(%0,)", "(%0,)", "(%1,)"]
    assert tape.given == [given] or torch.equal(tape.given[0], given)
    assert repr(tape.ref(after)) == "%1"
    assert tape.saved() == []
