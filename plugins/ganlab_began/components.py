"""Parameters of BEGAN's networks and loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from ganlab.interfaces import AdversarialLoss, Stage


def _check_smallest(value: int) -> None:
    if value & (value - 1) or not 4 <= value <= 1024:
        raise ValueError(f"expected a power of two from 4 to 1024, got {value}")


@attrs.frozen
class Network:
    """What the generator and both halves of the discriminator have in common.

    All convolutions are 3x3 with ELU and no normalization, but the one that makes the image, which is linear.
    """

    features: int = parameter(
        64, ge=1, le=65_536, help="features n: of every level of a decoder, of an encoder's finest"
    )
    repeats: int = parameter(2, ge=1, le=64, help="convolutions at each resolution")
    smallest: int = parameter(
        4,
        check=_check_smallest,
        unit="pixels",
        help="size of the maps next to the code, and first level that can be trained; the paper has 8",
    )
    skip: bool = parameter(
        False, help="append the decoder's first maps, enlarged, to the input of each of its levels (section 3.5)"
    )
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for a level that is smaller than `smallest`."""
        coarsest = min((stage.resolution for stage in stages), default=resolution)
        if coarsest < self.smallest:
            raise ValueError(
                f"smallest: these networks begin at {self.smallest}x{self.smallest}, but the run trains "
                f"{coarsest}x{coarsest}; set it to {coarsest}, or schedule.initial_resolution to {self.smallest}"
            )

    def check_images(self, images: ImageShape) -> None:
        """Raises `GanlabError` for labels, and for images smaller than `smallest`."""
        if images.label_size:
            raise GanlabError("the networks of BEGAN have no labels; use data without, or the pggan networks")
        if images.resolution < self.smallest:
            raise GanlabError(f"smallest: images of {images.resolution}x{images.resolution} are smaller than that")


@attrs.frozen
class BeganGenerator(Network):
    """A decoder: a linear layer to maps of `smallest` pixels, then `repeats` convolutions at each resolution.

    The latent is uniform in [-1, 1]: the standard normal draws it is given are mapped through their distribution
    function. When it grows, the new level's image fades in over the doubled one of the level below, as in PGGAN.

    Source: Berthelot et al. 2017 (arXiv 1703.10717), section 3.5 and figure 1.
    """

    latent_size: int = parameter(64, ge=1, le=65_536, help="latent dimensions, the paper's N_z")

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator`. Raises `GanlabError` for images with labels, or smaller than `smallest`."""
        from ganlab_began.autoencoder import BeganGenerator as Module

        self.check_images(images)
        return Module(self, images)


@attrs.frozen
class BeganDiscriminator(Network):
    """An autoencoder; the score of an image is its reconstruction error, so that **a higher score means less real**.

    L(v) = mean over channels and pixels of |v - D(v)|^error_power, of images in [-1, 1]. The encoder has `repeats`
    convolutions at each resolution and halves by a convolution of stride 2; the k-th coarsest level below the finest
    has k + 1 times `features`. The decoder is a `began-generator` with weights of its own.

    When it grows there are two fades, both with the level's weight. The encoder takes features of the image blended
    with features of the halved image, as PGGAN's discriminator does. The reconstruction is the new level's output
    blended with the doubled output of the level below, as PGGAN's generator does; it is compared with the image that
    was given, whose detail has faded in as far. At weight 0 the error is thus exactly that of the level below, and
    it starts from there. `fade_output = false` leaves the second fade out: the new level alone makes the whole
    reconstruction from its first image on.

    Source: Berthelot et al. 2017 (arXiv 1703.10717), section 3.5 and figure 1; it does not grow.
    """

    code_size: int = parameter(64, ge=1, le=65_536, help="numbers between encoder and decoder, the paper's N_h")
    error_power: int = parameter(1, ge=1, le=2, help="exponent of the reconstruction error, the paper's eta")
    fade_output: bool = parameter(True, help="fade the reconstruction of a new level in, as its input is")

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` as the generator does."""
        from ganlab_began.autoencoder import BeganDiscriminator as Module

        self.check_images(images)
        return Module(self, images)


@attrs.frozen
class Began:
    """The boundary equilibrium: discriminator L(x) - k L(G(z)), generator L(G(z)), with L the scores as they come.

    After each discriminator update k moves by k_rate * (gamma * L(x) - L(G(z))), with the minibatch's mean errors, and
    stays in [0, 1]: the more fakes are reconstructed too well, the more the discriminator cares to worsen them.
    It is meant for discriminators whose scores are errors, such as `began-discriminator`.

    Reported: `began/k`, `began/balance` = gamma * L(x) - L(G(z)), and `began/convergence`, the paper's global measure
    L(x) + |gamma * L(x) - L(G(z))|, which falls as training goes well.

    Source: Berthelot et al. 2017 (arXiv 1703.10717), sections 3.3 and 3.4. There G(z) in k's step is the generator's
    minibatch, here the discriminator's; with `updates.together` they are the same.
    """

    gamma: float = parameter(0.5, gt=0, le=1, help="diversity: wanted ratio of the errors of fakes and reals")
    k_rate: float = parameter(0.001, ge=0, help="step of k at each update, the paper's lambda_k; 0 holds k")
    k_start: float = parameter(0.0, ge=0, le=1, help="k at the start, the paper's k_0")

    def build(self) -> AdversarialLoss:
        from ganlab_began.equilibrium import EquilibriumLoss

        return EquilibriumLoss(gamma=self.gamma, k_rate=self.k_rate, k_start=self.k_start)
