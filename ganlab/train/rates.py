"""What the groups of both optimizers are given as training goes on: rates by the stage, the rest by images shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ganlab.interfaces import Optimizer, Stage


def settings_at(optimizer: Optimizer, images_shown: int) -> Mapping[str, Any] | None:
    """What an optimizer's groups are given when so many images have been shown; None where that never changes."""
    asked = getattr(optimizer, "settings_at", None)
    return None if asked is None else asked(images_shown)


def give_settings(optimizers: Mapping[str, torch.optim.Optimizer], settings: Mapping[str, Any] | None) -> None:
    """Put the settings into every group; None leaves all as it is."""
    if settings is None:
        return
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group.update(settings)


def give_rates(optimizers: Mapping[str, torch.optim.Optimizer], stage: Stage) -> None:
    """Put the stage's learning rates into the groups of the two players' optimizers."""
    rates = {"generator": stage.generator_learning_rate, "discriminator": stage.discriminator_learning_rate}
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = rates[name]
