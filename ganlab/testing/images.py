"""Which images a network or system is made for: the smallest are what it is tested with."""

from __future__ import annotations

from typing import Any

import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Stage
from ganlab.testing.contract import NotApplicable

COUNT, CHANNELS, CLASSES = 4, 3, 3
RESOLUTIONS = (8, 16, 32, 64, 128)
"""Tried in turn; the first that a network is made for is the one it is tested at."""


def stage(resolution: int, fade: float = 1.0) -> Stage:
    """A moment of a run."""
    return Stage(
        resolution=resolution,
        fade=fade,
        minibatch=COUNT,
        generator_learning_rate=0.001,
        discriminator_learning_rate=0.001,
        tick_images=1000,
    )


def suits(component: Any, resolution: int, level: int, fade: float = 1.0) -> bool:
    """Whether `check_run` takes a run to `resolution` that trains `level`, so faded."""
    try:
        if hasattr(component, "check_run"):
            component.check_run(resolution=resolution, stages=[stage(level, fade)])
    except (GanlabError, ValueError):
        return False
    return True


def image_shape(component: Any, *, labels: bool) -> ImageShape:
    """The smallest images that a network can be built for. Raises `NotApplicable` where there are none."""
    refusals = []
    for resolution in RESOLUTIONS:
        if not suits(component, resolution, resolution):
            continue
        images = ImageShape(CHANNELS, resolution, CLASSES if labels else 0)
        try:
            with torch.device("meta"):
                component.build(images)
        except GanlabError as error:
            refusals.append(str(error))
        else:
            return images
    tried = ", ".join(f"{resolution}x{resolution}" for resolution in RESOLUTIONS)
    reason = refusals[0] if refusals else "check_run() refuses them all"
    raise NotApplicable(f"not built for images of {tried}: {reason}")


def with_labels_if_it_can(component: Any) -> ImageShape:
    """Images with labels where the network takes them, else without."""
    try:
        return image_shape(component, labels=True)
    except NotApplicable:
        return image_shape(component, labels=False)
