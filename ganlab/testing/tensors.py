"""What the suites need of tensors: equal draws each time, comparisons that say what differs, derivatives checked."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from ganlab.testing.contract import expect
from ganlab.testing.randomness import no_draws

Tensors = Mapping[str, Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, float32, the same for a seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int = 0) -> Tensor:
    """Numbers in [0, 1), float32, the same for a seed."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def one_hot(count: int, classes: int) -> Tensor:
    """Labels `[count, classes]`, each class in turn."""
    return torch.eye(classes)[torch.arange(count) % classes]


def built(make: Callable[[], Any], seed: int) -> Any:
    """What `make` builds, its weights drawn as training draws them, with biases that are not 0 and gains not 1."""
    with no_draws("build()", torch_too=False), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make()
    if isinstance(made, nn.Module):
        with no_draws("initialize(draw)"):
            initialize(made, seed)
    return made


@torch.no_grad()
def initialize(module: nn.Module, seed: int) -> None:
    """Call every `initialize(draw)`, then shift each vector of parameters a little."""
    for name, part in module.named_modules():
        begin = getattr(part, "initialize", None)
        if begin is not None:
            begin(lambda key, shape, name=name: normal(*shape, seed=seed + _number(f"{name}/{key}")))
    for name, parameter in module.named_parameters():
        if parameter.ndim <= 1:
            parameter.add_(0.1 * normal(*parameter.shape, seed=seed + _number(name)))


def _number(text: str) -> int:
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text)) * 7919 % 1_000_003


def state_of(thing: Any) -> dict[str, Tensor]:
    """A copy of what a checkpoint would keep of it."""
    if not isinstance(thing, nn.Module):
        return {}
    return {name: value.detach().clone() for name, value in thing.state_dict().items()}


def addresses(thing: Any) -> dict[str, tuple[int, int]]:
    """Where the weights and buffers of a module are, by name: which tensor, and where in memory its numbers."""
    if not isinstance(thing, nn.Module):
        return {}
    kept = {**dict(thing.named_parameters()), **dict(thing.named_buffers())}
    return {name: (id(value), value.data_ptr()) for name, value in kept.items()}


def in_place(before: Mapping[str, tuple[int, int]], thing: Any, what: str, how: str = "self.ema.lerp_(...)") -> None:
    """Raise `Broken` where a weight or buffer is no longer the tensor that it was, at the same place."""
    after = addresses(thing)
    replaced = sorted(name for name in before if after.get(name) != before[name])
    expect(
        not replaced,
        f"{what} replaces {', '.join(replaced)} by another tensor",
        f"change it in place (`{how}`, `copy_`): recorded steps and optimizers hold on to the tensor",
    )


def changed(before: Tensors, after: Tensors) -> list[str]:
    """Names whose tensors differ."""
    same = {name for name in before if name in after and alike(before[name], after[name])}
    return sorted({*before, *after} - same)


def alike(a: Tensor, b: Tensor) -> bool:
    """Bit for bit, NaN being equal to itself."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(0.123), b.nan_to_num(0.123))


def far(a: Tensor, b: Tensor, tolerance: float) -> float | None:
    """The largest difference, where it is more than `tolerance` times the largest value; else None."""
    if not a.numel():
        return None
    a, b = a.detach().double(), b.detach().double()
    difference = float((a - b).abs().max())
    limit = tolerance * max(1e-3, float(a.abs().max()))
    return None if difference <= limit else difference


def finite(tensors: Tensors, what: str) -> None:
    """Raise `Broken` where a value is not a number or infinite."""
    for name, tensor in tensors.items():
        bad = int((~torch.isfinite(tensor)).sum())
        expect(not bad, f"{what} '{name}': {bad} of {tensor.numel()} values are NaN or infinite")


def weighted(outputs: Tensors) -> Tensor:
    """One number of all outputs, each value with a weight of its own."""
    return torch.stack(
        [(value * normal(*value.shape, seed=n).to(value)).sum() for n, value in enumerate(outputs.values())]
    ).sum()


def same_twice(first: Tensors, second: Tensors, found: str) -> None:
    """Raise `Broken` unless both are equal bit for bit."""
    differing = changed(first, second)
    expect(not differing, f"{found}: {', '.join(differing)}")


# ---------------------------------------------------------------------------------------------------------------------


def derivative_is_wrong(value: Callable[[Sequence[Tensor]], Tensor], at: Sequence[Tensor]) -> str | None:
    """How the derivatives of `value` (0-d, in float64) by autograd differ from differences, or None.

    Where differences are not to be trusted, because a kink is near or a part computes in float32, nothing is said.
    """
    if not at:
        return None
    points = [point.detach().clone().requires_grad_() for point in at]
    result = value(points)
    found = torch.autograd.grad(result, points, allow_unused=True) if result.requires_grad else [None] * len(points)
    for seed in range(3):
        along = [normal(*point.shape, seed=100 * seed + n).to(point) for n, point in enumerate(points)]
        length = math.sqrt(sum(float(part.square().sum()) for part in along))
        along = [part / length for part in along]
        slope = sum(float((g * part).sum()) for g, part in zip(found, along, strict=True) if g is not None)
        measured, share = _differences(value, points, along)
        if measured is None:
            continue
        if abs(measured - slope) > share * max(abs(measured), abs(slope)) + 1e-6:
            return f"autograd says {slope:.4g} where differences say {measured:.4g}"
        return None  # a wrong one is wrong in every direction
    return None


def _differences(
    value: Callable[[Sequence[Tensor]], Tensor], points: Sequence[Tensor], along: Sequence[Tensor]
) -> tuple[float | None, float]:
    """The slope along a direction by central differences, or None where two step sizes disagree; and what share of it
    it may be off by.
    """

    def at(step: float) -> float:
        moved = [(p + step * a).detach().requires_grad_() for p, a in zip(points, along, strict=True)]
        return float(value(moved).detach())

    precise = at(1e-8) != at(0.0)  # else something in it is rounded to float32
    share = 0.002 if precise else 0.02
    for step in (1e-4, 1e-6) if precise else (2e-3,):  # the smaller one misses most kinks
        near = (at(step) - at(-step)) / (2 * step)
        wide = (at(2 * step) - at(-2 * step)) / (4 * step)
        if math.isfinite(near) and abs(near - wide) <= 0.2 * share * max(abs(near), abs(wide)) + 1e-7:
            return near, share
    return None, share


# ---------------------------------------------------------------------------------------------------------------------


def on_meta(thing: Any) -> Any:
    """A module, tensor or mapping moved to the device "meta", where tensors have no content."""
    if isinstance(thing, (nn.Module, Tensor)):
        return thing.to("meta")
    if isinstance(thing, Mapping):
        return {key: on_meta(value) for key, value in thing.items()}
    return thing


class _Autocast(torch.autocast):
    """Autocast as a component switches it by `x.device.type`; it does not know "meta"."""

    def __init__(self, device_type: str, *args: Any, **settings: Any) -> None:
        super().__init__("cpu" if device_type == "meta" else device_type, *args, **settings)


@contextlib.contextmanager
def autocast_on_meta() -> Iterator[None]:
    """Within, `torch.autocast("meta", ...)` does nothing instead of raising."""
    with mock.patch.object(torch, "autocast", _Autocast), mock.patch.object(torch.amp, "autocast", _Autocast):
        yield
