"""Our Progressive GAN weights under the variable names and layouts of the authors' TensorFlow program.

Convolutions are HWIO there, dense layers [in, out], fused up-convolutions [k, k, out, in] and flipped in space; the
last dense layer of the discriminator holds the score in column 0 and the label logits in the others. Weights are
stored unscaled in both programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from ganlab.errors import GanlabError
from ganlab_layers.weighted import WeightedLayer
from ganlab_networks.discriminator import Discriminator, LastBlock, ShrinkingBlock
from ganlab_networks.features import level_name
from ganlab_networks.generator import FirstBlock, Generator, GrowingBlock
from ganlab_networks.names import Array, Binding, assign_all, check_all_bound, single

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn


@attrs.frozen
class TfLayer:
    """One layer of the TensorFlow program and what stands for it here (two modules for the last dense layer)."""

    layout: Literal["convolution", "up-convolution", "dense"]
    modules: tuple[WeightedLayer, ...]


def load_tf_variables(module: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Load `{variable name: array}` into a built pggan network.

    A generator takes the variables of a fused and of a separate one, whichever it is itself: the function is the same.
    A scalar `lod` is passed over. Raises `GanlabError` listing all names that are missing, unexpected or misshaped.
    """
    arrays = {name: array for name, array in arrays.items() if name != "lod"}
    fused = any("Conv0_up/" in name for name in arrays) if isinstance(module, Generator) else None
    assign_all(tf_bindings(module, fused=fused), arrays, program="TensorFlow")


def tf_variables(module: nn.Module) -> dict[str, Array]:
    """`{variable name: array}` of a pggan network, in the TensorFlow program's order of creation.

    Raises `GanlabError` if the network has something that program does not.
    """
    return {name: binding.value() for name, binding in tf_bindings(module).items()}


def tf_bindings(module: nn.Module, *, fused: bool | None = None) -> dict[str, Binding]:
    """Variable name to binding; `fused` as for `tf_layers`."""
    bindings: dict[str, Binding] = {}
    for name, layer in tf_layers(module, fused=fused).items():
        scales = [getattr(part.scaling, "scale", None) for part in layer.modules]
        if not all(isinstance(scale, float) for scale in scales):
            raise GanlabError(
                f"the weight scaling of {name} has no counterpart in the TensorFlow program; use 'equalized' or 'none'"
            )
        bindings[f"{name}/weight"] = _weight(layer)
        biases = tuple(part.bias for part in layer.modules if part.bias is not None)
        if biases:
            bindings[f"{name}/bias"] = Binding(biases, np.concatenate, _cut([bias.shape[0] for bias in biases], axis=0))
    check_all_bound(module, bindings, program="TensorFlow")
    return bindings


def tf_layers(module: nn.Module, *, fused: bool | None = None) -> dict[str, TfLayer]:
    """Layer name to layer, in order of creation. `fused` names a generator's layers as if it were (not) fused."""
    if isinstance(module, Generator):
        return _generator_layers(module, fused)
    if isinstance(module, Discriminator):
        return _discriminator_layers(module)
    raise GanlabError("only pggan-generator and pggan-discriminator have TensorFlow variable names")


def _generator_layers(module: Generator, fused: bool | None) -> dict[str, TfLayer]:
    layers: dict[str, TfLayer] = {}
    for lod, resolution in reversed(list(enumerate(reversed(module.resolutions)))):
        scope = level_name(resolution)
        block = module.blocks[scope]
        if isinstance(block, FirstBlock):
            layers["4x4/Dense"] = TfLayer("dense", (block.dense,))
            layers["4x4/Conv"] = TfLayer("convolution", (block.conv,))
        elif isinstance(block, GrowingBlock):
            up = block.conv0.fused if fused is None else fused
            layers[f"{scope}/Conv0{'_up' if up else ''}"] = TfLayer(
                "up-convolution" if up else "convolution", (block.conv0,)
            )
            layers[f"{scope}/Conv1"] = TfLayer("convolution", (block.conv1,))
        layers[f"ToRGB_lod{lod}"] = TfLayer("convolution", (_layer(module.to_rgb[scope]),))
    return layers


def _discriminator_layers(module: Discriminator) -> dict[str, TfLayer]:
    layers: dict[str, TfLayer] = {}
    for lod, resolution in enumerate(reversed(module.resolutions)):
        scope = level_name(resolution)
        block = module.blocks[scope]
        layers[f"FromRGB_lod{lod}"] = TfLayer("convolution", (_layer(module.from_rgb[scope]),))
        if isinstance(block, ShrinkingBlock):
            layers[f"{scope}/Conv0"] = TfLayer("convolution", (block.conv0,))
            layers[f"{scope}/Conv1{'_down' if block.fused else ''}"] = TfLayer("convolution", (block.conv1,))
        elif isinstance(block, LastBlock):
            layers["4x4/Conv"] = TfLayer("convolution", (block.conv,))
            layers["4x4/Dense0"] = TfLayer("dense", (block.dense,))
            heads = (block.scores,) if block.label_logits is None else (block.scores, block.label_logits)
            layers["4x4/Dense1"] = TfLayer("dense", heads)
    return layers


def _layer(module: object) -> WeightedLayer:
    assert isinstance(module, WeightedLayer)
    return module


def _weight(layer: TfLayer) -> Binding:
    weights = tuple(part.weight for part in layer.modules)
    if layer.layout == "convolution":
        return single(weights[0], lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1))
    if layer.layout == "up-convolution":
        return single(
            weights[0],
            lambda a: a.transpose(2, 3, 0, 1)[::-1, ::-1],
            lambda a: a[::-1, ::-1].transpose(2, 3, 0, 1),
        )
    if len(weights) == 1:
        return single(weights[0], np.transpose, np.transpose)
    cut = _cut([weight.shape[0] for weight in weights], axis=1)
    return Binding(
        weights,
        lambda arrays: np.concatenate([array.T for array in arrays], axis=1),
        lambda array: [part.T for part in cut(array)],
    )


class _cut:  # noqa: N801  # used as a function: it only keeps its arguments
    """Cuts an array into parts of given sizes along an axis."""

    def __init__(self, sizes: Sequence[int], axis: int) -> None:
        self.ends = np.cumsum(sizes)[:-1]
        self.axis = axis

    def __call__(self, array: Array) -> Sequence[Array]:
        return np.split(array, self.ends, axis=self.axis)
