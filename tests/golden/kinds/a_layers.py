"""Single TensorFlow layers: convolutions plain, doubling and halving, dense layers, normalization, statistics."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab_layers.components import MinibatchStddev
from ganlab_layers.convolution import Convolution
from ganlab_layers.linear import Linear
from ganlab_layers.resampling import downscale, upscale
from ganlab_layers.weighted import HE_GAIN
from ganlab_normalizations.components import Pixel
from ganlab_normalizations.scaling_components import Equalized, NoScaling

if TYPE_CHECKING:
    from ..golden import Array, Case

VARIANTS = {"wscale": (Equalized(), HE_GAIN), "plain": (NoScaling(), HE_GAIN), "gain1": (Equalized(), 1.0)}
DENSE_GAINS = {"wscale": math.sqrt(2), "gain_sqrt2over4": math.sqrt(2) / 4}


def check(case: Case) -> None:
    x = torch.from_numpy(case["x"])
    for key in list(case):
        if key.endswith((".weight", ".bias", ".in")) or key == "x":
            case[key]
            continue
        with torch.no_grad():
            for output in _outputs(case, key, x):
                case.expect(key, output[: len(case[key])])


def _outputs(case: Case, key: str, x: Tensor) -> list[Tensor]:
    """Every way we have of computing the array `key`."""
    layer, _, rest = key.partition(".")
    variant = rest.removesuffix(".out")
    if match := re.fullmatch(r"(conv|upconv|downconv)(\d+)", layer):
        kind, size = match.groups()
        weight = case[f"{'upconv' if kind == 'upconv' else 'conv'}{size}.weight"]
        return _convolutions(kind, weight, variant, x)
    if layer == "dense":
        weight = case["dense.weight"]
        linear = Linear(*weight.shape, weight_scaling=Equalized(), gain=DENSE_GAINS[variant], bias=False)
        linear.weight.copy_(torch.from_numpy(weight.T.copy()))
        return [linear(x)]
    if layer == "mbstd":
        batch, group = map(int, re.fullmatch(r"batch(\d+)_group(\d+)\.value_per_sample", rest).groups())
        module = MinibatchStddev(group_size=group).build(x.shape[1])
        with_map = module(x[:batch])[:, -1]
        assert (with_map == with_map[:, :1, :1]).all(), "a constant map"
        return [with_map[:, 0, 0], module.statistics(x[:batch])[:, 0]]
    if match := re.fullmatch(r"(up|down)scale(\d+)", layer):
        scale = upscale if match.group(1) == "up" else downscale
        return [scale(x, int(match.group(2)))]
    if layer.startswith("pixelnorm"):
        epsilon = re.fullmatch(r"pixelnorm_eps(.+)", layer)
        module = Pixel(epsilon=float(epsilon.group(1))) if epsilon else Pixel()
        built = module.build(x.shape[1], track_statistics=False)
        if layer == "pixelnorm_zero":
            return [built(torch.zeros_like(x))]
        return [built(torch.from_numpy(case[f"{layer}.in"]) if f"{layer}.in" in case else x)]
    if layer == "bias":
        convolution = Convolution(x.shape[1], x.shape[1], 1, weight_scaling=NoScaling())
        convolution.weight.copy_(torch.eye(x.shape[1])[:, :, None, None])
        convolution.bias.copy_(torch.from_numpy(case["bias.bias"]))
        return [convolution(x)]
    if layer == "lrelu":
        return [F.leaky_relu(x, 0.2)]
    raise AssertionError(f"no such layer: {key}")


def _convolutions(kind: str, weight: Array, variant: str, x: Tensor) -> list[Tensor]:
    scaling, gain = VARIANTS[variant]
    stored = torch.from_numpy(weight.copy()).permute(3, 2, 0, 1)
    if kind == "upconv":
        stored = torch.from_numpy(weight[::-1, ::-1].copy()).permute(2, 3, 0, 1)
    out_channels, in_channels, size, _ = stored.shape
    results = []
    for fused in (False, True) if kind != "conv" else (False,):
        module = Convolution(
            in_channels,
            out_channels,
            size,
            weight_scaling=scaling,
            gain=gain,
            bias=False,
            resample={"conv": None, "upconv": "up", "downconv": "down"}[kind],
            fused=fused,
        )
        module.weight.copy_(stored)
        results.append(module(x))
    return results
