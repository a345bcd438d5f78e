"""The growth schedule of the popular ports: a level fades in as soon as it starts, and is trained afterwards."""

from __future__ import annotations

import attrs

from ganlab.parameters import parameter

from .settings import Settings, SettingsSchedule, check_resolution, levels_between


@attrs.frozen
class FadeFirst(Settings):
    """Give each level `fade_images` + `stabilize_images`, fading it in over the first of them.

    The first level has nothing to fade from and is trained alone for as long; the last one lasts for the rest of the
    run. Source: github.com/rosinality/progressive-gan-pytorch, which counts iterations where this counts images.
    """

    initial_resolution: int = parameter(4, help="Resolution of the first level.", unit="pixels", check=check_resolution)
    fade_images: int = parameter(
        800_000, help="Images over which a level fades in when it starts.", unit="images", ge=0
    )
    stabilize_images: int = parameter(
        800_000, help="Images shown at a level once it has faded in.", unit="images", ge=0
    )

    def level_at(self, images_shown: int, resolution: int) -> tuple[int, float]:
        images_per_level = self.fade_images + self.stabilize_images
        levels = levels_between(self.initial_resolution, resolution)
        levels_done = min(images_shown // images_per_level, levels)
        images = images_shown - levels_done * images_per_level
        if levels_done == 0 or images >= self.fade_images:
            return self.initial_resolution << levels_done, 1.0
        # A level that is trained has some weight from its first step on, where the port has none.
        return self.initial_resolution << levels_done, max(images, 1) / self.fade_images

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> SettingsSchedule:
        """As `Settings.build`; also raises `ValueError` for a level without images or an unreachable first level."""
        schedule = super().build(resolution=resolution, total_images=total_images, learning_rate=learning_rate)
        levels_between(self.initial_resolution, resolution)
        if self.fade_images + self.stabilize_images == 0:
            raise ValueError("fade_images: expected more than 0, here or in stabilize_images")
        return schedule
