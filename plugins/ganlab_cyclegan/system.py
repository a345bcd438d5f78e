"""The parameters of the system of two translators and two critics. Torch is imported only when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape
from ganlab.parameters import parameter

if TYPE_CHECKING:
    from ganlab_cyclegan.cycle import BuiltCycle


@attrs.frozen
class Cycle:
    """Translators a -> b and b -> a, a critic for each side, and images that must survive the way there and back.

    The translators minimize, beside their losses against the critics, `cycle_weight` times the mean absolute
    difference of each image and its translation there and back, and `identity_weight` times that of each image and
    what the translator into its own set makes of it. Critics are shown fakes of a pool of earlier ones.

    Source: Zhu et al. 2017 (arXiv 1703.10593), equations 1 to 3, sections 4 and 5.2.
    """

    cycle_weight: float = parameter(
        10.0, ge=0, help="weight of the absolute difference, [-1, 1], of an image there and back"
    )
    identity_weight: float = parameter(
        0.0,
        ge=0,
        help="weight of the absolute difference of an image that is of the wanted set already and its translation; "
        "the paper has half of cycle_weight where paintings become photographs, and 0 elsewhere",
    )
    pool_size: int = parameter(
        50,
        ge=0,
        le=100_000,
        unit="images",
        help="earlier fakes of each side, one of which a critic is shown half of the time; 0 for the present ones only",
    )

    @property
    def generator_role(self) -> Literal["translator"]:
        """The role that the network in `[generator]` must have."""
        return "translator"

    @property
    def domains(self) -> int:
        """Data sets shown side by side."""
        return 2

    def build(self, images: ImageShape) -> BuiltCycle:
        """A `ganlab.interfaces.BuiltSystem`. Raises `GanlabError` for images with labels."""
        from ganlab_cyclegan.cycle import BuiltCycle

        if images.label_size:
            raise GanlabError("the system 'cycle' has no labels; set data.labels to false")
        return BuiltCycle(self, images)
