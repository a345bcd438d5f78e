"""The parameters of the Progressive GAN networks. Torch is imported only when one is built.

The defaults are those of the authors' TensorFlow program; the docstrings say which switches reach the Theano program
(the one behind the paper's numbers) and the ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ganlab.interfaces import ImageShape, Layer, Normalization, Stage, WeightScaling
from ganlab.parameters import component, parameter
from ganlab_layers.components import Empty
from ganlab_networks.features import LARGEST_WIDTH, FeatureCounts

if TYPE_CHECKING:
    from torch import nn

EDGE_HELP = "of the layers that meet images or scores ({}); by default the same as weight_scaling"


@attrs.frozen
class PgganGenerator(FeatureCounts):
    """Latents to images, growing from 4x4 (Karras et al. 2018, table 2 and appendix A).

    The Theano program: `label_position = "after-normalization"`, `fused_scale = false`,
    `weight_scaling = {name = "equalized", scale = "measured"}`. rosinality's port: pixel normalization with
    `placement = "before-activation"`, `edge_weight_scaling = {name = "none", init = "default"}`.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"fmap_max": 8},)

    latent_size: int | None = parameter(
        None, ge=1, le=LARGEST_WIDTH, help="latent dimensions; by default the features of stage 0"
    )
    latent_normalization: Normalization = component(
        "normalization", "pixel", help="of the latents before the first layer; 'none' takes them as they are"
    )
    label_position: Literal["before-normalization", "after-normalization"] = parameter(
        "before-normalization",
        choices=("before-normalization", "after-normalization"),
        help="labels are appended to the latents before they are normalized (TensorFlow program) or after (Theano)",
    )
    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")
    normalization: Normalization = component("normalization", "pixel", help="of every layer but the last")
    weight_scaling: WeightScaling = component("weight-scaling", "equalized", help="of every weight")
    edge_weight_scaling: WeightScaling | None = component("weight-scaling", None, help=EDGE_HELP.format("toRGB"))
    fused_scale: bool = parameter(True, help="double and convolve in one operation: the same function, faster")
    tanh_at_end: float = parameter(0.0, ge=0, help="s > 0 makes the output s * tanh(image); 0 leaves it linear")

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator`. Raises `GanlabError` if there are too few widths."""
        from ganlab_networks.generator import Generator

        return Generator(self, images)


@attrs.frozen
class PgganDiscriminator(FeatureCounts):
    """Images to a score, and label logits where there are labels (Karras et al. 2018, table 2 and appendix A).

    The Theano program: `fused_scale = false`, whole-minibatch stddev (`group_size = 0`), measured weight scaling, and
    `noise = "multiplicative-noise"`. rosinality's port: `stddev_of = "images"` with an unbiased stddev of epsilon 0,
    `edge_weight_scaling = {name = "none", init = "default"}`.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"fmap_max": 8},
        {
            "fmap_max": 8,
            "noise": "multiplicative-noise",
            "discrimination": {"name": "minibatch-discrimination", "kernels": 3},
        },
    )

    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")
    normalization: Normalization = component("normalization", "none", help="of every layer but fromRGB and the last")
    weight_scaling: WeightScaling = component("weight-scaling", "equalized", help="of every weight")
    edge_weight_scaling: WeightScaling | None = component(
        "weight-scaling", None, help=EDGE_HELP.format("fromRGB, scores, label logits")
    )
    fused_scale: bool = parameter(
        True, help="convolve and halve in one operation: faster; bias and activation then come after the averaging"
    )
    stddev: Layer = component("layer", "minibatch-stddev", help="before the 3x3 convolution at 4x4")
    stddev_of: Literal["features", "images"] = parameter(
        "features",
        choices=("features", "images"),
        help="what the statistics are of: the features at 4x4 (authors), or the images given to the network (a port)",
    )
    discrimination: Layer = component("layer", "none", help="before the last fully connected layer")
    noise: Layer = component("layer", "none", help="before every 3x3 and 4x4 convolution")

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """As `FeatureCounts.check_run`; also raises `ValueError` for a layer in a slot that it does not fit."""
        super().check_run(resolution=resolution, stages=stages)
        for slot, channels in (("stddev", self.features(1)), ("discrimination", self.features(0))):
            layer: Layer = getattr(self, slot)
            if _trait(layer, "draws_noise", channels):
                raise ValueError(f"{slot}: a noise layer, but this slot is handed no noise; give it to noise instead")
            if hasattr(layer, "check_channels") and not (slot == "stddev" and self.stddev_of == "images"):
                try:
                    layer.check_channels(channels)
                except ValueError as error:
                    raise ValueError(f"{slot}.{error}") from error
        if not isinstance(self.noise, Empty) and not _trait(self.noise, "draws_noise", self.features(0)):
            raise ValueError("noise: expected a layer that is handed noise, such as multiplicative-noise, or none")
        if self.stddev_of == "images" and (_trait(self.stddev, "averaging", self.features(1)) or "none") == "none":
            raise ValueError(
                "stddev_of: 'images' needs a layer whose statistics are numbers; set stddev to minibatch-stddev with "
                "another averaging than 'none', or take 'features'"
            )

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` if there are too few widths."""
        from ganlab_networks.discriminator import Discriminator

        return Discriminator(self, images)


def _trait(layer: Layer, name: str, channels: int) -> Any:
    """What a layer says of itself: the component where it says it, else the module, whose contract it is."""
    return getattr(layer, name) if hasattr(layer, name) else getattr(layer.build(channels), name, None)
