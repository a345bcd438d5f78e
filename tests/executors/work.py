"""Small jobs and what becomes of them, for tests of executors: real processes that sleep, print or die."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from ganlab.interfaces import BuiltExecutor, Job

HOLDS = "import sys, time; from ganlab.jobs import end_with_starter; end_with_starter(); print('up', flush=True); "
"""The beginning of a job's program that ends with its starter, as `ganlab run` does."""


def job(folder: Path, name: str, program: str, **settings: object) -> Job:
    """A job that runs a Python program in a line; its log is `<folder>/<name>.log`."""
    return Job(name, (sys.executable, "-c", program), str(folder / f"{name}.log"), **settings)  # type: ignore[arg-type]


def log(job: Job) -> str:
    """What the job has said so far."""
    return Path(job.log).read_text() if Path(job.log).exists() else ""


def wait_until(true: Callable[[], object], within_s: float = 30) -> None:
    """Until it is so; fails when it takes too long."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not ended, as one does whose starter died and was not waited for."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@attrs.define
class Told:
    """What an executor tells while it runs jobs, and when it is asked to stop."""

    started: list[str] = attrs.field(factory=list)
    ended: dict[str, int] = attrs.field(factory=dict)
    running: set[str] = attrs.field(factory=set)
    most: int = 0
    signal_when: Callable[[], int] = lambda: 0

    def run(self, executor: BuiltExecutor, *jobs: Job) -> Told:
        """All jobs to their ends."""
        executor.run(jobs, started=self._started, ended=self._ended, stop=self.signal_when)
        return self

    def _started(self, job: Job) -> None:
        self.started.append(job.name)
        self.running.add(job.name)
        self.most = max(self.most, len(self.running))

    def _ended(self, job: Job, code: int) -> None:
        assert job.name not in self.ended, "a job ends once"
        self.ended[job.name] = code
        self.running.remove(job.name)
