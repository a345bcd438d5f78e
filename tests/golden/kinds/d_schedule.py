"""Kind D_schedule: our progressive schedule gives the columns of both official programs at every image count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganlab.interfaces import Stage
from ganlab_schedules.progressive import Progressive
from ganlab_schedules.settings import SettingsSchedule

from ..golden import Case

ATOL = 1e-12
TF_TICKS_KIMG = {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 20, 1024: 10}
THEANO_TICKS_KIMG = {32: 20, 64: 10, 128: 10, 256: 5, 512: 2, 1024: 1}


def check(case: Case) -> None:
    for name in sorted({key.rsplit(".", 1)[0] for key in case}):
        columns = Columns(case, name)
        settings = case.notes[name]
        match name.split(".")[0]:
            case "tf":
                check_tensorflow(columns, settings)
            case "theano":
                check_theano(columns, settings)
            case program:
                raise AssertionError(f"{case.file_name}: unknown program {program}")


def check_tensorflow(columns: Columns, settings: Mapping[str, Any]) -> None:
    resolution = settings["resolution"]
    schedule = tensorflow_schedule(resolution, settings["kwargs"], settings.get("num_gpus", 1))
    columns.case.expect(f"{columns.name}.kimg", columns.nimg / 1000, atol=ATOL)
    columns.expect("lod", schedule, lambda stage: lod(stage, resolution))
    columns.expect("resolution", schedule, lambda stage: stage.resolution)
    columns.expect("minibatch", schedule, lambda stage: stage.minibatch)
    columns.expect("G_lrate", schedule, lambda stage: stage.generator_learning_rate)
    columns.expect("D_lrate", schedule, lambda stage: stage.discriminator_learning_rate)
    columns.expect("tick_kimg", schedule, lambda stage: stage.tick_images / 1000)


def check_theano(columns: Columns, settings: Mapping[str, Any]) -> None:
    given = dict(settings["kwargs"])
    rates = {player: given.pop(f"{player}_learning_rate_max", 0.001) for player in "GD"}
    total_images = images(given.pop("total_kimg", 10_000))
    parameters = Progressive(
        initial_resolution=given.pop("lod_initial_resolution", 4),
        stabilize_images=images(given.pop("lod_training_kimg", 400)),
        fade_images=images(given.pop("lod_transition_kimg", 400)),
        rampup_images=images(given.pop("rampup_kimg", 40)),
        rampdown_images=images(given.pop("rampdown_kimg", 0)),
        minibatch=given.pop("minibatch_default", 16),
        minibatches=by_resolution(given.pop("minibatch_overrides", {})),
        tick_images=images(given.pop("tick_kimg_default", 50)),
        ticks=in_images(given.pop("tick_kimg_overrides", THEANO_TICKS_KIMG)),
    )
    assert given == {}, f"settings that this check does not know: {given}"
    resolution = settings["resolution"]

    def built(learning_rate: float) -> SettingsSchedule:
        return parameters.build(resolution=resolution, total_images=total_images, learning_rate=learning_rate)

    plain = built(1)
    columns.expect("lod", plain, lambda stage: lod(stage, resolution))
    columns.expect("resolution", plain, lambda stage: stage.resolution)
    columns.expect("minibatch", plain, lambda stage: stage.minibatch)
    columns.expect("tick_kimg", plain, lambda stage: stage.tick_images / 1000)
    columns.expect("lrate_multiplier", plain, lambda stage: stage.generator_learning_rate)
    # That program keeps its rates in float32.
    columns.expect("G_lrate", built(rates["G"]), lambda stage: float(np.float32(stage.generator_learning_rate)))
    columns.expect("D_lrate", built(rates["D"]), lambda stage: float(np.float32(stage.discriminator_learning_rate)))


def tensorflow_schedule(
    resolution: int, settings: Mapping[str, Any], num_gpus: int = 1, **extra: Any
) -> SettingsSchedule:
    """Our schedule for the settings of the TF program, absent ones at its defaults; `extra` for our own."""
    given = dict(settings)
    rates = {player: given.pop(f"{player}_lrate_base", 0.001) for player in "GD"}
    tables = {player: by_resolution(given.pop(f"{player}_lrate_dict", {})) for player in "GD"}
    every_resolution = [1 << k for k in range(2, 11)]
    parameters = Progressive(
        initial_resolution=given.pop("lod_initial_resolution", 4),
        stabilize_images=images(given.pop("lod_training_kimg", 600)),
        fade_images=images(given.pop("lod_transition_kimg", 600)),
        minibatch=given.pop("minibatch_base", 16),
        minibatches=by_resolution(given.pop("minibatch_dict", {})),
        devices=num_gpus,
        max_minibatch_per_device=by_resolution(given.pop("max_minibatch_per_gpu", {})),
        generator_learning_rates=tables["G"],
        # One base rate comes from the optimizer; where D's differs, its table says so for every resolution.
        discriminator_learning_rates=tables["D"]
        if rates["D"] == rates["G"]
        else dict.fromkeys(every_resolution, rates["D"]) | tables["D"],
        tick_images=images(given.pop("tick_kimg_base", 160)),
        ticks=in_images(given.pop("tick_kimg_dict", TF_TICKS_KIMG)),
        **extra,
    )
    assert given == {}, f"settings that this check does not know: {given}"
    return parameters.build(resolution=resolution, total_images=1, learning_rate=rates["G"])


def lod(stage: Stage, resolution: int) -> float:
    """The official level of detail of a stage: 0 is the full resolution, 1 the one below."""
    return float(np.log2(resolution / stage.resolution)) + 1 - stage.fade


def images(kimg: float) -> int:
    return round(kimg * 1000)


def by_resolution(table: Mapping[str, Any]) -> dict[int, Any]:
    return {int(resolution): value for resolution, value in table.items()}


def in_images(table: Mapping[Any, float]) -> dict[int, int]:
    return {int(resolution): images(kimg) for resolution, kimg in table.items()}


class Columns:
    """The columns of one case of the file, over its image counts."""

    def __init__(self, case: Case, name: str) -> None:
        self.case, self.name = case, name
        self.nimg = case[f"{name}.nimg"]
        sensitive = case.notes[name].get("rounding_sensitive_nimg", case.notes.get("rounding_sensitive_nimg", []))
        if isinstance(sensitive, Mapping):
            sensitive = sensitive.get(name, [])
        self.sensitive = np.isin(self.nimg, sensitive)

    def expect(self, column: str, schedule: SettingsSchedule, value: Callable[[Stage], float]) -> None:
        """Compare `value` of our stages with a column.

        At counts where the official rounding goes astray, our value at the count beside may stand in.
        """
        key = f"{self.name}.{column}"
        ours = np.array([value(schedule.at(int(count))) for count in self.nimg])
        for row in np.flatnonzero(self.sensitive):
            official, count = self.case[key][row], int(self.nimg[row])
            beside = [value(schedule.at(near)) for near in (count, max(count - 1, 0), count + 1)]
            ours[row] = min(beside, key=lambda candidate: abs(candidate - official))
        self.case.expect(key, ours, atol=ATOL)
