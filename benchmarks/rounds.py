"""Turns: every variant steps a little in each round, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack

import attrs
import click

from benchmarks.cases import Case
from benchmarks.process import Variant, Worker


@attrs.frozen
class Spread:
    """A median with the quartiles around it."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one or more values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.lower:.3f} to {self.upper:.3f})"


@attrs.frozen
class Measured:
    """One variant of one case, over all rounds."""

    variant: str
    dtype: str
    seconds: Sequence[float]
    """Of a step, one for each round."""
    matrix_rates: Sequence[float]
    """Operations a second of a matrix product in the same type, one for each round; empty if not asked for."""
    peak_bytes: int
    operations: int | None
    """Of a step, as its convolutions are defined; None for a variant that does not count them."""
    done: int | None
    """Of a step, as the algorithms in use do them."""

    @property
    def median_seconds(self) -> float:
        """Of a step."""
        return statistics.median(self.seconds)

    def ratio_to(self, other: Measured) -> Spread:
        """How many times as fast as `other`, round by round."""
        return Spread.of([theirs / mine for mine, theirs in zip(self.seconds, other.seconds, strict=True)])

    def matrix_fraction(self) -> Spread | None:
        """Arithmetic rate over the matrix product's, round by round; over 1 where algorithms do fewer operations."""
        if not self.operations or not self.matrix_rates:
            return None
        pairs = zip(self.seconds, self.matrix_rates, strict=True)
        return Spread.of([self.operations / seconds / rate for seconds, rate in pairs])


def measure(
    variants: Sequence[Variant],
    case: Case | None,
    *,
    rounds: int,
    device: str,
    matrix: bool = False,
    count_operations: bool = False,
    recipe: str = "pggan.toml",
) -> tuple[list[Measured], dict[str, object]]:
    """All variants in turns, and what the machine is."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(it, case, device=device, recipe=recipe)) for it in variants]
        seconds: dict[str, list[float]] = {it.name: [] for it in variants}
        rates: dict[str, list[float]] = {it.dtype: [] for it in variants}
        for number in range(rounds):
            # Each round begins with another one, so that none always comes after the same.
            for worker in workers[number % len(workers) :] + workers[: number % len(workers)]:
                seconds[worker.variant.name].append(worker.visit())
            for dtype, found in rates.items() if matrix else ():
                found.append(workers[0].ask("matrix", dtype=dtype))
        measured = []
        for worker in workers:
            it = worker.variant
            peak = worker.ask("memory")
            counted = [
                worker.ask("operations", as_defined=defined) if count_operations and not it.yardstick else None
                for defined in (True, False)
            ]
            measured.append(Measured(it.name, it.dtype, seconds[it.name], rates[it.dtype], peak, *counted))
        return measured, dict(workers[0].facts)


def said(facts: dict[str, object]) -> None:
    """What the figures belong to, for the top of an output."""
    click.echo(f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}")
