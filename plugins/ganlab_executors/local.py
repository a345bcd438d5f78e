"""Runs jobs as processes on this machine, several at once, and starts those again that were lost."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import Job
from ganlab.jobs import Process, describe_end, is_lost, note, start

from .components import Local
from .slots import Slots, usable_cores, visible_gpus

_STEP_S = 0.1


@attrs.frozen(eq=False)
class _Running:
    """A job's process, the GPUs it holds, and how often it was started before."""

    job: Job
    process: Process
    gpus: tuple[str, ...]
    retry: int


@attrs.frozen
class LocalExecutor:
    """See `ganlab.interfaces.BuiltExecutor`."""

    settings: Local

    def run(
        self,
        jobs: Sequence[Job],
        *,
        started: Callable[[Job], None],
        ended: Callable[[Job, int], None],
        stop: Callable[[], int],
    ) -> None:
        """Run them in order. Raises `GanlabError` for one that needs more GPUs than there are, before any is started.

        Where one cannot be started, or a callback raises, the others save and end first.
        """
        slots = self._slots(jobs)
        group = _Group(self.settings, slots, deque((job, 0) for job in jobs), started, ended)
        try:
            group.run(stop)
        except Exception:
            group.stop(signal.SIGTERM)
            for each in group.running:
                each.process.wait()
            raise
        finally:
            for each in group.running:
                each.process.kill()

    def _slots(self, jobs: Sequence[Job]) -> Slots:
        needed = max((job.gpus for job in jobs), default=0)
        listed = self.settings.gpus
        gpus = visible_gpus() if listed is None else tuple(map(str, listed))
        if needed > len(gpus):
            raise GanlabError(f"executor local: a job needs {needed} GPUs, and there are {len(gpus)} to give out")
        cores = usable_cores()
        by_cores = cores // max((job.threads or cores for job in jobs), default=cores)
        return Slots(self.settings.at_once or max(1, len(gpus) if needed else by_cores), gpus)


@attrs.define
class _Group:
    """The jobs that wait and those that run."""

    settings: Local
    slots: Slots
    waiting: deque[tuple[Job, int]]
    started: Callable[[Job], None]
    ended: Callable[[Job, int], None]
    running: list[_Running] = attrs.field(factory=list)
    asked: int = 0
    """The signal that was passed on last."""

    def run(self, stop: Callable[[], int]) -> None:
        """Until all have ended."""
        while self.waiting or self.running:
            number = stop()
            if number and number != self.asked:
                self.stop(number)
            self._start_next()
            for each in list(self.running):
                code = each.process.poll()
                if code is not None:
                    self._end(each, code)
            if self.running:
                time.sleep(_STEP_S)

    def stop(self, number: int) -> None:
        """Start no more, and ask those that run to save and end."""
        self.asked = number
        self.waiting.clear()
        for each in self.running:
            each.process.stop(number, self.settings.grace_s)

    def _start_next(self) -> None:
        """As many as there is room for; none overtakes another, so that one that needs many GPUs gets them."""
        while self.waiting:
            job, retry = self.waiting[0]
            gpus = self.slots.take(job.gpus)
            if gpus is None:
                return
            self.waiting.popleft()
            seen = {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if self.slots.gpus else {}
            process = start(attrs.evolve(job, environment={**seen, **job.environment}))
            self.running.append(_Running(job, process, gpus, retry))
            self.started(job)

    def _end(self, each: _Running, code: int) -> None:
        job = each.job
        self.running.remove(each)
        self.slots.give_back(each.gpus)
        if is_lost(code) and not self.asked and each.retry < self.settings.retries:
            note(job, f"the process {describe_end(code)}; retry {each.retry + 1} of {self.settings.retries}")
            self.waiting.appendleft((job, each.retry + 1))
        else:
            self.ended(job, code)
