"""How long an iteration of any stage takes on this machine, by doing a few: real data, real updates, nothing learnt."""

from __future__ import annotations

import statistics
import time

import attrs
import torch

from ganlab.interfaces import Stage
from ganlab.train.trainer import Trainer

WARM_UP = 5
"""Iterations in which kernels are chosen and updates are recorded."""
MOST = 50
"""Iterations that are timed."""


def iterate(trainer: Trainer, stage: Stage, images_shown: int) -> int:
    """One iteration as training does it (all discriminator updates, a generator update); returns the images shown."""
    cadence = trainer.cadence
    if cadence.together:
        trainer.update_together(stage, images_shown)
        return images_shown + stage.minibatch
    for _ in range(cadence.discriminator_steps):
        trainer.update_discriminator(stage, images_shown)
        images_shown += stage.minibatch
    trainer.update_generator(stage, images_shown)
    return images_shown


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def iteration_seconds(trainer: Trainer, stage: Stage, images_shown: int, *, budget_seconds: float) -> float:
    """The median of some iterations at `stage`, as many as fit, after those that warm up; the shortest, if no more fit.

    One that by itself takes longer is not repeated. They begin at position `images_shown` of the data, with learning
    rates of 0, so that no weight changes.
    """
    still = attrs.evolve(stage, generator_learning_rate=0.0, discriminator_learning_rate=0.0)
    trainer.clear_optimizers()
    taken: list[float] = []
    began = time.perf_counter()
    while not taken or (len(taken) < WARM_UP + MOST and time.perf_counter() - began < budget_seconds):
        start = time.perf_counter()
        images_shown = iterate(trainer, still, images_shown)
        wait_for(trainer.device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[WARM_UP:] or [min(taken)])
