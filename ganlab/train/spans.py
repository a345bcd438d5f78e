"""What a schedule spends its images on: the stretches of a run with one resolution, one minibatch, fading in or not."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import attrs

from ganlab.interfaces import BuiltSchedule, Stage

_LOOKS = 500
"""Moments of a run, equally far from each other, at which a schedule is asked in any case."""
_MOST_LOOKS = 20_000


@attrs.frozen
class Span:
    """A stretch of a run."""

    stage: Stage
    """The stage in its middle; a level that fades in is about half there."""
    start: int
    """Images shown when it begins."""
    images: int
    """Real images shown in it."""

    @property
    def faded(self) -> bool:
        """Whether the level is fading in, so that two resolutions are at work."""
        return self.stage.fade < 1

    @property
    def kind(self) -> tuple[int, int, bool]:
        """What the work of a step depends on: resolution, minibatch, and whether it fades in."""
        return _kind(self.stage)


def spans(schedule: BuiltSchedule, total_images: int) -> list[Span]:
    """The stretches of a run of `total_images` in order, edges exact where nothing comes back within a 500th of it."""
    looks = {moment: _kind(schedule.at(moment)) for moment in {total_images * n // _LOOKS for n in range(_LOOKS + 1)}}
    gaps = deque(pairwise(sorted(looks)))
    while gaps and len(looks) < _MOST_LOOKS:
        start, stop = gaps.popleft()
        middle = (start + stop) // 2
        if start < middle and looks[start] != looks[stop]:
            looks[middle] = _kind(schedule.at(middle))
            gaps += [(start, middle), (middle, stop)]
    moments = sorted(looks)
    starts = [now for before, now in pairwise([-1, *moments]) if looks[now] != looks.get(before)]
    edges = [start for start in starts if start < total_images] + [total_images]
    return [Span(schedule.at((start + stop) // 2), start, stop - start) for start, stop in pairwise(edges)]


def fading_levels(schedule: BuiltSchedule, total_images: int) -> frozenset[int]:
    """Resolutions that fade in at some time of a run; networks without growth are shown no fade at all."""
    return frozenset(span.stage.resolution for span in spans(schedule, total_images) if span.faded)


def _kind(stage: Stage) -> tuple[int, int, bool]:
    return stage.resolution, stage.minibatch, stage.fade < 1
