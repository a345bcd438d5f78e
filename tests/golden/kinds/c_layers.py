"""Single Theano layers: statistics, normalizations, noise, measured weight scaling, discrimination, lod selection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab_layers.components import MinibatchDiscrimination, MinibatchStddev, MultiplicativeNoise
from ganlab_layers.convolution import Convolution
from ganlab_layers.fade import select_lod
from ganlab_layers.linear import Linear
from ganlab_layers.noise import drop_factor, multiply, noise_factor
from ganlab_layers.resampling import downscale, upscale
from ganlab_layers.weighted import HE_GAIN, WeightedLayer
from ganlab_normalizations.components import Layer, Pixel
from ganlab_normalizations.scaling_components import Equalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..golden import Case

ROLE = "theano-output"
EPSILONS = {"Tstdeps": 1e-8, "Tstd": 0.0}


def check(case: Case) -> None:
    with torch.no_grad():
        for group in dict.fromkeys(key.partition(".")[0] for key in case):
            keys = case.keys_under(f"{group}.")
            assert keys, f"{group}: a key without a layer"
            _check_of(group)(case, group)


def _check_of(group: str) -> Callable[[Case, str], None]:
    if re.fullmatch(r"x\d+", group):
        return _check_input
    if group in ("upscale2", "downscale2"):
        return _check_resampling
    for prefix, function in (
        ("wscale", _check_scaling),
        ("mbdisc", _check_discrimination),
        ("lodselect", _check_select),
    ):
        if group.startswith(prefix):
            return function
    raise AssertionError(f"no such layer: {group}")


def _check_input(case: Case, group: str) -> None:
    x = torch.from_numpy(case[f"{group}.in"])
    for key in case.keys_under(f"{group}."):
        part, *rest = key.split(".")[1:]
        name = ".".join(rest)
        if part == "mbstat":
            statistic, averaging = rest
            component = MinibatchStddev(averaging=averaging, group_size=0, epsilon=EPSILONS[statistic])
            module = component.build(x.shape[1])
            output = module(x)
            assert output.shape[1] == module.out_channels
            case.expect(key, output[:, x.shape[1] :], ROLE)
        elif part == "pixelnorm":
            case.expect(key, Pixel().build(x.shape[1], track_statistics=False)(x), ROLE)
        elif part == "layernorm" and name in ("linear", "lrelu", "default"):
            module = Layer(epsilon=case.notes["layernorm_epsilon"]).build(x.shape[1], track_statistics=False)
            if name != "default":
                module.gain.copy_(torch.from_numpy(case[f"{group}.layernorm.gain"]))
                module.bias.copy_(torch.from_numpy(case[f"{group}.layernorm.bias"]))
            case.expect(key, F.leaky_relu(module(x), 0.2) if name == "lrelu" else module(x), ROLE)
        elif part == "gdrop" and not name.startswith(("normal_", "mask_")):
            case.expect(key, _noisy(case, group, x, name), ROLE)
        else:
            assert part in ("in", "layernorm", "gdrop"), key


def _noisy(case: Case, group: str, x: Tensor, name: str) -> Tensor:
    mode, _, strength_text = name.partition(".s")
    strength = torch.tensor(float(strength_text))
    normal = torch.from_numpy(case[f"{group}.gdrop.normal_NC"])
    variant = mode.partition("_")[2]
    mode = mode.partition("_")[0]
    normalize = variant == "normalize"
    if mode == "drop":
        mask = torch.from_numpy(case[f"{group}.gdrop.mask_NC.s{strength_text}"])
        return multiply(x, drop_factor(mask, strength), normalize=normalize)
    if variant == "axesall":
        full = torch.from_numpy(case[f"{group}.gdrop.normal_full.s{strength_text}"])
        return multiply(x, noise_factor(full, strength, mode, channels=x.shape[1]), normalize=normalize)
    axes = "samples" if variant == "axes0" else "channels"
    if axes == "samples":
        normal = torch.from_numpy(case[f"{group}.gdrop.normal_N"]).unsqueeze(1).expand(-1, x.shape[1])
    assert variant in ("", "normalize", "axes0", "shared"), name
    own = MultiplicativeNoise(mode=mode, strength=float(strength), normalize=normalize, axes=axes).build(x.shape[1])
    module = MultiplicativeNoise(mode=mode, normalize=normalize, axes=axes).build(x.shape[1])
    torch.testing.assert_close(own(x, normal), module(x, normal, strength))
    output: Tensor = module(x, normal, strength)
    return output


def _check_resampling(case: Case, group: str) -> None:
    scale = upscale if group == "upscale2" else downscale
    case.expect(f"{group}.out", scale(torch.from_numpy(case["x0.in"])), ROLE)


def _check_scaling(case: Case, group: str) -> None:
    for name in dict.fromkeys(key.split(".")[1] for key in case.keys_under(f"{group}.")):
        prefix = f"{group}.{name}"
        notes = case.notes[prefix]
        drawn = torch.from_numpy(case[f"{prefix}.W_initial"])
        layer = _scaled_layer(name, drawn, linear=notes["nonlinearity"] == "linear")
        np.testing.assert_allclose(layer.scaling.standard_deviation, notes["he_std"], rtol=1e-6)
        stored = layer.scaling.initial(_ours(drawn, layer) / notes["he_std"])
        layer.weight.copy_(stored)
        case.expect(f"{prefix}.W", _theirs(stored, drawn.ndim), ROLE)
        case.expect(f"{prefix}.scale", layer.scaling.scale, atol=1e-6)
        layer.bias.copy_(torch.from_numpy(case[f"{prefix}.bias"]))
        case.expect(f"{prefix}.out", layer(torch.from_numpy(case[f"{prefix}.x"])), ROLE)


def _scaled_layer(name: str, drawn: Tensor, *, linear: bool) -> WeightedLayer:
    settings = {
        "weight_scaling": Equalized(scale="measured"),
        "gain": 1.0 if linear else HE_GAIN,
        "leaky_slope": None if linear else 0.2,
    }
    if name.startswith("dense"):
        return Linear(*drawn.shape, **settings)
    if name.startswith("nin"):
        return Convolution(*drawn.shape, 1, **settings)
    padding = next((p for p in ("valid", "full") if name.endswith(p)), "same")
    return Convolution(drawn.shape[1], drawn.shape[0], drawn.shape[2], padding=padding, **settings)


def _ours(weight: Tensor, layer: WeightedLayer) -> Tensor:
    """Lasagne's [in, out] or flipped [out, in, k, k] as ours."""
    return weight.flip(2, 3) if weight.ndim == 4 else weight.t().reshape(layer.weight.shape)


def _theirs(weight: Tensor, ndim: int) -> Tensor:
    return weight.flip(2, 3) if ndim == 4 else weight.reshape(weight.shape[:2]).t()


def _check_discrimination(case: Case, group: str) -> None:
    theta = torch.from_numpy(case[f"{group}.theta"])
    component = MinibatchDiscrimination(kernels=theta.shape[1], dim_per_kernel=theta.shape[2])
    module = component.build(theta.shape[0])
    module.theta.copy_(theta)
    module.log_weight_scale.copy_(torch.from_numpy(case[f"{group}.log_weight_scale"]))
    module.bias.copy_(torch.from_numpy(case[f"{group}.b"]))
    x = torch.from_numpy(case[f"{group}.in"]).flatten(1)
    case.expect(f"{group}.out_features", module(x)[:, x.shape[1] :], ROLE)
    features, _, _ = module.data_dependent_start(x)
    case.expect(f"{group}.init.out_features", features, ROLE)
    module.start_from(x)
    case.expect(f"{group}.init.new_log_weight_scale", module.log_weight_scale, ROLE)
    case.expect(f"{group}.init.new_b", module.bias, ROLE)


def _check_select(case: Case, group: str) -> None:
    count = sum(bool(re.fullmatch(rf"{group}\.in\d+", key)) for key in case)
    candidates = [torch.from_numpy(case[f"{group}.in{k}"]) for k in range(count)]
    notes = case.notes[group]
    for key in case.keys_under(f"{group}.out"):
        variant = key.partition(".out")[2]
        limits = re.fullmatch(r"_minlod([\d.]+)_maxlod([\d.]+)", variant)
        reference = re.fullmatch(r"_ref(\d+)", variant)
        assert limits or reference or not variant, key
        outputs = [
            select_lod(
                candidates,
                torch.tensor(float(t)),
                first_lod=notes["first_incoming_lod"],
                reference=int(reference.group(1)) if reference else notes["ref_idx"],
                min_lod=float(limits.group(1)) if limits else None,
                max_lod=float(limits.group(2)) if limits else None,
            )
            for t in case[f"{group}.t"]
        ]
        case.expect(key, torch.stack(outputs), ROLE)
