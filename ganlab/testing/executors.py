"""The suite of executors, which run real processes that end in a moment."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from ganlab.interfaces import Job
from ganlab.testing.contract import Contract, building, expect

PATIENCE_S = 120.0
PRINTS = "import os; print('said', os.environ['CONFORMANCE_JOB'])"
WAITS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("up", flush=True)
time.sleep(60)
"""


@attrs.define
class Told:
    """What an executor said of its jobs, and from which threads."""

    started: list[str] = attrs.field(factory=list)
    ended: dict[str, int] = attrs.field(factory=dict)
    threads: set[int] = attrs.field(factory=set)

    def run(self, component: Any, jobs: list[Job], stop: Callable[[], int]) -> Told:
        """Run the jobs; a stop is asked for when patience is at its end, so that nothing hangs."""
        with building():
            executor = component.build()
        until = time.monotonic() + PATIENCE_S
        executor.run(
            jobs,
            started=self._begins,
            ended=self._ends,
            stop=lambda: int(signal.SIGTERM) if time.monotonic() > until else stop(),
        )
        return self

    def _begins(self, job: Job) -> None:
        self.started.append(job.name)
        self.threads.add(threading.get_ident())

    def _ends(self, job: Job, code: int) -> None:
        self.ended[job.name] = code
        self.threads.add(threading.get_ident())


def _job(folder: str, name: str, program: str) -> Job:
    return Job(
        name,
        (sys.executable, "-c", program),
        str(Path(folder, f"{name}.log")),
        environment={"CONFORMANCE_JOB": name},
    )


def _runs(component: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="ganlab-testing-") as folder:
        codes = {"first": 0, "second": 5, "third": 0}
        jobs = [_job(folder, name, f"{PRINTS}; raise SystemExit({code})") for name, code in codes.items()]
        told = Told().run(component, jobs, lambda: 0)
        expect(
            told.ended == codes, f"jobs ended with {codes}, it told {told.ended}", "call ended(job, its exit code) once"
        )
        expect(
            sorted(told.started) == sorted(codes),
            f"it told that {told.started} started",
            "call started(job) each time that its process begins",
        )
        expect(
            told.threads <= {threading.get_ident()},
            "it calls started() or ended() from another thread",
            "hand what other threads find to the one that called run(), by a queue.Queue",
        )
        for job in jobs:
            text = Path(job.log).read_text() if Path(job.log).exists() else ""
            expect(
                f"said {job.name}" in text,
                f"the log of '{job.name}' has {text!r}, expected what it printed of its environment",
                "start jobs by ganlab.jobs.start, which sets their environment and writes their log",
            )


def _stops(component: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="ganlab-testing-") as folder:
        jobs = [_job(folder, f"job-{number}", WAITS) for number in range(2)]
        began = time.monotonic()

        def stop() -> int:
            up = any(Path(job.log).exists() and "up" in Path(job.log).read_text() for job in jobs)
            return int(signal.SIGTERM) if up else 0

        told = Told().run(component, jobs, stop)
        expect(bool(told.started), "it started nothing")
        expect(
            set(told.ended) == set(told.started),
            f"asked to stop, it told of {told.started} started and {list(told.ended)} ended",
            "wait for those that run, and call ended() for each",
        )
        expect(
            0 not in told.ended.values(), f"asked to stop, it told the codes {told.ended}", "tell the real exit codes"
        )
        expect(
            time.monotonic() - began < min(PATIENCE_S, 55),
            "asked to stop, it waited until jobs ended by themselves",
            "ask stop() several times a second, and send its signal to those that run",
        )


EXECUTOR = (
    Contract(
        "runs",
        "every job runs with its environment and log; its start and exit code are told from the calling thread",
        "run all jobs, and return when the last has ended",
        _runs,
    ),
    Contract(
        "stops",
        "once `stop` returns a signal nothing is started, and what runs is sent it and waited for",
        "look at stop() in the loop that waits",
        _stops,
    ),
)
