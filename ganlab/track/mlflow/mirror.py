"""Follows a run folder from a background thread and keeps MLflow up to date with it.

Training writes files and never waits: a slow, dead or full server costs it nothing, and what was not sent is sent by
the next pass, by `ganlab sync`, or when the run is resumed.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from ganlab.errors import GanlabError
from ganlab.track import store
from ganlab.track.mlflow.delivery import Delivery, LoadGenerator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganlab.recipe.tracking import TrackSettings
    from ganlab.track.folder import RunFolder

INTERVAL_S = 5.0
FIRST_RETRY_S = 30.0
LAST_RETRY_S = 600.0
SYNC_PATIENCE_S = 600.0
"""A `ganlab sync` of the run may still be going on when it is resumed."""


def to_stderr(line: str) -> None:
    """Say something to the person at the terminal."""
    print(f"ganlab: {line}", file=sys.stderr, flush=True)


def sending(folder: RunFolder) -> filelock.FileLock:
    """The lock of the one process that may send a run folder to MLflow."""
    return filelock.FileLock(folder.path / ".mlflow.lock", thread_local=False)


class Mirror:
    """The mirror of one run. Neither `start` nor `close` ever raises because of MLflow.

    Start it when the folder has its recipe and info, and close it when the last status is set. `load_generator`
    gives the generator that is logged when the run is finished, and `say` is told the few things worth a line.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: TrackSettings,
        load_generator: LoadGenerator | None = None,
        *,
        say: Callable[[str], None] = to_stderr,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._load_generator = load_generator
        self._say = say
        self._interval_s = interval_s
        self._closing = threading.Event()
        self._offline = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow the folder; returns at once. Does nothing with `mlflow = false`."""
        if not self._settings.mlflow or self._thread is not None:
            return
        try:
            uri = store.resolve_uri(self._settings.uri)
        except GanlabError as error:
            self._say(f"{error}; training goes on without MLflow")
            return
        if self._settings.uri is None and (old := store.old_runs(Path.cwd())):
            self._say(f"the runs in {old} are of an old MLflow and not shown; `mlflow migrate-filestore` moves them")
        # A daemon: a process that ends without `close` is not kept alive by a server that hangs.
        self._thread = threading.Thread(target=self._follow, args=(uri,), name="ganlab-mlflow", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 30.0, *, give_up: Callable[[], bool] = lambda: False) -> None:
        """Send the rest and how the run ended. Takes `timeout` seconds at most, none if MLflow is offline.

        Ends at once, saying how to send the rest later, when `give_up` (asked all the while) is true or Ctrl-C raises
        `KeyboardInterrupt`: the run has ended well or not before, and only the waiting is broken off.
        """
        if self._thread is None:
            return
        self._closing.set()
        deadline = time.monotonic() + timeout
        why = f"within {timeout:g} s"
        try:
            while self._thread.is_alive() and time.monotonic() < deadline and not self._offline.is_set():
                if give_up():
                    raise KeyboardInterrupt
                self._thread.join(0.05)
        except KeyboardInterrupt:
            why = "yet"
        if self._thread.is_alive() and not self._offline.is_set():
            self._offline.set()
            self._say(f"MLflow has not taken everything {why}; {self._later()}")
        self._thread = None

    def _follow(self, uri: str) -> None:
        try:
            with sending(self._folder).acquire(timeout=SYNC_PATIENCE_S):
                delivery = Delivery(self._folder, self._settings, uri, self._load_generator, say=self._say)
                self._deliver_until_closed(delivery, uri)
        except Exception as error:  # nothing in here may reach training, whatever it is
            self._lost(uri, error)

    def _deliver_until_closed(self, delivery: Delivery, uri: str) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            closing = self._closing.is_set()
            if closing and self._offline.is_set():
                return
            try:
                delivery.deliver(with_model=closing)
            except Exception as error:  # as above; the next pass begins where the store's content ends
                self._lost(uri, error)
                wait_s, retry_s = retry_s, min(2 * retry_s, LAST_RETRY_S)
            else:
                if self._offline.is_set() and not self._closing.is_set():
                    self._say(f"MLflow at {store.without_password(uri)} answers again")
                    self._offline.clear()
                wait_s, retry_s = self._interval_s, FIRST_RETRY_S
            if closing:
                return
            self._closing.wait(wait_s)

    def _lost(self, uri: str, error: Exception) -> None:
        if not self._offline.is_set():
            where = "" if isinstance(error, GanlabError) else f"MLflow at {store.without_password(uri)}: "
            going_on = "" if self._closing.is_set() else "training goes on; "
            self._say(f"{where}{store.reason(error)}; {going_on}{self._later()}")
        self._offline.set()

    def _later(self) -> str:
        return f"`ganlab sync {self._folder.path}` sends the rest later"
