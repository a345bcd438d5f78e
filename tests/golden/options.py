"""The options that claim equal numbers, each as something to switch on before golden numbers are compared.

A switch patches what it needs through pytest and returns a list that grows with each use, so that a test can tell an
option that changes no number from one that was never on. A new option is a new function here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlab.train.lanes import Lane
from ganlab.train.outcome import Outcome
from ganlab.train.replay import AS_USUAL, CpuRecording
from ganlab.train.step import discriminator_step, plain_passes
from ganlab_layers import wide, winograd
from ganlab_layers.convolution import Convolution
from ganlab_losses.built import gradients
from ganlab_losses.built.wasserstein import PenalizedWassersteinLoss
from ganlab_networks.discriminator import Discriminator
from ganlab_networks.generator import Generator

Switch = Callable[[pytest.MonkeyPatch], list[str]]

NETWORK_KINDS = ("A_network", "B_loss", "C_theano_network", "F_train_trace")
"""Kinds whose check builds whole networks with `build`."""


def transform_networks(monkeypatch: pytest.MonkeyPatch, transform: Callable[[nn.Module], None]) -> None:
    """Give every network that a check builds to `transform` first."""

    def transforming(build: Callable[..., Any]) -> Callable[..., Any]:
        def built(*arguments: Any) -> Any:
            pair = build(*arguments)
            for name in ("generator", "discriminator"):
                transform(getattr(pair, name))
            return pair

        return built

    for kind in NETWORK_KINDS:
        module = importlib.import_module(f"{__package__}.kinds.{kind.lower()}")
        monkeypatch.setattr(module, "build", transforming(module.build))


def channels_last(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Weights, and images that come in, laid out as training has them."""
    used: list[str] = []

    def laid_out(module: nn.Module, inputs: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        used.append(type(module).__name__)
        maps = torch.channels_last
        return tuple(x if x is None or x.ndim < 4 else x.contiguous(memory_format=maps) for x in inputs)

    def transform(network: nn.Module) -> None:
        network.to(memory_format=torch.channels_last)
        network.register_forward_pre_hook(laid_out)

    transform_networks(monkeypatch, transform)
    return used


def other_scaling(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fused resampling where the file has it separate, and the other way round, in layers where both are one function.

    (Discriminators without fused scaling halve after the activation, which is another function: those stay.)
    """
    used: list[str] = []

    def other(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def run(layer: Convolution, *arguments: Tensor) -> Tensor:
            if layer.resample is None or layer in flipped:
                return method(layer, *arguments)
            used.append("separate" if layer.fused else "fused")
            flipped.add(layer)
            layer.fused = not layer.fused  # names of variables follow from it, so it is put back
            try:
                return method(layer, *arguments)
            finally:
                layer.fused = not layer.fused
                flipped.remove(layer)

        return run

    flipped: set[Convolution] = set()
    for name in ("forward", "used_weight"):
        monkeypatch.setattr(Convolution, name, other(getattr(Convolution, name)))
    return used


def func_grad(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The inner gradient of penalties by `torch.func.grad`, as under torch.compile."""
    used: list[str] = []

    def grad(*arguments: Any, **named: Any) -> Callable[..., Any]:
        used.append("torch.func.grad")
        return torch.func.grad(*arguments, **named)

    class Compiling:
        compiler = SimpleNamespace(is_compiling=lambda: True)
        func = SimpleNamespace(grad=grad)

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    monkeypatch.setattr(gradients, "torch", Compiling())
    return used


def weight_products(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Convolutions of three maps, as in wide networks, with weight gradients as matrix products."""
    monkeypatch.setattr(wide, "better_as_products", lambda small: True)
    return three_maps(monkeypatch)


def three_maps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Convolutions of three maps, as in wide networks, with weight gradients in whichever way was set."""
    used: list[str] = []

    def to_weight(large: Tensor, small: Tensor, geometry: wide.Geometry) -> Tensor:
        used.append("three maps")
        return plain(large, small, geometry)

    plain = wide.to_weight
    monkeypatch.setattr(wide, "worthwhile", lambda x, weight, pixels: True)
    monkeypatch.setattr(wide, "to_weight", to_weight)
    return used


def weight_convolutions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Convolutions of three maps, as in wide networks, with weight gradients by the library."""
    monkeypatch.setattr(wide, "better_as_products", lambda small: False)
    return three_maps(monkeypatch)


def winograds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Convolutions by Winograd's algorithm, as in wide networks in float32, wherever it can be used."""
    used: list[str] = []

    def suits(images: Tensor, channels: int, *geometry: int) -> bool:
        fits = winograd.fits(images, *geometry)
        used.extend(["winograd"] * fits)
        return fits

    monkeypatch.setattr(winograd, "suits", suits)
    three_maps(monkeypatch)
    return used


def sums_of_pixels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fused resampling with sums of pixels in place of a larger kernel, as in wide networks."""
    used: list[str] = []

    def sums_pixels(layer: Convolution) -> bool:
        used.append("sums of pixels")
        return layer.padding > 0

    monkeypatch.setattr(Convolution, "sums_pixels", sums_pixels)
    return used


def lanes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reals and fakes judged on a thread beside that of the penalty, in training."""
    used: list[str] = []
    lane = Lane(1)
    module = importlib.import_module(f"{__package__}.kinds.f_train_trace")

    def step(*arguments: Any) -> Outcome:
        used.append("two lanes")
        with lane.halved():
            return discriminator_step(*arguments, passes=plain_passes()._replace(lane=lane))

    monkeypatch.setattr(module, "discriminator_step", step)
    return used


def replays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Losses and gradients as a recording finds them when it is replayed, in training."""
    used: list[str] = []
    module = importlib.import_module(f"{__package__}.kinds.f_train_trace")

    def replayed(step: Callable[..., Outcome]) -> Callable[..., Outcome]:
        def call(*arguments: Any) -> Outcome:
            recording = CpuRecording()
            for _ in range(AS_USUAL):
                recording.do(lambda: step(*arguments))
            assert recording.refused is None
            again = recording.do(lambda: pytest.fail("done by Python once more"))
            used.append("replayed")
            return again

        return call

    for name in ("discriminator_step", "generator_step"):
        monkeypatch.setattr(module, name, replayed(getattr(module, name)))
    return used


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The discriminator's loss, penalty included, as one compiled graph; its gradients come from outside."""
    used: list[str] = []
    fast = torch.compile(PenalizedWassersteinLoss.discriminator, fullgraph=True)

    def discriminator(*arguments: Any) -> Any:
        used.append("compiled")
        return fast(*arguments)

    monkeypatch.setattr(PenalizedWassersteinLoss, "discriminator", discriminator)
    return used


def computing_in(dtype: torch.dtype) -> Switch:
    """Networks that compute in a low precision; claims no equality."""

    def switch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
        used: list[str] = []

        def low(forward: Callable[..., Any]) -> Callable[..., Any]:
            def computed(*arguments: Any, **named: Any) -> Any:
                used.append(str(dtype))
                with torch.autocast("cpu", dtype=dtype):
                    return forward(*arguments, **named)

            return computed

        for network in (Generator, Discriminator):
            monkeypatch.setattr(network, "forward", low(network.forward))
        return used

    return switch


EQUAL: Mapping[str, Switch] = {
    "channels-last": channels_last,
    "other-scaling": other_scaling,
    "func-grad": func_grad,
    "weight-products": weight_products,
    "weight-convolutions": weight_convolutions,
    "winograd": winograds,
    "sums-of-pixels": sums_of_pixels,
    "lanes": lanes,
    "replays": replays,
}
