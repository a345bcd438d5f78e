"""A schedule without faults."""

import attrs

import ganlab
from ganlab import Stage


@attrs.frozen
class Steps:
    """Doubles the resolution every so many images, with a fade over as many."""

    images_per_level: int = ganlab.parameter(1000, ge=1, unit="images", help="shown at each level")

    def build(self, *, resolution, total_images, learning_rate):
        return BuiltSteps(self, resolution, learning_rate)


@attrs.define
class BuiltSteps:
    settings: Steps
    resolution: int
    learning_rate: float
    settings_interval_steps: int = 1
    asked: int = 0

    def at(self, images_shown):
        self.asked += 1
        level, images = divmod(images_shown, self.settings.images_per_level)
        resolution = min(4 << min(level, 20), self.resolution)
        fade = (1 + images) / self.settings.images_per_level if resolution == 4 << level else 1.0
        return Stage(
            resolution=resolution,
            fade=fade,
            minibatch=8,
            generator_learning_rate=self.learning_rate,
            discriminator_learning_rate=self.learning_rate,
            tick_images=1000,
        )


@ganlab.hookimpl
def register_schedules(register):
    register("steps", Steps, summary="doubles every so many images")
