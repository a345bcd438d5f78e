"""The growth schedule of the progressive GAN: train a level until it is stable, then fade the next one in."""

from __future__ import annotations

import attrs

from ganlab.parameters import parameter

from .settings import Settings, SettingsSchedule, check_resolution, levels_between


@attrs.frozen
class Progressive(Settings):
    """Train each level for `stabilize_images`, then fade in the next one over `fade_images`.

    The first level is `initial_resolution`; the last one is trained for the rest of the run. With both counts 0 the
    resolution stays at `initial_resolution`. Source: Karras et al. 2018, sections 2 and A.1.
    """

    initial_resolution: int = parameter(4, help="Resolution of the first level.", unit="pixels", check=check_resolution)
    stabilize_images: int = parameter(
        800_000, help="Images shown at each level before the next one fades in.", unit="images", ge=0
    )
    fade_images: int = parameter(800_000, help="Images over which a new level fades in.", unit="images", ge=0)

    def level_at(self, images_shown: int, resolution: int) -> tuple[int, float]:
        images_per_level = self.stabilize_images + self.fade_images
        if images_per_level == 0:
            return self.initial_resolution, 1.0
        # Whole numbers throughout: a level starts at an exact count, with no rounding of kimg or lod.
        levels_done, images = divmod(images_shown, images_per_level)
        if levels_done >= levels_between(self.initial_resolution, resolution):
            return resolution, 1.0
        level = self.initial_resolution << levels_done
        if images <= self.stabilize_images:
            return level, 1.0
        return 2 * level, (images - self.stabilize_images) / self.fade_images

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> SettingsSchedule:
        """As `Settings.build`; also raises `ValueError` if `initial_resolution` exceeds `resolution`."""
        schedule = super().build(resolution=resolution, total_images=total_images, learning_rate=learning_rate)
        levels_between(self.initial_resolution, resolution)
        return schedule
