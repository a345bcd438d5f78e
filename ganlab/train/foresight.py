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

HORIZON = 8
"""Steps that are foreseen."""


class _Step(NamedTuple):
    """A discriminator update to come."""

    span: Span
    """Its whole minibatch."""
    since_look: int
    """Discriminator updates between the last look-up of the stage and this one."""


class Foresight:
    """Knows the spans that follow; a run looks its stage up anew every `updates_per_look` discriminator updates."""

    def __init__(self, schedule: BuiltSchedule, *, total_images: int, updates_per_look: int) -> None:
        self._schedule = schedule
        self._total = total_images
        self._updates_per_look = updates_per_look
        self._stage: Stage | None = None
        self._since_look = 0
        self._coming: deque[_Step] = deque()
        self._spans: deque[Span] = deque()
        resolutions = list(dict.fromkeys(stage.resolution for stage in stages_of(schedule, total_images)))
        self._following = dict(pairwise(resolutions))

    def following_resolution(self, resolution: int) -> int | None:
        """The resolution that comes after this one in the run, None after the last."""
        return self._following.get(resolution)

    def after(self, span: Span, stage: Stage) -> Sequence[Span]:
        """The whole minibatches of the steps after that of `span` and its `stage`, soonest first.

        To be called once for each step.
        """
        looked = stage is not self._stage or self._since_look + 1 >= self._updates_per_look
        self._stage = stage
        self._since_look = 0 if looked else self._since_look + 1
        step = _Step(span, self._since_look)
        if not self._coming or self._coming.popleft() != step:
            self._coming.clear()
            self._spans.clear()
        else:
            self._spans.popleft()
        self._extend(step)
        return self._spans

    def _extend(self, step: _Step) -> None:
        last = self._coming[-1] if self._coming else step
        while len(self._coming) < HORIZON:
            resolution, start, minibatch = last.span.resolution, last.span.stop, last.span.stop - last.span.start
            since_look = last.since_look + 1
            if since_look >= self._updates_per_look:
                if start >= self._total:
                    return
                stage = self._schedule.at(start)
                resolution, minibatch, since_look = stage.resolution, stage.minibatch, 0
            last = _Step(Span(resolution, start, start + minibatch), since_look)
            self._coming.append(last)
            self._spans.append(last.span)
