"""The two sides of a metric: real images as they are stored, and images of a generator, both at full resolution.

A level below full resolution is shown as images of full resolution with repeated pixels, as the authors show it. So a
metric's values are comparable at all moments of a run, and between runs that grow and runs that do not.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch

from ganlab.interfaces import BuiltSystem, ImageSet, ImageShape
from ganlab.train.domains import Inputs
from ganlab.train.ranks import ALONE, RankLost, Ranks
from ganlab.train.samples import BATCH, enlarge, generate, sample_labels, sample_latents


@attrs.frozen
class Reals:
    """The data's images in their order, not mirrored, from the first one on again after the last."""

    source: ImageSet
    resolution: int

    @property
    def key(self) -> str | None:
        """Names these images; see `ganlab.interfaces.ImageSource`."""
        return f"{self.source.digest} {self.resolution}x{self.resolution} unmirrored"

    @property
    def count(self) -> int | None:
        """Images of the data set."""
        return self.source.count

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """uint8 `[stop - start, C, resolution, resolution]`."""
        return self.source.images(self.resolution, np.arange(start, stop) % self.source.count)


@attrs.frozen(kw_only=True)
class Fakes:
    """Samples start, ..., stop - 1 of a generator, made by all ranks in whole batches.

    Batches are the same for any number of ranks, and so are the images.
    """

    network: Any
    """A generator in evaluation mode."""
    images: ImageShape
    level: int
    """Resolution that is generated."""
    fade: float
    seed: int
    system: BuiltSystem | None = None
    """How its samples are made; None: it is a generator by itself."""
    inputs: Inputs | None = None
    """The real images that they are made from, where the system asks for them."""
    ranks: Ranks = ALONE

    @property
    def key(self) -> str | None:
        """None: they change while training goes on."""
        return None

    @property
    def count(self) -> int | None:
        """None: there is no end of them."""
        return None

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """uint8 `[stop - start, C, R, R]` at full resolution, asked for by the first rank while the others `help`."""
        self.ranks.broadcast([start, stop])
        if not self.ranks.several:
            return self._made(start, stop)
        try:
            return self._made(start, stop)
        except RankLost:
            raise
        except Exception as error:  # the others wait for this rank's part and cannot be told otherwise
            raise RankLost(f"rank 0 could not generate images for a metric: {error}") from error

    def help(self) -> None:
        """Make this rank's part of whatever the first one asks for, until it calls `end`."""
        while span := self.ranks.broadcast([0]):
            self._made(*span)

    def end(self) -> None:
        """The first rank needs no more."""
        self.ranks.broadcast([])

    def _made(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        ranks = self.ranks
        batches = -(-(stop - start) // BATCH)
        share = -(-batches // ranks.size) * BATCH
        first = min(start + ranks.rank * share, stop)
        own = self._generated(first, min(first + share, stop))
        if ranks.several:
            padded = np.zeros((share, *own.shape[1:]), np.uint8)
            padded[: len(own)] = own
            own = ranks.gather(torch.from_numpy(padded)).numpy()[: stop - start]
        return enlarge(own, self.images.resolution)

    def _generated(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        if start == stop:
            return np.zeros((0, self.images.channels, self.level, self.level), np.uint8)
        latents = sample_latents(self.seed, stop - start, self.network.latent_size, "metrics", start)
        labels = sample_labels(stop, self.images.label_size)
        own_labels = None if labels is None else labels[start:]
        return generate(
            self.network,
            latents,
            own_labels,
            resolution=self.level,
            fade=self.fade,
            system=self.system,
            inputs=self.inputs,
            first=start,
        )
