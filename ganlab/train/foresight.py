"""What the next steps will ask of the data: the schedule is asked, so that new resolutions and minibatches are known.

It follows the same order of look-ups as `events.py`, seen from the data's side. Where it is wrong, as for a moment
after resuming between two look-ups, decoding is late and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ganlab.data.feed import Span
from ganlab.interfaces import BuiltSchedule, Stage
from ganlab.recipe.rules import stages_of

HORIZON = 16
"""Steps that are foreseen."""


class Step(NamedTuple):
    """A discriminator update."""

    span: Span
    """Its whole minibatch."""
    fade: float
    since_look: int
    """Discriminator updates between the last look-up of the stage and this one."""


class Foresight:
    """Knows the steps that follow; a run looks its stage up anew every `updates_per_look` discriminator updates."""

    def __init__(self, schedule: BuiltSchedule, *, total_images: int, updates_per_look: int) -> None:
        self._schedule = schedule
        self._total = total_images
        self._updates_per_look = updates_per_look
        self._stage: Stage | None = None
        self._now: Step | None = None
        self._coming: deque[Step] = deque()
        resolutions = list(dict.fromkeys(stage.resolution for stage in stages_of(schedule, total_images)))
        self._following = dict(pairwise(resolutions))

    def following_resolution(self, resolution: int) -> int | None:
        """The resolution that comes after this one in the run, None after the last."""
        return self._following.get(resolution)

    def passed(self, span: Span, stage: Stage) -> bool:
        """The step of `span` and its `stage` is being done: was it foreseen? To be called once for each step."""
        since_look = 0 if self._now is None else self._now.since_look + 1
        if stage is not self._stage or since_look >= self._updates_per_look:
            since_look = 0
        self._stage = stage
        self._now = Step(span, stage.fade, since_look)
        foreseen = bool(self._coming) and self._coming.popleft() == self._now
        if not foreseen:
            self._coming.clear()
        return foreseen

    def coming(self) -> Sequence[Step]:
        """The next `HORIZON` steps after the one that was last said to be done, soonest first."""
        assert self._now is not None, "only what follows a step is known"
        last = self._coming[-1] if self._coming else self._now
        while len(self._coming) < HORIZON:
            minibatch, fade = last.span.stop - last.span.start, last.fade
            resolution, start, since_look = last.span.resolution, last.span.stop, last.since_look + 1
            if since_look >= self._updates_per_look:
                if start >= self._total:
                    break
                stage = self._schedule.at(start)
                resolution, minibatch, fade, since_look = stage.resolution, stage.minibatch, stage.fade, 0
            last = Step(Span(resolution, start, start + minibatch), fade, since_look)
            self._coming.append(last)
        return self._coming
