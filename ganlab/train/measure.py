"""The recipe's metrics, measured once on the finished averaged generator and written to the journal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError
from ganlab.track.journal import read
from ganlab.train.samples import generate, sample_labels, sample_latents
from ganlab.train.trainer import Trainer


def measure_at_end(trainer: Trainer, images_shown: int, say: Callable[[str], None]) -> None:
    """Measure every metric of the recipe on fresh latents and journal it; one that cannot be measured is said so."""
    recipe = trainer.recipe
    entries = read(trainer.folder.path)
    done = bool(entries) and any(name.startswith("metric/") for name in entries[-1].values)
    if not recipe.metrics or done:  # done: a process that was killed at the very end wrote them
        return
    stage = trainer.schedule.at(images_shown)  # a run may end before it has grown to the data's resolution
    resolution = stage.resolution

    def reals(start: int, stop: int) -> npt.NDArray[np.uint8]:
        return trainer.source.images(resolution, np.arange(start, stop) % trainer.source.count)

    def fakes(start: int, stop: int) -> npt.NDArray[np.uint8]:
        size = trainer.players.generator.latent_size
        latents = sample_latents(recipe.run.seed, stop - start, size, "metrics", start)
        labels = sample_labels(stop, trainer.images.label_size)
        return generate(
            trainer.players.averaged,
            latents,
            None if labels is None else labels[start:],
            resolution=resolution,
            fade=stage.fade,
        )

    values: dict[str, float] = {}
    for metric in recipe.metrics:
        try:
            values.update(metric.build()(reals, fakes, seed=recipe.run.seed))
        except GanlabError as error:  # the training is done; a metric must not spoil it
            say(f"{type(metric).__name__} was not measured: {error}")
    if not values:
        return
    say("; ".join(f"{name} {value:.4g}" for name, value in sorted(values.items())))
    trainer.folder.journal.write(images_shown, {f"metric/{name}": value for name, value in values.items()}, {})
