"""What every schedule of ours has in common: minibatch, learning rates and tick length at each resolution.

A schedule adds only the answer to "which level, and how far faded in, after so many images?" (`level_at`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ganlab.annealing import half_cosine
from ganlab.interfaces import Stage
from ganlab.parameters import check_together, parameter


def is_resolution(value: int) -> bool:
    """Whether networks of this family work at `value` pixels: a power of two, 4 or more."""
    return value >= 4 and value & (value - 1) == 0


def check_resolution(value: int) -> None:
    """Raise `ValueError` unless `value` is a power of two, 4 or more."""
    if not is_resolution(value):
        raise ValueError(f"expected a power of two, 4 or more, got {value!r}")


LARGEST_MINIBATCH = 1_000_000


def table_of(what: str, *, most: float = math.inf) -> Callable[[Mapping[int, Any]], None]:
    """A check for a table from resolutions to positive numbers of at most `most`; `what` names them in messages."""

    def check(table: Mapping[int, Any]) -> None:
        for resolution, value in table.items():
            if not is_resolution(resolution):
                raise ValueError(f"expected resolutions that are powers of two, 4 or more, got {resolution!r}")
            if not value > 0:
                raise ValueError(f"expected {what} of more than 0 at resolution {resolution}, got {value!r}")
            if value > most:
                raise ValueError(f"expected {what} of at most {most} at resolution {resolution}, got {value!r}")

    return check


@attrs.frozen
class Settings:
    """Parameters shared by the schedules. Tables go from a resolution to a value and override the plain parameter."""

    minibatch: int = parameter(
        16, help="Real images a discriminator step, over all devices together.", ge=1, le=LARGEST_MINIBATCH
    )
    minibatches: Mapping[int, int] = parameter(
        {},
        help="Minibatch by resolution, where it is not `minibatch`.",
        check=table_of("a minibatch", most=LARGEST_MINIBATCH),
    )
    devices: int = parameter(
        1, help="Devices that share each minibatch, which is rounded down to a multiple of this number.", ge=1
    )
    max_minibatch_per_device: Mapping[int, int] = parameter(
        {},
        help="Most images that fit on one device, by resolution.",
        check=table_of("a minibatch", most=LARGEST_MINIBATCH),
    )
    learning_rates: Mapping[int, float] = parameter(
        {}, help="Learning rate of both networks by resolution, where not the optimizer's.", check=table_of("a rate")
    )
    generator_learning_rates: Mapping[int, float] = parameter(
        {}, help="Learning rate of the generator by resolution; goes before `learning_rates`.", check=table_of("a rate")
    )
    discriminator_learning_rates: Mapping[int, float] = parameter(
        {},
        help="Learning rate of the discriminator by resolution; goes before `learning_rates`.",
        check=table_of("a rate"),
    )
    rampup_images: int = parameter(
        0, help="Learning rates rise from exp(-5) of their value over the first so many images.", unit="images", ge=0
    )
    rampdown_images: int = parameter(
        0, help="Learning rates fall to zero, linearly, over the last so many images.", unit="images", ge=0
    )
    decay_images: int | None = parameter(
        None, help="Learning rates follow half a cosine over the first so many images.", unit="images", ge=1
    )
    decay_to: float | None = parameter(None, help="Part of the learning rates that half a cosine ends at.", ge=0, le=1)
    tick_images: int = parameter(20_000, help="Images shown between two reports.", unit="images", ge=1)
    ticks: Mapping[int, int] = parameter(
        {}, help="Images between two reports by resolution, where not `tick_images`.", check=table_of("a tick")
    )
    settings_interval_steps: int = parameter(
        1, help="All these settings are looked up anew every so many steps.", unit="steps", ge=1
    )

    def __attrs_post_init__(self) -> None:
        """Refuse a minibatch that leaves devices without images, and half of a decay."""
        check_together(self, "decay_images", "decay_to")
        smallest = min([self.minibatch, *self.minibatches.values()])
        if smallest < self.devices:
            raise ValueError(f"devices: a minibatch of {smallest} cannot be shared by {self.devices} devices")

    def level_at(self, images_shown: int, resolution: int) -> tuple[int, float]:
        """The level trained after `images_shown` images of a run that ends at `resolution`, and its fade in (0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to grow")

    def minibatch_at(self, resolution: int) -> int:
        """Images a step: the table's or the default, made divisible, then held to what the devices can take."""
        wanted = self.minibatches.get(resolution, self.minibatch)
        divisible = wanted - wanted % self.devices
        limit = self.max_minibatch_per_device.get(resolution)
        return divisible if limit is None else min(divisible, limit * self.devices)

    def learning_rate_factor(self, images_shown: int, total_images: int) -> float:
        """Ramp-up times decay times ramp-down; `images_shown` runs over [0, total_images].

        Source: the Theano program; the decay is that of Huang et al. 2024 (arXiv 2501.05441).
        """
        factor = 1.0
        if images_shown < self.rampup_images:
            factor *= math.exp(-5.0 * (1.0 - images_shown / self.rampup_images) ** 2)
        if self.decay_images is not None and self.decay_to is not None:
            factor *= half_cosine(images_shown, start=1.0, end=self.decay_to, images=self.decay_images)
        if self.rampdown_images and images_shown >= total_images - self.rampdown_images:
            factor *= (total_images - images_shown) / self.rampdown_images
        return factor

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> SettingsSchedule:
        """The schedule of a run.

        `resolution` is the finest one, `total_images` the real images to show in all, `learning_rate` the optimizer's.
        Raises `ValueError` where they do not fit the parameters.
        """
        check_resolution(resolution)
        if total_images < 1:
            raise ValueError(f"expected at least 1 image to show in all, got {total_images!r}")
        return SettingsSchedule(self, resolution, total_images, learning_rate)


@attrs.frozen
class SettingsSchedule:
    """A built schedule: pure functions of the images shown."""

    settings: Settings
    resolution: int
    """Finest resolution, in pixels."""
    total_images: int
    learning_rate: float
    """The optimizer's, which the tables override."""

    @property
    def settings_interval_steps(self) -> int:
        """The stage is looked up anew every so many steps."""
        return self.settings.settings_interval_steps

    def at(self, images_shown: int) -> Stage:
        """The stage when `images_shown` real images, 0 to `total_images`, have been shown."""
        settings = self.settings
        resolution, fade = settings.level_at(images_shown, self.resolution)
        both = settings.learning_rates.get(resolution, self.learning_rate)
        factor = settings.learning_rate_factor(images_shown, self.total_images)
        return Stage(
            resolution=resolution,
            fade=fade,
            minibatch=settings.minibatch_at(resolution),
            generator_learning_rate=settings.generator_learning_rates.get(resolution, both) * factor,
            discriminator_learning_rate=settings.discriminator_learning_rates.get(resolution, both) * factor,
            tick_images=settings.ticks.get(resolution, settings.tick_images),
        )


def levels_between(initial_resolution: int, resolution: int) -> int:
    """How often the resolution doubles on the way; raises `ValueError` if `initial_resolution` is the larger."""
    if initial_resolution > resolution:
        raise ValueError(
            f"initial_resolution: expected at most the run's resolution {resolution}, got {initial_resolution}"
        )
    return (resolution // initial_resolution).bit_length() - 1
