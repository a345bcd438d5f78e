"""`python -m benchmarks.worker`: one variant in a process of its own, told what to do by JSON lines.

{"do": "configure", ...}, {"do": "step", "count": k}, {"do": "matrix", "dtype": "float32"}, {"do": "memory"}, ... Each
is answered by one line, `{"error": ...}` if it failed. Whatever else is printed goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

from ganlab.cli.threads import spin_briefly

spin_briefly()  # before torch is imported, as `ganlab run` does

import torch  # noqa: E402 - see above

from benchmarks import subjects  # noqa: E402 - imports torch
from benchmarks.cases import Case  # noqa: E402 - see above
from benchmarks.machine import choose_device, facts, matrix_rate, resident_bytes, wait_for  # noqa: E402 - see above

_WARM_UP = 6  # updates on the CPU are replayed from the sixth on


class Worker:
    """Holds one subject."""

    def __init__(self) -> None:
        self.subject: Any = None
        self.device = choose_device("auto")
        self.before = 0
        self.closing = contextlib.ExitStack()

    def configure(
        self, variant: str, recipe: str, case: list[int] | None, overrides: list[str], resident: bool, device: str
    ) -> dict[str, Any]:
        """Build the subject and let it take its first steps."""
        self.device = choose_device(device)
        self.before = resident_bytes()
        chosen = Case(*case) if case else None
        if variant != "ganlab":
            assert chosen is not None, "the yardstick has no recipe"
            self.subject = subjects.yardstick_subject(chosen, self.device, halve_first=variant == "halve first")
        else:
            overrides = [f"run.device={device}", *overrides]
            made = subjects.ganlab_subject(recipe, chosen, overrides, resident=resident)
            self.subject = self.closing.enter_context(made)
        self.step(_WARM_UP)
        return facts(self.device)

    def step(self, count: int) -> list[float]:
        """Seconds of each of `count` steps."""
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            self.subject.step()
            wait_for(self.device)
            seconds.append(time.perf_counter() - start)
        return seconds

    def keep_resident(self, resident: bool) -> None:
        """Whether real images are on the device before they are asked for."""
        self.subject.keep_resident(resident)

    def operations(self, as_defined: bool) -> int:
        """Floating-point operations of one step, as convolutions are defined or as they are worked out."""
        return subjects.operations_of(self.subject.trainer, self.subject.stage, as_defined=as_defined)

    def parts(self, count: int) -> dict[str, float]:
        """Seconds of each part of a step, the median of `count`."""
        from benchmarks.parts import part_seconds

        return part_seconds(self.subject, count)

    def matrix(self, dtype: str) -> float:
        """Operations a second of a large matrix product."""
        return matrix_rate(self.device, getattr(torch, dtype))

    def memory(self) -> int:
        """The most bytes the subject has taken since it was configured."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return resident_bytes(most=True) - self.before


def main() -> None:
    """Answer until standard input ends or `quit` comes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker()
    with worker.closing:
        for line in sys.stdin:
            asked = json.loads(line)
            what = asked.pop("do")
            if what == "quit":
                return
            try:
                answer: dict[str, Any] = {"answer": getattr(worker, what)(**asked)}
            except Exception as error:  # the parent says it; a worker has nobody else to tell
                answer = {"error": f"{type(error).__name__}: {error}"}
            answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
