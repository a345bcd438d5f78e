"""Kind D_loop: the events our training loop follows, in the order of the official one, with all they carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from ganlab.train.events import (
    Cadence,
    ClearOptimizers,
    Configure,
    EndTick,
    Event,
    Finish,
    IterationDone,
    Position,
    SaveCheckpoint,
    SaveSamples,
    UpdateDiscriminator,
    UpdateGenerator,
    events,
)

from ..golden import Case
from .d_schedule import images, lod, tensorflow_schedule

Row: TypeAlias = tuple[int, int, float, float, int]
"""Event code, images shown, lod, value, minibatch."""


def check(case: Case) -> None:
    config = dict(case.config)
    train = dict(config.pop("train", {}))
    resolution: int = config.pop("resolution")
    start = images(train.pop("resume_kimg", 0))
    schedule = tensorflow_schedule(
        resolution,
        config.pop("sched", {}),
        config.pop("num_gpus", 1),
        settings_interval_steps=train.pop("minibatch_repeats", 4),
    )
    cadence = Cadence(
        discriminator_steps=train.pop("D_repeats", 1),
        clear_optimizer=train.pop("reset_opt_for_new_lod", True),
        samples_every_ticks=train.pop("image_snapshot_ticks", 1),
        checkpoint_every_ticks=train.pop("network_snapshot_ticks", 10),
    )
    total_images = images(train.pop("total_kimg", 15_000))
    assert (train, config) == ({}, {}), f"settings that this check does not know: {train} {config}"

    position = Position(images_shown=start, tick_started_at=start)
    rows = list(official_rows(events(schedule, cadence, total_images, position), resolution))
    code, nimg, level_of_detail, value, minibatch = (np.array(column) for column in zip(*rows, strict=True))
    case.expect("event", code, "exact")
    case.expect("nimg_before", nimg, "exact")
    case.expect("lod", level_of_detail, atol=1e-12)
    case.expect("value", value, atol=1e-12)
    case.expect("minibatch", minibatch, "exact")


def official_rows(stream: Iterator[Event], resolution: int) -> Iterator[Row]:
    """Our events as the rows of the file."""
    known_lod = -1.0
    for event in stream:
        nimg = event.images_shown
        rows: list[Row]
        match event:
            case Configure(stage=stage, previous=previous):
                known_lod = -1.0 if previous is None else lod(previous, resolution)
                rows = [(7, nimg, lod(stage, resolution), 0.0, stage.minibatch)]
            case ClearOptimizers():
                # When the state is cleared, the lod known there is still that of the settings before.
                rows = [(2, nimg, known_lod, 0.0, 0), (3, nimg, known_lod, 0.0, 0)]
            case UpdateDiscriminator(stage=stage):
                rows = [(0, nimg, lod(stage, resolution), stage.discriminator_learning_rate, stage.minibatch)]
            case UpdateGenerator(stage=stage):
                rows = [(1, nimg, lod(stage, resolution), stage.generator_learning_rate, stage.minibatch)]
            case EndTick(stage=stage):
                rows = [(4, nimg, lod(stage, resolution), nimg / 1000, 0)]
            case SaveSamples(stage=stage):
                rows = [(5, nimg, lod(stage, resolution), 0.0, 0)]
            case SaveCheckpoint(stage=stage):
                rows = [(6, nimg, lod(stage, resolution), 0.0, 0)]
            case Finish(stage=stage):
                rows = [(8, nimg, lod(stage, resolution), 0.0, 0)]
            case IterationDone():
                rows = []  # ours alone: a place where training may stop
            case _:
                raise AssertionError(f"an event that the official loop does not have: {event}")
        yield from rows
