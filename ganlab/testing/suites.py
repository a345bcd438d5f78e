"""Which contracts each kind of component has. What computes them, and torch with it, is imported when asked for."""

from __future__ import annotations

from importlib import import_module

from ganlab.testing.contract import Contract
from ganlab.testing.described import DESCRIBED

HOMES = {
    "layer": "blocks:LAYER",
    "normalization": "blocks:NORMALIZATION",
    "weight-scaling": "scalings:WEIGHT_SCALING",
    "loss": "losses:LOSS",
    "regularizer": "losses:REGULARIZER",
    "schedule": "schedules:SCHEDULE",
    "network": "networks:NETWORK",
    "system": "systems:SYSTEM",
    "augmentation": "augmentations:AUGMENTATION",
    "dataset": "datasets:DATASET",
    "metric": "metrics:METRIC",
    "feature-network": "metrics:FEATURE_NETWORK",
    "optimizer": "optimizers:OPTIMIZER",
    "executor": "executors:EXECUTOR",
}
"""Kind to the module of this package, and the name in it."""


def contracts(kind: str) -> tuple[Contract, ...]:
    """Every contract of a kind: those about the class, then those about what it builds."""
    module, _, name = HOMES[kind].partition(":")
    own: tuple[Contract, ...] = getattr(import_module(f"ganlab.testing.{module}"), name)
    return (*DESCRIBED, *own)
