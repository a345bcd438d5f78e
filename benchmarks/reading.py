"""What reading costs: steps with a data set's images and with images that are on the device already, in one process.

Two processes that do the same differ by more than reading costs, by where their memory happens to lie.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack

import attrs

from benchmarks.cases import Case
from benchmarks.process import Variant, Worker
from benchmarks.rounds import Spread


@attrs.frozen
class Reading:
    """Seconds of a step with one data set, over all rounds."""

    variant: str
    read: Sequence[float]
    """With its images."""
    there: Sequence[float]
    """With the same images each time, which are on the device."""

    @property
    def median_seconds(self) -> float:
        """Of a step with its images."""
        return statistics.median(self.read)

    @property
    def ratio(self) -> Spread:
        """How many times as long steps with its images take, round by round."""
        return Spread.of([read / there for read, there in zip(self.read, self.there, strict=True)])


def measure_reading(
    variants: Sequence[Variant], case: Case, *, rounds: int, device: str
) -> tuple[list[Reading], dict[str, object]]:
    """All variants in turns, and what the machine is."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(it, case, device=device)) for it in variants]
        seconds: dict[tuple[str, bool], list[float]] = {(it.name, way): [] for it in variants for way in (False, True)}
        for number in range(rounds):
            for worker in workers:
                for resident in (False, True) if number % 2 else (True, False):
                    worker.ask("keep_resident", resident=resident)
                    worker.step(2)  # what comes after the change has not been foreseen
                    seconds[worker.variant.name, resident].append(worker.visit())
        found = [Reading(it.name, seconds[it.name, False], seconds[it.name, True]) for it in variants]
        return found, dict(workers[0].facts)
