"""The parameters of the augmentations. What computes them is imported only when they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from ganlab.parameters import parameter

if TYPE_CHECKING:
    from torch import nn

    from ganlab.interfaces import ImageShape


@attrs.frozen
class NoAugmentation:
    """Discriminators see reals and fakes as they are."""

    def build(self, images: ImageShape) -> nn.Module | None:
        """None."""
        return None


@attrs.frozen
class DiffAugment:
    """Changes the colours of every image, shifts it and cuts a square out of it, each by its own random amount.

    0 switches a change off. The defaults are the paper's policy "color, translation, cutout". Nothing adapts.
    Source: Zhao et al. 2020 (arXiv 2006.10738), section 3 and its published settings.
    """

    brightness: float = parameter(0.5, help="added to all values: uniform in +- this; images span 2", ge=0, le=2)
    saturation: float = parameter(1.0, help="distance of a pixel from its grey: times 1 +- this, uniform", ge=0, le=1)
    contrast: float = parameter(0.5, help="distance from the image's mean: times 1 +- this, uniform", ge=0, le=1)
    translation: float = parameter(
        0.125, help="whole pixels, uniform in +- this share of the width, both ways; 0 comes in", ge=0, le=1
    )
    cutout: float = parameter(0.5, help="side of the square that is set to 0, as a share of the width", ge=0, le=1)

    def build(self, images: ImageShape) -> nn.Module | None:
        """A `ganlab.interfaces.BuiltAugmentation`, or None where everything is off."""
        from ganlab_augmentations.diffaugment import DiffAugmentModule

        strengths = (self.brightness, self.saturation, self.contrast, self.translation, self.cutout)
        return DiffAugmentModule(self) if any(strengths) else None


def share(help: str) -> Any:  # a parameter, of whatever type it is annotated with
    """A parameter that multiplies the probability of one change."""
    return parameter(1.0, help=f"times the probability: {help}; 0 for never", ge=0, le=1)


@attrs.frozen
class Ada:
    """Adaptive discriminator augmentation: every change is made with a probability p that follows how much the
    discriminator overfits.

    r_t, the mean sign of the scores of reals, is compared with `target`: above it p rises, below it p falls. That asks
    for a loss whose scores are logits around 0 (`non-saturating`, `hinge`). The changes are the paper's "bgc" set:
    pixel blitting, geometric, colour. Its filtering, noise and cutout, which did not help there, are left out.
    Source: Karras et al. 2020 (arXiv 2006.06676), sections 2 and 3, appendix B.
    """

    probability: float | None = parameter(
        None, help="a p that stays as it is; by default p begins at 0 and adapts", ge=0, le=1
    )
    target: float = parameter(0.6, help="r_t that p is adapted towards", gt=-1, lt=1)
    adjust_images: int = parameter(
        500_000, help="images in which p could go from 0 to 1 at the fastest", unit="images", ge=1
    )
    interval: int = parameter(4, help="p is adapted each so many discriminator updates", unit="updates", ge=1)
    limit: float = parameter(
        1.0,
        help="p stays at or below this; the paper found no leaks into the generator below 0.8 (section 2.2)",
        gt=0,
        le=1,
    )

    flip: float = share("left-right, half of the time")
    turn: float = share("by 0, 90, 180 or 270 degrees")
    shift: float = share("by whole pixels")
    shift_limit: float = parameter(0.125, help="uniform in +- this share of the width", ge=0, le=1)

    scale: float = share("larger or smaller")
    scale_spread: float = parameter(0.2, help="standard deviation of the scale's logarithm, base 2", ge=0, le=2)
    rotation: float = share("by any angle, before and after stretching, each with 1 - sqrt(1 - p)")
    rotation_limit: float = parameter(1.0, help="uniform in +- this share of half a turn", ge=0, le=1)
    stretch: float = share("wider and flatter, or the reverse")
    stretch_spread: float = parameter(0.2, help="standard deviation of its logarithm, base 2", ge=0, le=2)
    drift: float = share("by fractions of pixels")
    drift_spread: float = parameter(0.125, help="standard deviation as a share of the width", ge=0, le=1)
    interpolation: Literal["bicubic", "bilinear"] = parameter(
        "bicubic", help="between pixels, for scale, rotation, stretch and drift; bilinear blurs more and costs less"
    )

    brightness: float = share("lighter or darker")
    brightness_spread: float = parameter(0.2, help="standard deviation of what is added; images span 2", ge=0, le=2)
    contrast: float = share("more or less contrast, about 0")
    contrast_spread: float = parameter(0.5, help="standard deviation of its logarithm, base 2", ge=0, le=4)
    luma_flip: float = share("light for dark with the colours kept, half of the time")
    hue: float = share("colours turned about grey; RGB only")
    hue_limit: float = parameter(1.0, help="uniform in +- this share of half a turn", ge=0, le=1)
    saturation: float = share("stronger or weaker colours; RGB only")
    saturation_spread: float = parameter(1.0, help="standard deviation of its logarithm, base 2", ge=0, le=4)

    def __attrs_post_init__(self) -> None:
        if self.probability is not None and self.probability > self.limit:
            raise ValueError(f"probability: expected at most the limit {self.limit:g}, got {self.probability:g}")

    @property
    def adapts(self) -> bool:
        """Whether p follows the discriminator."""
        return self.probability is None

    @property
    def reads_scores(self) -> bool:
        """Whether p follows the scores of reals."""
        return self.probability is None

    def build(self, images: ImageShape) -> nn.Module | None:
        """A `ganlab.interfaces.BuiltAugmentation`, or None where `probability` is 0."""
        from ganlab_augmentations.ada import AdaModule

        return None if self.probability == 0 else AdaModule(self)
