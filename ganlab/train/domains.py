"""Data sets that a system is shown side by side (photographs and paintings), and real images to make samples from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from ganlab.data.reals import Blend, network_reals
from ganlab.interfaces import BuiltSystem, ImageSet


def domains_of(source: ImageSet) -> Sequence[ImageSet]:
    """The sets that one stands for; itself where it stands for no others."""
    return tuple(getattr(source, "domains", ())) or (source,)


Inputs = Callable[[int, int], Tensor]
"""Numbers `(start, stop)` of samples -> the real images they are made from, `[stop - start, domains * C, R, R]`."""


@attrs.frozen
class SampledReals:
    """The images of each domain in their order, not mirrored, as network values; after the last comes the first."""

    domains: Sequence[ImageSet]
    resolution: int
    fade: float
    blend: Blend

    def __call__(self, start: int, stop: int) -> Tensor:
        """`[stop - start, domains * C, resolution, resolution]` in [-1, 1], on the CPU."""
        fade = None if self.fade >= 1 else torch.tensor(self.fade, dtype=torch.float32)
        shown = []
        for domain in self.domains:
            images = torch.tensor(domain.images(self.resolution, np.arange(start, stop) % domain.count))
            shown.append(network_reals(images, fade=fade, blend=self.blend))
        return torch.cat(shown, dim=1)


def inputs_of(system: BuiltSystem, source: ImageSet, resolution: int, fade: float, blend: Blend) -> Inputs | None:
    """What samples of a system are made from at a level; None where it asks for no real images."""
    return SampledReals(domains_of(source), resolution, fade, blend) if system.samples_from_reals else None
