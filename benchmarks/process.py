"""A worker process as its parent sees it, and rounds in which several take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import attrs
import click

from benchmarks.cases import Case

ROOT = Path(__file__).parents[1]
VISIT_SECONDS = 0.3
"""A worker steps about so long before it is the next one's turn."""


@attrs.frozen
class Variant:
    """One thing to be measured."""

    name: str
    overrides: Sequence[str] = ()
    yardstick: Literal["", "halve last", "halve first"] = ""
    """Which of the two, where it is one: discriminator blocks halve after their activation, or before."""
    dtype: str = "float32"
    tree: Path = ROOT
    """Root of the checkout whose ganlab is measured."""


class Worker:
    """A process that holds one variant. Use it as a context manager."""

    def __init__(
        self, variant: Variant, case: Case | None, *, device: str = "auto", recipe: str = "pggan.toml"
    ) -> None:
        self.variant = variant
        tree = variant.tree
        # The checkout's own ganlab and, if it has them, benchmarks come before those installed or of this checkout.
        paths = [str(tree), str(tree / "plugins"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            env=environment,
        )
        self.facts: Mapping[str, Any] = self.ask(
            "configure",
            variant=variant.yardstick or "ganlab",
            recipe=str(tree / "recipes" / recipe),
            case=list(attrs.astuple(case)) if case else None,
            overrides=list(variant.overrides),
            resident=False,  # a commit's worker is its own, and earlier ones want to be told
            device=device,
        )
        self._visit = max(1, round(VISIT_SECONDS / statistics.median(self.step(2))))

    def ask(self, what: str, **asked: object) -> Any:
        """The worker's answer. Raises `click.ClickException` with the worker's reason."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **asked}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise click.ClickException(f"{self.variant.name}: the worker ended while asked to {what}")
        answer = json.loads(line)
        if "error" in answer:
            raise click.ClickException(f"{self.variant.name}: {what}: {answer['error']}")
        return answer["answer"]

    def step(self, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        seconds: list[float] = self.ask("step", count=count)
        return seconds

    def visit(self) -> float:
        """Seconds of a step, the median of one turn."""
        return statistics.median(self.step(self._visit))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write('{"do": "quit"}\n')
            self._process.stdin.close()
            self._process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
