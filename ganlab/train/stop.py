"""Ctrl-C and SIGTERM ask a training to finish its step, save and end; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import attrs

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Those that ask for the end."""


@attrs.define
class StopRequest:
    """Which signal, if any, asked for the end."""

    signal_number: int = 0

    def __call__(self) -> bool:
        return self.signal_number != 0

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, as shells say it; 0 where nobody asked."""
        return 128 + self.signal_number if self.signal_number else 0


@contextmanager
def listening_for_stop() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a `StopRequest` while inside."""
    request = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        if request.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = number

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
