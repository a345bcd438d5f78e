"""What a plugin is given: the kinds, a way to register, and facts about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

KINDS: Mapping[str, str] = {
    "layer": "layers",
    "normalization": "normalizations",
    "weight-scaling": "weight_scalings",
    "loss": "losses",
    "regularizer": "regularizers",
    "schedule": "schedules",
    "network": "networks",
    "system": "systems",
    "augmentation": "augmentations",
    "dataset": "datasets",
    "metric": "metrics",
    "feature-network": "feature_networks",
    "optimizer": "optimizers",
    "executor": "executors",
}
"""Kind of component, to the plural in its hook's name: a `loss` is registered by `register_losses`."""


@attrs.frozen
class RunInfo:
    """What an observer plugin is told about a run."""

    folder: str
    """The run folder, an absolute path."""
    name: str
    seed: int
    recipe: Mapping[str, Any]
    """The resolved recipe as plain data."""


class Register(Protocol):
    """What a plugin's `register_...` hook is given."""

    def __call__(
        self,
        name: str,
        target: str | type,
        *,
        summary: str = "",
        aliases: Sequence[str] = (),
        deprecated: str | None = None,
    ) -> None:
        """Offer a component under `name` (kebab-case). `target` is a class, or better `"module:Class"`, which keeps
        listing fast. Raises `ValueError` for a bad name or target; the plugin is then shown as broken.
        """
        ...
