"""Executors: what runs the trials of an ablation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs


@attrs.frozen
class Job:
    """A process that an executor has to run: the training of one trial of an ablation, started or gone on with."""

    name: str
    """Such as `spatial-s0-1a2b3c4d`; no two jobs share one."""
    command: tuple[str, ...]
    """Program and arguments. Started again after it was lost, it goes on where it was."""
    log: str
    """File that its output is added to, an absolute path."""
    threads: int = 1
    """CPU threads that it computes with; 0 for its own choice, as many as there are cores."""
    gpus: int = 0
    """GPUs that it needs."""
    environment: Mapping[str, str] = attrs.field(factory=dict)
    """Variables to set beside those of the present environment."""


class Executor(Protocol):
    """Kind `executor`: runs the trials of an ablation, here or elsewhere."""

    def build(self) -> BuiltExecutor:
        """Raises `GanlabError` where it cannot work here, and says why."""
        ...


class BuiltExecutor(Protocol):
    """Runs jobs, each by `ganlab.jobs.start`, so that no process outlives whoever started it."""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        started: Callable[[Job], None],
        ended: Callable[[Job, int], None],
        stop: Callable[[], int],
    ) -> None:
        """Run all jobs, as many at once as there is room for, and return when all have ended.

        `started` and `ended` are called from the calling thread: a job's process begins (again), and it has ended for
        good with this exit code (negative: the signal that killed it). One that a signal killed, or whose machine was
        lost, is started again some times before that. `stop` is asked several times a second: once it returns the
        number of a signal, no job is started any more, those that run are sent it, and they are waited for.
        """
        ...
