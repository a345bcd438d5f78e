"""How near the time that `ganlab plan` tells comes to that of the run itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ganlab.recipe import load_recipe
from ganlab.train.choose import Choice
from ganlab.train.plan import make_plan
from ganlab.train.run import run


class Planned(NamedTuple):
    """Seconds of the whole schedule."""

    before: float
    """As planned before the run,"""
    taken: float
    """as the run took, its start among them,"""
    after: float
    """and as planned after it: a machine may be busier at one time than at another."""

    @property
    def ratio(self) -> float:
        """What was planned, the mean of both times, over what was taken."""
        return (self.before + self.after) / 2 / self.taken


def planned_and_taken(recipe: Path, overrides: Sequence[str], *, seconds: float) -> Planned:
    """Plan, train and plan again; each plan measures for so many seconds."""
    loaded = load_recipe(recipe, overrides)
    before = make_plan(loaded, seconds=seconds, say=_quiet).seconds
    with TemporaryDirectory(prefix="ganlab-planned-") as folder:
        start = time.perf_counter()
        run(loaded, Choice(Path(folder) / "run", "start"), say=_quiet)
        taken = time.perf_counter() - start
    return Planned(before, taken, make_plan(loaded, seconds=seconds, say=_quiet).seconds)


def _quiet(text: str) -> None:
    """Says nothing."""
