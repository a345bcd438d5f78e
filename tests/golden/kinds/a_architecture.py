"""Full-size networks without weights: count, shape and initial spread of the variables, shapes of layer outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from ganlab_networks.tf_names import tf_bindings, tf_layers

from ._tf_linear import discriminator_layers, generator_layers
from ._tf_networks import discriminator_component, generator_component, image_shape

if TYPE_CHECKING:
    from ..golden import Case

BATCH = 16
"""Samples of the shape check; divisible by the group sizes in use."""


def check(case: Case) -> None:
    table = json.loads(case.path.read_text())
    for name, networks in table.items():
        for player, expected in networks.items():
            component = {"G": generator_component, "D": discriminator_component}[player](expected["config"])
            with torch.device("meta"):
                network = component.build(image_shape(expected["config"]))
                _check_variables(case, network, expected, f"{name}/{player}")
                _check_shapes(case, network, expected, f"{name}/{player}")


def _check_variables(case: Case, network: nn.Module, expected: dict[str, Any], where: str) -> None:
    assert sum(p.numel() for p in network.parameters()) == expected["num_params"], where
    found = {name: list(binding.shape) for name, binding in tf_bindings(network).items()}
    assert list(found.items()) == [(v["name"], v["shape"]) for v in expected["trainables"]], where
    layers = tf_layers(network)
    for variable in expected["trainables"]:
        layer, _, field = variable["name"].rpartition("/")
        if field == "weight":
            for module in layers[layer].modules:
                assert variable.get("wscale", 1.0) == pytest.approx(module.scaling.scale, rel=1e-6), variable["name"]
                with torch.device("cpu"):
                    start = module.scaling.initial(torch.ones(1)).item()
                assert variable["init_std"] == pytest.approx(start, rel=1e-6), variable["name"]
        case.compared += 1


def _check_shapes(case: Case, network: nn.Module, expected: dict[str, Any], where: str) -> None:
    inputs = [torch.zeros(_sized(shape)) for _, shape in expected["inputs"]]
    with torch.no_grad():
        outputs: dict[str, Tensor] = (
            generator_layers(network, *inputs, 0.0) if len(inputs) == 2 else discriminator_layers(network, *inputs, 0.0)
        )
    shapes = {name: list(output.shape) for name, output in outputs.items()}
    layers = [(name, _sized(shape)) for name, shape in expected["layers"] if name != "lod"]
    assert list(shapes.items()) == layers, where
    for name, shape in expected["outputs"]:
        assert shapes[name] == _sized(shape), where
    case.compared += len(layers)


def _sized(shape: list[int | None]) -> list[int]:
    return [BATCH if size in (None, -1) else size for size in shape]
