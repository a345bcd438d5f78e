"""Which samples of a minibatch each rank and each micro-batch takes, so that the division changes no statistic.

A minibatch of N is divided into ranks x micro-batches parts of equal size. Modules that compare samples say which ones
(`sample_groups`, see `ganlab.interfaces.Layer`): a part is made of whole groups, so that nothing need be exchanged.
Where whole groups cannot be dealt out, several ranks take neighbouring samples and the modules exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab.errors import RunError
from ganlab.interfaces import Stage
from ganlab.train.players import Players

Groups = npt.NDArray[np.int64]


@attrs.frozen
class Division:
    """Into how many parts, and whose share this process has."""

    ranks: int = 1
    rank: int = 0
    micro_batches: int = 1

    @property
    def parts(self) -> int:
        """Parts of the whole minibatch."""
        return self.ranks * self.micro_batches

    def __str__(self) -> str:
        factors = (f"{self.ranks} ranks" * (self.ranks > 1), f"{self.micro_batches} micro-batches" * self.divides_share)
        return " x ".join(filter(None, factors))

    @property
    def divides_share(self) -> bool:
        """Whether a rank's samples are divided again."""
        return self.micro_batches > 1


@attrs.frozen(eq=False)
class Share:
    """This rank's samples of a minibatch."""

    rows: Groups
    """Their numbers in the minibatch, one micro-batch after the other, each ascending."""
    exchanged: bool
    """Whether modules that compare samples must ask the other ranks."""


def comparing_modules(players: Players) -> dict[str, Any]:
    """Everything that compares samples with each other, by its name in a checkpoint; the averaged generator apart."""
    found = {}
    for player, part in players.modules().items():
        if player != "averaged":
            named = {f"{player}.{name}".rstrip("."): module for name, module in part.named_modules()}
            found.update({name: module for name, module in named.items() if hasattr(module, "sample_groups")})
    return found


def share_of(division: Division, minibatch: int, comparing: Mapping[str, Any]) -> Share:
    """The rank's share of a minibatch of so many samples. Raises `RunError` where they cannot be divided so."""
    problem = indivisible(division, minibatch, comparing)
    if problem:
        raise RunError(problem)
    parts = _whole_groups(division.parts, minibatch, comparing.values())
    exchanged = parts is None
    if parts is None:
        parts = np.split(np.arange(minibatch), division.parts)
    own = parts[division.rank * division.micro_batches :][: division.micro_batches]
    return Share(np.concatenate(own), exchanged)


def indivisible(division: Division, minibatch: int, comparing: Mapping[str, Any]) -> str | None:
    """Why a minibatch cannot be divided so, and what to do about it; None where it can."""
    if minibatch % division.parts:
        return f"a minibatch of {minibatch} cannot be divided into {division} of equal size"
    if division.parts == 1 or _whole_groups(division.parts, minibatch, comparing.values()) is not None:
        return None
    share = minibatch // division.parts
    largest = {name: _largest_group(module, minibatch) for name, module in comparing.items()}
    worst = max(largest, key=lambda name: largest[name])
    if division.divides_share:
        return (
            f"{worst} compares {largest[worst]} of the minibatch's {minibatch} samples, and a micro-batch has only "
            f"{share}; set its group_size to {share} or to a divisor of that, or leave out what compares the whole "
            "minibatch"
        )
    unable = [name for name, module in comparing.items() if not hasattr(module, "exchange")]
    if unable:
        return f"{unable[0]} compares samples of several ranks and has no attribute `exchange` to ask them by"
    return None


def check_divisible(division: Division, stages: Iterable[Stage], players: Players) -> None:
    """Raise `RunError` naming key and level of every minibatch that cannot be divided."""
    if division.parts == 1:
        return
    comparing = comparing_modules(players)
    found: dict[str, list[int]] = {}
    for stage in stages:
        problem = indivisible(division, stage.minibatch, comparing)
        if problem and stage.minibatch % division.parts:
            problem = f"{problem}; choose a multiple of {division.parts}"
            found.setdefault(f"schedule.minibatches.{stage.resolution}: {{}}: {problem}", []).append(stage.resolution)
        elif problem:
            found.setdefault(f"run.micro_batches: {{}}: {problem}", []).append(stage.resolution)
    if found:
        levels = {text: ", ".join(f"{resolution}x{resolution}" for resolution in at) for text, at in found.items()}
        raise RunError("\n".join(text.format(f"at {at}") for text, at in levels.items()))


def _whole_groups(count: int, minibatch: int, comparing: Iterable[Any]) -> list[Groups] | None:
    """The samples of `count` equal parts, each ascending and made of whole groups; None where that cannot be."""
    partitions = [np.asarray(module.sample_groups(minibatch)) for module in comparing]
    labels = _joined(partitions, minibatch)
    groups, sizes = np.unique(labels, return_counts=True)
    if len(groups) % count or len(set(sizes.tolist())) > 1:
        return None
    parts = [np.flatnonzero(np.isin(labels, dealt)) for dealt in np.split(groups, count)]
    # A module sees nothing but its part: what it makes of so many samples must be the same groups.
    for module, partition in zip(comparing, partitions, strict=True):
        within = np.asarray(module.sample_groups(minibatch // count))
        if any(not _same(within, partition[part]) for part in parts):
            return None
    return parts


def _joined(partitions: Iterable[Groups], count: int) -> Groups:
    """For each sample the first one that it must stay together with, through any of the partitions."""
    partitions = list(partitions)
    labels = np.arange(count)
    while True:
        before = labels
        for partition in partitions:
            first = np.full(int(partition.max()) + 1, count)
            np.minimum.at(first, partition, labels)
            labels = first[partition]
        if np.array_equal(before, labels):
            return labels


def _same(one: Groups, other: Groups) -> bool:
    """Whether two partitions are the same but for the numbers of their groups."""
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


def _largest_group(module: Any, count: int) -> int:
    return int(np.bincount(module.sample_groups(count)).max())
