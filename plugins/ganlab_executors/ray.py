"""Runs jobs as tasks of Ray, each of which starts the job's process on its machine and watches over it.

Ray places the tasks and notices lost workers and machines; starting again is decided here, as in `local`. An actor on
this machine, the board, carries what the tasks and this process tell each other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ganlab.errors import GanlabError
from ganlab.interfaces import Job
from ganlab.jobs import describe_end, is_lost, note, safe_path, start

from .cluster import LOCAL, unreachable
from .components import Ray
from .slots import usable_cores

PASSED_ON = ("GANLAB_", "MLFLOW_")
"""Beginnings of the environment variables that jobs on other machines get from here."""
_STORE_BYTES = 100 * 2**20
_STEP_S = 0.25


class _Board:
    """Which tasks have begun, and which signal they are asked to end by."""

    def __init__(self) -> None:
        self.number = 0
        self.begun: list[int] = []

    def begin(self, attempt: int) -> int:
        if not self.number:
            self.begun.append(attempt)
        return self.number

    def asked(self) -> int:
        return self.number

    def ask(self, number: int) -> None:
        self.number = number

    def news(self) -> list[int]:
        begun, self.begun = self.begun, []
        return begun


@attrs.frozen
class _Here:
    """What a job needs to know of the process that runs the executor."""

    python: str
    folder: str
    grace_s: float


def _watch(job: Job, attempt: int, board: Any, here: _Here) -> int | None:
    """The task: start the job's process and return its exit code; None where the end was asked for before.

    It ends with the machine's part in the cluster, which is its parent process: without that the job is started again
    elsewhere.
    """
    if _answer(board.begin.remote(attempt)):
        return None
    raylet = os.getppid()
    program, *arguments = job.command
    command = (sys.executable if program == here.python else program, *arguments)
    with start(attrs.evolve(job, command=command), folder=here.folder) as process:
        asked = 0
        while (code := process.poll()) is None and os.getppid() == raylet:
            number = _answer(board.asked.remote())
            if number != asked:
                asked = number
                process.stop(number, here.grace_s)
            time.sleep(_STEP_S)
    if code is None:
        os._exit(1)  # an exception would reach the executor as the job's own
    return code


def _answer(asked: Any) -> int:
    """What the board answers. While a task waits in `ray.get`, Ray lends its CPU to another."""
    answer: int = asked.future().result()
    return answer


@attrs.frozen
class RayExecutor:
    """See `ganlab.interfaces.BuiltExecutor`."""

    settings: Ray
    address: str
    """Of the cluster to join, or "local" to start one."""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        started: Callable[[Job], None],
        ended: Callable[[Job, int], None],
        stop: Callable[[], int],
    ) -> None:
        """Run them on a cluster. Raises `GanlabError` where there is none, or none of its machines has room for a job.

        What a callback raises ends all jobs.
        """
        with _cluster(self.address, self.settings, jobs):
            _check_room(jobs)
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            lasting = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": -1, "max_task_retries": -1}
            board = ray.remote(_Board).options(**lasting).remote()
            group = _Group(self.settings, board, deque((job, 0) for job in jobs), started, ended)
            try:
                group.run(stop)
            except RayError as error:
                raise GanlabError(f"executor ray: the cluster was lost: {_first_line(error)}") from error
            finally:
                for task in group.running:
                    ray.cancel(task, force=True)
                ray.kill(board)


@attrs.define
class _Running:
    """A task, and how often its job was started before."""

    job: Job
    attempt: int
    retry: int
    begun: bool = False


@attrs.define
class _Group:
    """The jobs that wait here and those that were handed to Ray."""

    settings: Ray
    board: Any
    waiting: deque[tuple[Job, int]]
    started: Callable[[Job], None]
    ended: Callable[[Job, int], None]
    running: dict[Any, _Running] = attrs.field(factory=dict)
    attempts: int = 0
    asked: int = 0
    """The signal that was passed on last."""

    def run(self, stop: Callable[[], int]) -> None:
        """Until all have ended."""
        while self.waiting or self.running:
            number = stop()
            if number and number != self.asked:
                self._stop(number)
            while self.waiting and (not self.settings.at_once or len(self.running) < self.settings.at_once):
                self._hand_over(*self.waiting.popleft())
            if self.asked:
                ray.get(self.board.ask.remote(self.asked))  # again and again: a board that was lost begins anew
            done, _ = ray.wait(list(self.running), num_returns=len(self.running), timeout=_STEP_S)
            self._note_begun()
            for task in done:
                self._end(task, self.running.pop(task))

    def _hand_over(self, job: Job, retry: int) -> None:
        passed_on = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        job_there = attrs.evolve(job, environment={**passed_on, **safe_path(), **job.environment})
        options = {
            "name": job.name,
            "num_cpus": max(1, job.threads),
            "num_gpus": job.gpus,
            "max_retries": 0,
            "scheduling_strategy": "SPREAD",
        }
        here = _Here(sys.executable, os.getcwd(), self.settings.grace_s)
        task = ray.remote(_watch).options(**options).remote(job_there, self.attempts, self.board, here)
        self.running[task] = _Running(job, self.attempts, retry)
        self.attempts += 1

    def _stop(self, number: int) -> None:
        self.asked = number
        self.waiting.clear()
        ray.get(self.board.ask.remote(number))
        self._note_begun()
        for task, each in self.running.items():
            if not each.begun:
                ray.cancel(task)

    def _note_begun(self) -> None:
        news = set(ray.get(self.board.news.remote()))
        for each in self.running.values():
            if each.attempt in news:
                each.begun = True
                self.started(each.job)

    def _end(self, task: Any, each: _Running) -> None:
        code, how = _exit_code(task, each.job)
        if code is None:
            if each.begun:  # while it was called off
                self.ended(each.job, -signal.SIGKILL)
            return
        if is_lost(code) and not self.asked and each.retry < self.settings.retries:
            note(each.job, f"{how}; retry {each.retry + 1} of {self.settings.retries}")
            self.waiting.appendleft((each.job, each.retry + 1))
        else:
            self.ended(each.job, code)


def _exit_code(task: Any, job: Job) -> tuple[int | None, str]:
    """How the job's process ended, in words too; None where it never began."""
    try:
        code = ray.get(task)
    except TaskCancelledError:
        return None, "was called off"
    except GanlabError as error:  # raised by the task, and of Ray's own class too
        raise GanlabError(str(getattr(error, "cause", error))) from error
    except RayTaskError as error:
        if not isinstance(error.cause, RayError):
            raise GanlabError(f"job {job.name}: its task failed on the cluster: {error.cause!r}") from error
        return -signal.SIGKILL, f"the task lost its connection ({type(error.cause).__name__})"
    except RayError as error:
        return -signal.SIGKILL, f"the worker or its machine was lost ({type(error).__name__})"
    return code, "" if code is None else f"the process {describe_end(code)}"


@contextlib.contextmanager
def _cluster(address: str, settings: Ray, jobs: Sequence[Job]) -> Iterator[None]:
    """Connected to a cluster. It is left as it was found, or shut down if it was started here."""
    if ray.is_initialized():
        yield
        return
    with _own_handlers():
        if address == LOCAL:
            _start(max(usable_cores(), max((job.threads for job in jobs), default=1) * max(1, settings.at_once)))
        else:
            _join(address)
    try:
        yield
    finally:
        with _own_handlers():
            ray.shutdown()


def _join(address: str) -> None:
    """Ray by itself would try for minutes, so it is asked only where somebody answers."""
    reason = unreachable(address)
    if not reason:
        try:
            ray.init(address, log_to_driver=False, logging_level="error")
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = _first_line(error)
    if reason:
        raise GanlabError(f"executor ray: cannot join the cluster at {address}: {reason}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def _start(cores: int) -> None:
    """A cluster of this machine alone, on the loopback interface only (see `cluster.keep_to_loopback`)."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        LOCAL,
        num_cpus=cores,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address="127.0.0.1",
    )


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    """Ray puts a handler for SIGTERM in place of ours; put ours back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def _check_room(jobs: Sequence[Job]) -> None:
    """Ray would wait for ever for a machine that is large enough; a line says so at once."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for job in jobs:
        if not any(max(1, job.threads) <= node.get("CPU", 0) and job.gpus <= node.get("GPU", 0) for node in nodes):
            raise GanlabError(
                f"executor ray: no machine there has {max(1, job.threads)} CPUs and {job.gpus} GPUs for {job.name}"
            )
