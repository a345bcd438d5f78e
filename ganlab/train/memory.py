"""Does every level fit? Worked out before training by running each level's step on tensors without content.

Fake tensors have a device, a type and a shape but no content: a step with them allocates nothing and goes through the
same operations, autocast included. Following the life of every tensor gives the peak in a moment. Workspaces of the
kernels are not in it, hence the margin.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganlab.errors import TrainingFailed
from ganlab.interfaces import BuiltSchedule, ImageShape, Stage
from ganlab.recipe.rules import stages_of
from ganlab.recipe.schema import Recipe
from ganlab.train.devices import autocast
from ganlab.train.draws import Draws
from ganlab.train.players import Players, bare_players
from ganlab.train.step import Level, Outcome, discriminator_step, generator_step, joint_step

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


class _Following(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves this base class untyped
    """Adds up the storages alive and remembers the most there ever were at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.alive = 0
        self.peak = 0
        self._known: weakref.WeakKeyDictionary[torch.UntypedStorage, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.follow(leaf)
        return out

    def follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = size
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.alive -= size


def level_memory(
    recipe: Recipe, schedule: BuiltSchedule, images: ImageShape, device: torch.device
) -> list[LevelMemory]:
    """The peak of one step of every level at its largest minibatch, faded half in, optimizer state included."""
    stages = largest_stages(schedule, recipe.run.images)
    return [LevelMemory(stage, _peak(recipe, images, stage, device)) for stage in stages]


def largest_stages(schedule: BuiltSchedule, total_images: int) -> list[Stage]:
    """For each resolution the stage with the largest minibatch."""
    largest: dict[int, Stage] = {}
    for stage in stages_of(schedule, total_images):
        if stage.resolution not in largest or stage.minibatch > largest[stage.resolution].minibatch:
            largest[stage.resolution] = stage
    return list(largest.values())


def _peak(recipe: Recipe, images: ImageShape, stage: Stage, device: torch.device) -> int:
    following = _Following()
    with FakeTensorMode(), following, device:
        players = bare_players(recipe, images)
        for outcome in _step(recipe, players, images, stage, device):
            # Two moments beside each gradient, as Adam keeps them.
            held = sum(gradient.untyped_storage().nbytes() for gradient in outcome.gradients if gradient is not None)
            following.alive += 2 * held
            following.peak = max(following.peak, following.alive)
            del outcome
    return following.peak


def _step(
    recipe: Recipe, players: Players, images: ImageShape, stage: Stage, device: torch.device
) -> Iterator[Outcome]:
    """(discriminator, generator) outcomes of one step on tensors without content."""
    minibatch = stage.minibatch
    reals = torch.empty(minibatch, images.channels, stage.resolution, stage.resolution, device=device)
    labels = torch.empty(minibatch, images.label_size, device=device) if images.label_size else None
    widths: Sequence[int] = players.discriminator.noise_channels(stage.resolution)
    noise = [torch.empty(minibatch, width, device=device) for width in widths]
    draws = Draws(
        latents=torch.empty(minibatch, players.generator.latent_size, device=device),
        mixing_factors=torch.empty(minibatch, 1, 1, 1, device=device),
        noise={"reals": noise, "fakes": noise, "mixed": noise},
    )
    enlargement = images.resolution // stage.resolution
    level = Level(stage.resolution, torch.empty((), device=device), enlargement)
    context = autocast(device, recipe.run.precision)
    if recipe.updates.together:
        yield from joint_step(players, reals, labels, draws, level, context)
    else:
        yield discriminator_step(players, reals, labels, draws, level, context)
        yield generator_step(players, reals, labels, draws, level, context)


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


def refuse_what_cannot_fit(levels: Sequence[LevelMemory], device: torch.device) -> None:
    """Raise `TrainingFailed` naming every level that needs more than the device has free, and what to change."""
    free = free_bytes(device)
    if free is None:
        return
    too_large = [level for level in levels if level.peak_bytes * MARGIN > free]
    if too_large:
        lines = [
            f"{level}, {level.peak_bytes * MARGIN / 2**20:,.0f} with what kernels need beside it, is more than the "
            f"{free / 2**20:,.0f} MiB free on {device}; set schedule.minibatches."
            f"{level.stage.resolution} lower, use narrower networks, or stop at a lower data.resolution"
            for level in too_large
        ]
        raise TrainingFailed("\n".join([*lines, "(run.check_memory = false trains all the same)"]))
