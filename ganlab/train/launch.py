"""Starts several ranks on this machine and watches over them, where nobody else (`torchrun`) does.

Beyond what `torchrun` does it passes Ctrl-C and SIGTERM on and ends with the exit code they stand for, names the rank
that was lost in one line, and lets nothing listen but on loopback addresses. It does not import torch.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import attrs

from ganlab.jobs import END_WITH_STARTER, LOST, describe_end, safe_path

STORE = "GANLAB_RANKS_STORE"
"""Environment variable: the file by which the ranks of one machine find each other."""
SAVED = (130, 143)
"""Exit codes after Ctrl-C and SIGTERM."""
GRACE_S = 20.0
"""How long the others may take to end by themselves."""
_STEP_S = 0.05


@attrs.frozen
class End:
    """How a group of ranks ended."""

    exit_code: int
    lost: str = ""
    """What happened to the rank that was lost, if one was."""


def launch(arguments: Sequence[str], ranks: int) -> End:
    """Run `ganlab ARGUMENTS...` in so many processes until all have ended."""
    with tempfile.TemporaryDirectory(prefix="ganlab-ranks-") as folder, _Group() as group:
        store = Path(folder) / "store"
        for rank in range(ranks):
            group.start(arguments, rank, ranks, store)
        return group.watch()


@attrs.define
class _Group:
    """The processes, and the signals passed on to them. Use it as a context manager; nothing outlives it."""

    processes: list[subprocess.Popen[bytes]] = attrs.field(factory=list)
    asked: int = 0
    """The signal that was passed on last."""
    _handlers: dict[int, Any] = attrs.field(factory=dict)

    def __enter__(self) -> _Group:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for process in self.processes:
            process.kill()  # does nothing to one that has ended
            process.wait()

    def start(self, arguments: Sequence[str], rank: int, ranks: int, store: Path) -> None:
        here = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, STORE: store}
        loopback = "lo" if sys.platform == "linux" else "lo0"
        environment = {
            "GLOO_SOCKET_IFNAME": loopback,
            "NCCL_SOCKET_IFNAME": loopback,
            **os.environ,
            **safe_path(),
            **{name: str(value) for name, value in here.items()},
            END_WITH_STARTER: "1",
        }
        # A session of its own: Ctrl-C on the terminal reaches the launcher alone, which passes it on once.
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "ganlab", *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        )

    def watch(self) -> End:
        """Wait for all; once one has failed the others have `GRACE_S` to end."""
        first: int | None = None
        deadline = float("inf")
        while True:
            codes = [process.poll() for process in self.processes]
            if first is None:
                first = next((rank for rank, code in enumerate(codes) if code not in (None, 0, LOST, *SAVED)), None)
                if first is not None:
                    deadline = time.monotonic() + GRACE_S
            if None not in codes:
                return self._end([code or 0 for code in codes], first)
            if time.monotonic() > deadline:
                for process in self.processes:
                    process.kill()
            time.sleep(_STEP_S)

    def _end(self, codes: Sequence[int], first: int | None) -> End:
        """What all the exit codes mean together; `first` is the rank that failed of its own accord before others."""
        if self.asked and all(code in (LOST, *SAVED, -signal.SIGINT, -signal.SIGTERM) for code in codes):
            return End(128 + self.asked)
        if first is None:
            return End(LOST, "a rank was lost") if LOST in codes else End(max(codes))
        code = codes[first]
        if code < 0:
            return End(LOST, f"rank {first} {describe_end(code)}")
        return End(code, "" if first == 0 else f"rank {first} ended with exit code {code}")

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        for process in self.processes:
            process.send_signal(number)  # does nothing to one that has ended
