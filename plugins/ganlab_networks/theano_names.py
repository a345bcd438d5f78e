"""Our weights under the parameter names and layouts of the authors' Theano program.

Convolutions are [out, in, k, k] there and flipped in space; 1x1 ones and dense layers [in, out]. Level I works at
2^(I + 1) pixels. `S` (generator) and `ws` (discriminator) mark the layer that scales a weight, `_bn` batch and `ln`
layer normalization, `Dmd` minibatch discrimination.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import GanlabError
from ganlab_layers.discrimination import MinibatchDiscrimination
from ganlab_layers.linear import LinearToMaps
from ganlab_layers.weighted import WeightedLayer
from ganlab_networks.discriminator import Discriminator, LastBlock, ShrinkingBlock
from ganlab_networks.features import level_name
from ganlab_networks.generator import FirstBlock, Generator, GrowingBlock
from ganlab_networks.mnist_modules import MnistDiscriminator, MnistGenerator
from ganlab_networks.names import Array, Binding, assign_all, check_all_bound, same, single
from ganlab_normalizations.normalizations import Batch, Layer
from ganlab_normalizations.scalings import MeasuredScale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn


def load_theano_parameters(module: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Load `{parameter name: array}` into a built network.

    Running statistics of batch normalization are passed over where the network keeps none (discriminators).
    Raises `GanlabError` listing all names that are missing, unexpected or misshaped.
    """
    bindings = theano_bindings(module)
    unused = [n for n in arrays if n not in bindings and n.endswith(("_bn.mean", "_bn.inv_std"))]
    kept = {name: array for name, array in arrays.items() if name not in unused or isinstance(module, _GENERATORS)}
    assign_all(bindings, kept, program="Theano")


def theano_parameters(module: nn.Module) -> dict[str, Array]:
    """`{parameter name: array}` of a network. Raises `GanlabError` if it has something the Theano program does not."""
    return {name: binding.value() for name, binding in theano_bindings(module).items()}


def theano_bindings(module: nn.Module) -> dict[str, Binding]:
    """Parameter name to binding."""
    scale_mark = "S" if isinstance(module, _GENERATORS) else "ws"
    bindings: dict[str, Binding] = {}
    for base, layer in _layers(module):
        bindings.update(_discrimination(base, layer) if isinstance(layer, MinibatchDiscrimination) else {})
        bindings.update(_weighted(base, layer, scale_mark) if isinstance(layer, WeightedLayer) else {})
    check_all_bound(module, bindings, program="Theano")
    return bindings


_GENERATORS = (Generator, MnistGenerator)


def _layers(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Base name to layer: `D3b`, `Glod0`, ..."""
    if isinstance(module, Generator | MnistGenerator):
        mark, to_or_from = "G", module.to_rgb
    elif isinstance(module, Discriminator | MnistDiscriminator):
        mark, to_or_from = "D", module.from_rgb
    else:
        raise GanlabError("only the pggan and mnist networks have Theano parameter names")
    for level, resolution in enumerate(module.resolutions, start=1):
        scope = level_name(resolution)
        if scope in to_or_from:
            edge = f"Glod{len(module.resolutions) - level}" if mark == "G" else f"D{level}x"
            yield edge, to_or_from[scope]
        if scope in module.blocks:
            for letter, layer in _block_layers(module.blocks[scope]):
                yield (letter if len(letter) > 1 else f"{mark}{level}{letter}"), layer
    if isinstance(module, MnistDiscriminator):
        yield "Dscores", module.scores


def _block_layers(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The letter of each layer of a level, or its full name."""
    match block:
        case FirstBlock():
            yield from (("a", block.dense), ("b", block.conv))
        case GrowingBlock():
            yield from (("a", block.conv0), ("b", block.conv1))
        case ShrinkingBlock():
            yield from (("b", block.conv0), ("a", block.conv1))
        case LastBlock():
            yield from (("b", block.conv), ("a", block.dense), ("Dmd", block.discrimination), ("Dscores", block.scores))
            if block.label_logits is not None:
                yield "Dlabels", block.label_logits
        case _:  # the one layer of a level of the small networks
            yield "a", block


def _weighted(base: str, layer: WeightedLayer, scale_mark: str) -> dict[str, Binding]:
    bindings = {f"{base}.W": _weight(base, layer)}
    name = base
    if isinstance(layer.scaling, MeasuredScale):
        name += scale_mark
        bindings[f"{name}.scale"] = same(layer.scaling.scale)
    elif getattr(layer.scaling, "scale", None) != 1.0:
        raise GanlabError(
            f"the weight scaling of {base} has no counterpart in the Theano program; use "
            "{name = 'equalized', scale = 'measured'} or 'none'"
        )
    if layer.bias is not None:
        bindings[f"{name}.b"] = same(layer.bias)
    normalization = layer.normalization
    if isinstance(normalization, Layer):
        bindings[f"{name}ln.gain"] = same(normalization.gain)
        bindings[f"{name}ln.b"] = same(normalization.bias)
    elif isinstance(normalization, Batch):
        bindings[f"{name}_bn.beta"] = same(normalization.bias)
        bindings[f"{name}_bn.gamma"] = same(normalization.gain)
        if normalization.momentum is not None:
            bindings[f"{name}_bn.mean"] = same(normalization.running_mean)
            bindings[f"{name}_bn.inv_std"] = single(
                normalization.running_variance,
                lambda variance, epsilon=normalization.epsilon: (variance + epsilon) ** -0.5,  # type: ignore[misc]  # a default argument binds the loop's value
                lambda inverse, epsilon=normalization.epsilon: inverse**-2.0 - epsilon,  # type: ignore[misc]  # likewise
            )
    return bindings


def _weight(base: str, layer: WeightedLayer) -> Binding:
    weight = layer.weight
    if isinstance(layer, LinearToMaps):
        # A full convolution of one pixel: the flip of the convolution and that of "full" cancel.
        maps = (layer.channels, layer.size, layer.size, layer.in_features)
        return single(
            weight,
            lambda a: a.reshape(maps).transpose(0, 3, 1, 2),
            lambda a: a.transpose(0, 2, 3, 1).reshape(-1, maps[3]),
        )
    if base == "D1a":
        pixels = (weight.shape[0], -1, 4, 4)
        return single(
            weight, lambda a: a.reshape(pixels)[:, :, ::-1, ::-1], lambda a: a[:, :, ::-1, ::-1].reshape(a.shape[0], -1)
        )
    if weight.ndim == 2:
        return single(weight, np.transpose, np.transpose)
    if weight.shape[-1] == 1:
        return single(weight, lambda a: a[:, :, 0, 0].T, lambda a: a.T[:, :, None, None])
    return single(weight, lambda a: a[:, :, ::-1, ::-1], lambda a: a[:, :, ::-1, ::-1])


def _discrimination(base: str, layer: MinibatchDiscrimination) -> dict[str, Binding]:
    return {
        f"{base}.theta": same(layer.theta),
        f"{base}.log_weight_scale": same(layer.log_weight_scale),
        f"{base}.b": same(layer.bias),
    }
