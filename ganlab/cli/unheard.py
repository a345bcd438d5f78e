"""Trainings and ablations go on when nobody reads their progress any more, as in `ganlab run RECIPE 2>&1 | head`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class _Patient:
    """A standard stream whose reader may go away: what is written then goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As a stream's."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """As a stream's."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._give_up()

    def _give_up(self) -> None:
        """The descriptor leads nowhere from now on, for C libraries and child processes too."""
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


@contextlib.contextmanager
def readers_may_leave() -> Iterator[None]:
    """Inside, a broken pipe at standard output or standard error ends nothing."""
    with (
        contextlib.redirect_stdout(_Patient(sys.stdout)),
        contextlib.redirect_stderr(_Patient(sys.stderr)),
    ):
        yield
