"""Starts the processes that an executor runs, and sees to it that none of them outlives whoever started it.

A job's standard input is a pipe that nobody writes to. It ends when the starter has, even by `kill -9`, and `ganlab
run` then saves and ends as after SIGTERM (`end_with_starter`). Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import Job

END_WITH_STARTER = "GANLAB_END_WITH_STARTER"
"""Environment variable: standard input is a pipe that lasts as long as the process that started this one."""
LOCK_PATIENCE = "GANLAB_LOCK_PATIENCE_S"
"""Environment variable: seconds to wait for a run folder that another process is still in."""
JOB_PATIENCE_S = 300
"""A job that is started again waits so long for what is left of its earlier process to save and end."""
LOST = 3
"""Exit code of a process that ended because another one it worked with was lost."""
GRACE_S = 120.0
"""How long a job that was asked to end may take to finish its step and save."""
_ORDERLY = (signal.SIGINT, signal.SIGTERM)
_STEP_S = 0.05


def is_lost(code: int) -> bool:
    """Whether a process that ended with `code` was lost through no doing of its own, and should be started again.

    So it is when a signal killed it (negative, or 137 as shells say it), but for Ctrl-C and SIGTERM, by which somebody
    asked it to end; and when one of its ranks was lost.
    """
    return code in (LOST, 128 + signal.SIGKILL) or (code < 0 and -code not in _ORDERLY)


def describe_end(code: int) -> str:
    """How a process ended, in words: "was ended by SIGKILL", "ended with exit code 2"."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def lock_patience_s(default: float) -> float:
    """How long to wait for a run folder that is in use. Raises `GanlabError` where the environment has no number."""
    text = os.environ.get(LOCK_PATIENCE, "")
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise GanlabError(f"{LOCK_PATIENCE}: expected a number of seconds, 0 or more, got {text!r}")
    return seconds


def safe_path() -> dict[str, str]:
    """The environment by which Python looks for modules in the working folder first only if this process does so.

    `python -m ganlab` does, an installed `ganlab` does not.
    """
    return {"PYTHONSAFEPATH": "" if {"", os.getcwd()} & set(sys.path) else "1"}


def note(job: Job, text: str) -> None:
    """Add a line of ganlab's own to a job's log, if the disk takes it: no other job may suffer from that."""
    with contextlib.suppress(OSError), _opened(job) as log:
        log.write(f"ganlab: {text}\n".encode())


def start(job: Job, *, folder: str | os.PathLike[str] | None = None) -> Process:
    """Start a job, in this process's working folder or another. Raises `GanlabError` where that is impossible.

    The process has a session of its own, so Ctrl-C on the terminal does not reach it. Its output is added to `job.log`.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS") if job.threads else ()
    threads = dict.fromkeys(names, str(job.threads))
    unless_set = {LOCK_PATIENCE: str(JOB_PATIENCE_S), "PYTHONUNBUFFERED": "1"}
    own = {**threads, **safe_path(), **job.environment, END_WITH_STARTER: "1"}
    with _opened(job) as log:
        try:
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**unless_set, **os.environ, **own},
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise GanlabError(f"job {job.name}: cannot start {job.command[0]}: {error.strerror or error}") from error
    return Process(job, process)


def _opened(job: Job) -> BinaryIO:
    path = Path(job.log)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise GanlabError(f"job {job.name}: cannot write {path}: {error.strerror or error}") from error


@attrs.define(eq=False)
class Process:
    """A job's process. As a context manager it leaves nothing running."""

    job: Job
    _process: subprocess.Popen[bytes]
    _deadline: float = float("inf")
    _code: int | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id, which is that of its session and process group too."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal that killed it), or None while it runs. Kills one that is overdue."""
        if self._code is None:
            if time.monotonic() > self._deadline:
                self._kill_group()
            self._code = self._process.poll()
            if self._code is not None:
                self._kill_group()  # what it started and left behind, which may hold its run folder
                self._close_pipe()
        return self._code

    def wait(self, timeout_s: float = float("inf")) -> int | None:
        """What `poll` says once it has ended, or after `timeout_s`."""
        until = time.monotonic() + timeout_s
        while (code := self.poll()) is None and time.monotonic() < until:
            time.sleep(_STEP_S)
        return code

    def stop(self, number: int = signal.SIGTERM, grace_s: float = GRACE_S) -> None:
        """Ask it to save and end by a signal; `poll` and `wait` kill it once `grace_s` have passed."""
        self._deadline = time.monotonic() + grace_s
        if self._code is None:
            self._process.send_signal(number)  # does nothing to one that has ended

    def kill(self) -> None:
        """End it at once, with all it started in its session, and wait for that."""
        if self._code is None:
            self._deadline = 0.0
            self.wait()

    def _kill_group(self) -> None:
        # Nobody may be left; macOS refuses where all have ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _close_pipe(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


def end_with_starter() -> None:
    """In a process that `start` began: should its starter be lost, save and end, as after SIGTERM. Elsewhere nothing.

    Call it in the main thread. Processes that this one starts do not take it over.
    """
    if os.environ.pop(END_WITH_STARTER, None) is None:
        return

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    # Who asks for the end is heard, though a worker of Ray hands Ctrl-C down blocked, and `sh` with `&` ignored.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ORDERLY)
    threading.Thread(target=wait, daemon=True).start()
