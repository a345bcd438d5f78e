"""Schedules and optimizers: at which size and how fast networks learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import torch
    from torch import nn


@attrs.frozen
class Stage:
    """The settings of training at one moment."""

    resolution: int
    fade: float
    """Weight of this resolution's own level in (0, 1]; 1 while it is trained alone."""
    minibatch: int
    """Real images a discriminator step, over all ranks."""
    generator_learning_rate: float
    discriminator_learning_rate: float
    tick_images: int
    """Images shown between two reports."""


class Schedule(Protocol):
    """Kind `schedule`: how resolution, fade, minibatch and learning rates follow the images shown."""

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> BuiltSchedule: ...


class BuiltSchedule(Protocol):
    """A schedule for one run."""

    @property
    def settings_interval_steps(self) -> int:
        """The stage is looked up anew every so many steps (1: at each step)."""
        ...

    def at(self, images_shown: int) -> Stage:
        """A pure function: the stage when so many real images have been shown."""
        ...


class Optimizer(Protocol):
    """Kind `optimizer`. It has the parameter `learning_rate`, which a schedule may override.

    A built one whose steps can be recorded with the gradients (`run.replay`, `run.cuda_graphs`) has two more methods.
    `capturable()` asks for that, and returns whether it can be had; from then on `prepare()` is called before each
    `step()` and does all that the host has to, such as writing the present learning rate into a tensor, and `step()`
    only launches work that is the same each time once every parameter has its state.

    One whose settings change as training goes on has a method `settings_at(images_shown)`: what each of its parameter
    groups is given before an update that so many real images were shown before, or None where nothing ever changes.
    Its steps then cannot be recorded.
    """

    @property
    def learning_rate(self) -> float: ...

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer: ...
