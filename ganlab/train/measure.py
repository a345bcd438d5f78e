"""The recipe's metrics, measured once on the finished averaged generator and written to the journal.

The first rank measures; fakes are made by all ranks together.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import numpy.typing as npt
import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import Stage
from ganlab.track.journal import read
from ganlab.train.samples import BATCH, generate, sample_labels, sample_latents
from ganlab.train.trainer import Trainer


def measure_at_end(trainer: Trainer, images_shown: int, say: Callable[[str], None]) -> None:
    """Measure every metric of the recipe on fresh latents and journal it; one that cannot be measured is said so."""
    recipe = trainer.recipe
    entries = read(trainer.folder.path) if trainer.ranks.first else []
    done = bool(entries) and any(name.startswith("metric/") for name in entries[-1].values)
    # done: a process that was killed at the very end wrote them
    if not recipe.metrics or trainer.ranks.broadcast(done):
        return
    stage = trainer.schedule.at(images_shown)  # a run may end before it has grown to the data's resolution
    fakes = Fakes(trainer, stage)
    if not trainer.ranks.first:
        fakes.help()
        return

    def reals(start: int, stop: int) -> npt.NDArray[np.uint8]:
        return trainer.source.images(stage.resolution, np.arange(start, stop) % trainer.source.count)

    values: dict[str, float] = {}
    for metric in recipe.metrics:
        try:
            values.update(metric.build()(reals, fakes, seed=recipe.run.seed))
        except GanlabError as error:  # the training is done; a metric must not spoil it
            say(f"{type(metric).__name__} was not measured: {error}")
    fakes.end()
    if not values:
        return
    say("; ".join(f"{name} {value:.4g}" for name, value in sorted(values.items())))
    trainer.folder.journal.write(images_shown, {f"metric/{name}": value for name, value in values.items()}, {})


@attrs.frozen
class Fakes:
    """Samples start, ..., stop - 1 of the averaged generator, made by all ranks in whole batches.

    Batches are the same for any number of ranks, and so are the images.
    """

    trainer: Trainer
    stage: Stage

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """uint8 `[stop - start, C, R, R]`, asked for by the first rank while the others `help`."""
        self.trainer.ranks.broadcast([start, stop])
        return self._made(start, stop)

    def help(self) -> None:
        """Make this rank's part of whatever the first one asks for, until it calls `end`."""
        while span := self.trainer.ranks.broadcast([0]):
            self._made(*span)

    def end(self) -> None:
        """The first rank needs no more."""
        self.trainer.ranks.broadcast([])

    def _made(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        ranks = self.trainer.ranks
        batches = -(-(stop - start) // BATCH)
        share = -(-batches // ranks.size) * BATCH
        first = min(start + ranks.rank * share, stop)
        own = self._generated(first, min(first + share, stop))
        if not ranks.several:
            return own
        padded = np.zeros((share, *own.shape[1:]), np.uint8)
        padded[: len(own)] = own
        whole: npt.NDArray[np.uint8] = ranks.gather(torch.from_numpy(padded)).numpy()
        return whole[: stop - start]

    def _generated(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        trainer, resolution = self.trainer, self.stage.resolution
        if start == stop:
            return np.zeros((0, trainer.images.channels, resolution, resolution), np.uint8)
        size = trainer.players.generator.latent_size
        latents = sample_latents(trainer.recipe.run.seed, stop - start, size, "metrics", start)
        labels = sample_labels(stop, trainer.images.label_size)
        own_labels = None if labels is None else labels[start:]
        averaged = trainer.players.averaged
        return generate(averaged, latents, own_labels, resolution=resolution, fade=self.stage.fade)
