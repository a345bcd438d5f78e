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
from ganlab.train.replay import AS_USUAL, UNSEEN, WARM_UP, CpuRecording
from ganlab.train.tape import Tape

from .tiny import assert_equal_runs, quiet, tiny, train_all, train_in_pieces

SHORT = ("run.images=176", "data.resolution=8")
LABELLED = ("data={name='synthetic', classes=3, resolution=8, labels=true}", "regularizers=['ac-gan']")


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Grows with each replay."""
    done: list[str] = []
    make = replay._Replay.outcome

    def counting(self: Any) -> Any:
        done.append("replay")
        return make(self)

    monkeypatch.setattr(replay._Replay, "outcome", counting)
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
    assert len(replays) >= (4 if "updates.discriminator_steps=2" in overrides else 7)


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
    before = AS_USUAL + 2
    for number in range(before):
        trainer.update_discriminator(stage, 8 * number)
    with torch.no_grad():
        for parameter in trainer.players.discriminator.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(
        TrainingFailed, match=f"loss/discriminator is not finite in the step that began at {8 * before}"
    ):
        trainer.update_discriminator(stage, 8 * before)
    assert len(replays) == (3 if replayed == "on" else 0)
    trainer.close()


# -- single kinds of work ------------------------------------------------------------------------------------------


class Walk(nn.Module):
    """A small network that learns, in whichever way `work` says."""

    kept: Tensor

    def __init__(self, work: Callable[[Walk], Any]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.images = torch.empty(4, 6, 8, 8)
        self.network = nn.Conv2d(6, 6, 3, padding=1)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 8)
        self.register_buffer("kept", torch.zeros(6))
        self.square = torch.arange(9.0).reshape(3, 3)
        self.sparse = torch.eye(8).to_sparse()
        self.count = 0
        self.shown = 0
        self.work = work

    def step(self) -> Any:
        """What `work` finds; it is added to the weights, so that one step depends on those before."""
        found = self.work(self)
        with torch.no_grad():
            self.network.bias.add_(found.mean() * 0.1)
        return {"found": found, "text": "kept"}

    def many(self, recording: CpuRecording | None, count: int = AS_USUAL + 3) -> list[Tensor]:
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


def _running(walk: Walk) -> Tensor:
    return F.batch_norm(walk.images, walk.kept, walk.square.view(-1)[:6], training=True, momentum=0.3)


def _running_alone(walk: Walk) -> Tensor:
    F.batch_norm(walk.images, walk.kept, walk.square.view(-1)[:6], training=True, momentum=0.3)
    return walk.images + 1


def _constants(walk: Walk) -> Tensor:
    out = walk.images[:, [0, 2]] * torch.tensor([1e-45, 3.0]).view(2, 1, 1) * True
    return out + out.new_tensor(2.0) + torch.full((), True)


def _attending(walk: Walk) -> Tensor:
    flat = walk.images.flatten(2)
    return F.scaled_dot_product_attention(flat, flat, flat)


def _without_modes(walk: Walk) -> Tensor:
    with torch.inference_mode():
        walk.kept.lerp_(walk.images.mean((0, 2, 3)), 0.5)
    return walk.kept + 0.0


def _strided(walk: Walk) -> Tensor:
    return walk.images.flatten()[::2]


@pytest.mark.parametrize(
    "work",
    [
        *(
            _backward,
            _kept,
            _listed,
            _without_arguments,
            _indexed,
            _many_at_once,
            _complex,
            _half,
            _running,
            _constants,
        ),
        *(_attending, _without_modes, _strided),
    ],
    ids=lambda work: work.__name__,
)
def test_operations_of_all_sorts_are_replayed_to_the_bit(work: Callable[[Walk], Any], replays: list[str]) -> None:
    walk = Walk(work)
    recording = CpuRecording([walk])
    replayed = walk.many(recording)
    assert recording.refused is None
    assert len(replays) == 3
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


def _by_array(walk: Walk) -> Tensor:
    return walk.images * float(np.asarray(walk.images).mean())


def _later(walk: Walk) -> Tensor:
    return walk.images * (2.0 if walk.images[0, 0, 0].tolist()[0] < -2.0 else 1.0)


def _rebound_unread(walk: Walk) -> Tensor:
    walk.kept = walk.images.mean((0, 2, 3))
    return walk.images.mean()


def _data_set(walk: Walk) -> Tensor:
    walk.kept.data = walk.images.mean((0, 2, 3))
    return walk.kept * 2


def _by_turns(walk: Walk) -> Tensor:
    walk.count += 1
    found = walk.images.mean(), walk.images.sum()
    return found[walk.count % 2]


def _told(walk: Walk) -> Tensor:
    walk.network.weight.requires_grad_(walk.count < WARM_UP + 1)
    walk.count += 1
    return walk.images.mean() * (1 + walk.count // (WARM_UP + 2))


def _other_way(walk: Walk) -> Tensor:
    with torch.no_grad():  # under a tape torch takes another way to singular values
        return torch.linalg.matrix_norm(walk.images[:, 0].contiguous(), 2)


def _transposed(walk: Walk) -> Tensor:
    return walk.square.t_() + walk.images.mean()


def _sparse(walk: Walk) -> Tensor:
    return torch.sparse.mm(walk.sparse, walk.images[0, 0]).contiguous()


def _conditional(walk: Walk) -> Tensor:
    with torch.no_grad():
        found = torch.ops.higher_order.cond(walk.images.mean() > 0, torch.sin, torch.cos, (walk.images,))
    return found[0] if isinstance(found, tuple) else found


def _rebound(walk: Walk) -> Tensor:
    walk.kept = walk.kept * 0.5 + walk.images.mean((0, 2, 3))
    return walk.kept + 1.0


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (_random, "aten.rand.generator draws random numbers of its own"),
        (_number, "aten._local_scalar_dense.default takes a number out of a tensor"),
        (_sized, "aten.nonzero.default makes a tensor whose size depends on numbers"),
        (_masked, "aten.index.Tensor makes a tensor whose size depends on numbers"),
        (_counting, "aten.mul.Tensor is not called with the same each time"),
        (_now_and_then, UNSEEN),
        (_one_more, "is not called with the same each time"),
        (_by_numpy, "numpy() takes numbers out of a tensor"),
        (_by_lists, "tolist() takes numbers out of a tensor"),
        (_by_array, "takes numbers out of a tensor"),
        (_later, "tolist() takes numbers out of a tensor"),
        (_rebound, "a component keeps a tensor of an update that is not in place"),
        (_rebound_unread, "a component keeps a tensor of an update that is not in place"),
        (_data_set, "a tensor's `data` is set"),
        (_by_turns, UNSEEN),
        (_told, "aten.mul.Tensor is not called with the same each time"),
        (_other_way, UNSEEN),
        (_transposed, "the shape or the memory of a tensor is changed in place"),
        (_sparse, "a tensor is a tensor of torch.sparse_coo"),
        (_conditional, "cond is no single operation"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_the_same_each_time_is_left_to_python(
    work: Callable[[Walk], Any], reason: str, replays: list[str]
) -> None:
    walk = Walk(work)
    recording = CpuRecording([walk])
    found = [each for _ in range(AS_USUAL + 3) for each in walk.many(recording, 1)]
    assert recording.refused is not None
    assert reason in recording.refused
    other = Walk(work)
    expected = [each for _ in range(AS_USUAL + 3) for each in other.many(None, 1)]
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))
    assert replays == []


def test_an_error_while_an_update_is_watched_comes_out_and_is_forgotten(replays: list[str]) -> None:
    walk, broken = Walk(_backward), [False]
    recording = CpuRecording([walk])

    def work() -> Any:
        if broken[0]:
            raise KeyboardInterrupt
        return walk.step()

    walk.images.fill_(0.5)
    recording.do(work)
    for _ in range(AS_USUAL - 1):
        broken[0] = True
        with pytest.raises(KeyboardInterrupt):
            recording.do(work)
        broken[0] = False
        recording.do(work)
    assert replays == []
    recording.do(work)
    assert replays == ["replay"]


def test_what_is_written_without_being_said_is_done_once(replays: list[str]) -> None:
    """`aten.native_batch_norm` does not say that it writes to running statistics, and nothing here uses its result."""
    walk, plain = Walk(_running_alone), Walk(_running_alone)
    recording = CpuRecording([walk])
    for one, other in zip(plain.many(None), walk.many(recording), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(plain.square, walk.square)


def test_a_component_that_draws_finds_the_numbers_it_would_have_found() -> None:
    def drawing(walk: Walk) -> Tensor:
        return walk.images * torch.rand(())

    found = []
    for replayed in (False, True):
        torch.manual_seed(3)
        walk = Walk(drawing)
        found.append(walk.many(CpuRecording([walk]) if replayed else None))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_an_error_in_a_replay_says_what_and_where_to_look() -> None:
    def inverse(walk: Walk) -> Tensor:
        return torch.linalg.inv(walk.images[0, 0] * 0 + torch.eye(8) * walk.kept[0])

    walk = Walk(inverse)
    walk.kept.fill_(2.0)
    recording = CpuRecording([walk])
    walk.many(recording)
    walk.kept.zero_()
    with pytest.raises(RuntimeError, match=r"singular.*in a replayed update; run\.replay = 'off' tells where"):
        walk.many(recording)


def test_a_component_that_compiles_itself_goes_on_doing_so(replays: list[str]) -> None:
    frames: list[str] = []

    def backend(graph: torch.fx.GraphModule, example: list[Tensor]) -> Callable[..., Any]:
        def run(*inputs: Tensor) -> Any:
            frames.append("compiled")
            return graph.forward(*inputs)

        return run

    function = torch.compile(lambda x: x.sin() * 2, backend=backend)
    walk = Walk(lambda walk: function(walk.images))
    recording = CpuRecording([walk])
    walk.many(recording)
    assert recording.refused == "a component has torch.compile, which does not work where somebody watches"
    assert len(frames) == AS_USUAL + 3
    assert replays == []


def test_what_a_recording_found_first_is_let_go(replays: list[str]) -> None:
    walk = Walk(_backward)
    recording = CpuRecording([walk])
    first = [weakref.ref(recording.do(walk.step)["found"]) for _ in range(AS_USUAL)]
    gc.collect()
    assert [ref() for ref in first] == [None] * len(first)
    recording.do(walk.step)
    assert replays == ["replay"]


def test_a_tape_keeps_nothing_alive_that_operations_make_and_undoes_what_they_do() -> None:
    tape = Tape()
    given = torch.ones(3)
    with tape.watching():
        made = given * 2
        made += given
        gone = weakref.ref(made)
        given[1:].mul_(5.0)
        del made
        gc.collect()
        assert gone() is None
        after = given * 4
        assert after.tolist() == [4.0, 20.0, 20.0]
        assert not tape.kept_from([after])
        assert tape.kept_from([])
    assert tape.obstacle == "tolist() takes numbers out of a tensor"
    assert [str(call.results) for call in tape.calls] == ["(%0,)", "(%0,)", "(%1,)", "(%1,)", "(%2,)"]
    assert given.tolist() == [1.0, 1.0, 1.0]
    assert repr(tape.ref(after)) == "%2"
    assert [len(memory) for memory in tape.memories()] == [12]
