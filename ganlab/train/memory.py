"""Does every level fit? Worked out before training by running each level's step on tensors without content.

Such a step allocates nothing and goes through the same operations, autocast included. Following the life of every
tensor gives the peak in a moment. Workspaces of the kernels are not in it, hence the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import torch

from ganlab.errors import TrainingFailed
from ganlab.interfaces import BuiltSchedule, ImageShape, Stage
from ganlab.recipe.rules import stages_of
from ganlab.recipe.schema import Recipe
from ganlab.train.rehearsal import Rehearsal
from ganlab.train.spans import fading_levels

MARGIN = 1.25
"""Workspaces, fragments and what else the estimate does not see."""


@attrs.frozen
class LevelMemory:
    """The estimate for one stage."""

    stage: Stage
    peak_bytes: int

    def __str__(self) -> str:
        mebibytes = self.peak_bytes / 2**20
        return f"{self.stage.resolution}x{self.stage.resolution} minibatch {self.stage.minibatch}: {mebibytes:,.0f} MiB"


def level_memory(
    recipe: Recipe, schedule: BuiltSchedule, images: ImageShape, device: torch.device, *, parts: int = 1
) -> list[LevelMemory]:
    """The peak of one step of every level at its largest minibatch, faded half in where it fades, optimizer state
    included.

    With `parts` it is that of one of so many equal parts of the minibatch.
    """
    rehearsal = Rehearsal(recipe, images, device)
    fading = fading_levels(schedule, recipe.run.images)
    levels = []
    for stage in largest_stages(schedule, recipe.run.images):
        share = attrs.evolve(stage, minibatch=stage.minibatch // parts)
        levels.append(
            LevelMemory(share, rehearsal.step(stage, faded=stage.resolution in fading, parts=parts).peak_bytes)
        )
    return levels


def largest_stages(schedule: BuiltSchedule, total_images: int) -> list[Stage]:
    """For each resolution the stage with the largest minibatch."""
    largest: dict[int, Stage] = {}
    for stage in stages_of(schedule, total_images):
        if stage.resolution not in largest or stage.minibatch > largest[stage.resolution].minibatch:
            largest[stage.resolution] = stage
    return list(largest.values())


def free_bytes(device: torch.device) -> int | None:
    """Memory that training may use on a device, or None where it cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    free: list[int] = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free.append(int(fields["MemAvailable"].split()[0]) * 1024)
    group = Path("/sys/fs/cgroup")
    limit, used, parts = group / "memory.max", group / "memory.current", group / "memory.stat"
    if limit.exists() and used.exists() and parts.exists() and limit.read_text().strip().isdecimal():
        statistics = dict(line.split() for line in parts.read_text().splitlines())
        reclaimable = int(statistics.get("inactive_file", 0))  # page cache, which the kernel gives back
        free.append(int(limit.read_text()) - int(used.read_text()) + reclaimable)
    return min(free) if free else None


def refuse_what_cannot_fit(levels: Sequence[LevelMemory], device: torch.device, *, sharers: int = 1) -> None:
    """Raise `TrainingFailed` naming every level that needs more than the device has free, and what to change.

    `sharers` processes use the memory of this machine's CPU.
    """
    free = free_bytes(device)
    if free is None:
        return
    if device.type == "cpu":
        free //= sharers
    too_large = [level for level in levels if level.peak_bytes * MARGIN > free]
    if too_large:
        lines = [
            f"{level}, {level.peak_bytes * MARGIN / 2**20:,.0f} with what kernels need beside it, is more than the "
            f"{free / 2**20:,.0f} MiB free on {device}; set schedule.minibatches."
            f"{level.stage.resolution} lower, use narrower networks, or stop at a lower data.resolution"
            for level in too_large
        ]
        raise TrainingFailed("\n".join([*lines, "(run.check_memory = false trains all the same)"]))
