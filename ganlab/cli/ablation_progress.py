"""The progress of an ablation: a live table of its trials on a terminal, a line a beginning and end elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Literal

import attrs
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ganlab.ablation.folder import AblationFolder
from ganlab.ablation.plan import AblationPlan, Trial
from ganlab.errors import GanlabError
from ganlab.track.journal import Entry, Follower

MOST_ROWS = 24
"""Of more trials, only those that run, and failed, have a row."""


@attrs.define
class _Row:
    """What is known of a trial."""

    trial: Trial
    name: str
    follower: Follower
    state: str = "waiting"
    problem: str = ""
    last: Entry | None = None
    """Of its reports; metrics have lines of their own."""
    decided: float | None = None
    """Last value of the metric that decides."""


class AblationProgress:
    """Follows the trials' journals. Use it as a context manager."""

    def __init__(
        self, plan: AblationPlan, trials: Sequence[Trial], folder: AblationFolder, *, quiet: bool = False
    ) -> None:
        self._plan = plan
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._rows = {trial.id: _Row(trial, folder.name(trial), Follower(folder.trial(trial).path)) for trial in trials}
        for row in self._rows.values():
            row.state = "finished" if folder.is_finished(row.trial) else "waiting"
        self._live: Live | None = None

    def __enter__(self) -> AblationProgress:
        if self._console.is_terminal and not self._quiet:
            self._live = Live(console=self._console, refresh_per_second=1, get_renderable=self._table)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """One message, above the table."""
        if not self._quiet:
            self._console.print(text, markup=False, soft_wrap=True)

    def started(self, trial: Trial) -> None:
        row = self._rows[trial.id]
        again = row.state == "running"
        row.state = "running"
        if self._live is None:
            self.say(f"{self._count()}  {row.name}: {'started again' if again else 'started'}")
        elif again:
            self.say(f"{row.name} was lost and is started again")

    def ended(self, trial: Trial, state: Literal["finished", "stopped", "failed"], problem: str) -> None:
        row = self._rows[trial.id]
        row.state, row.problem = state, problem if state == "failed" else ""
        if self._live is None:
            self._look(row)
            value = "" if row.decided is None else f"  {self._plan.table.decide[0]} {row.decided:.4g}"
            self.say(f"{self._count()}  {row.name}: {row.problem or state}{value}")

    def _count(self) -> str:
        done = sum(row.state == "finished" for row in self._rows.values())
        return f"{done:>3} of {len(self._rows)}"

    def _look(self, row: _Row) -> None:
        try:
            new = row.follower.new()
        except GanlabError:  # the trial itself says so
            return
        for entry in new:
            row.last = entry if "growth/resolution" in entry.values else row.last
            row.decided = entry.values.get(self._plan.table.decide[0], row.decided)

    def _table(self) -> RenderableType:
        table = Table(expand=False, title=Text(f"{self._plan.name}: {self._count().strip()} trials finished"))
        for column in ("variant", "seed", "state", "images", "level", "images/s", self._plan.table.decide[0]):
            table.add_column(Text(column), justify="left" if column in ("variant", "state") else "right")
        rows = list(self._rows.values())
        for row in rows:
            self._look(row)
        shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if row.state in ("running", "failed")]
        for row in shown[:MOST_ROWS]:
            table.add_row(*self._cells(row))
        problems = [Text(f"{row.name}: {row.problem}", "red") for row in rows if row.problem]
        return Group(table, *problems)

    def _cells(self, row: _Row) -> list[Text]:
        """Plain texts: a label may hold what rich takes for markup."""
        total = row.trial.loaded.recipe.run.images
        images = level = rate = ""
        if row.last is not None:
            images = f"{min(row.last.images_shown, total):,} of {total:,}"
            fade = row.last.values.get("growth/fade", 1.0)
            level = f"{row.last.values['growth/resolution']:.0f}" + ("" if fade >= 1 else f" fading in {fade:.0%}")
            if row.state == "running" and "images_per_second" in row.last.time:
                rate = f"{row.last.time['images_per_second']:,.0f}"
        decided = "" if row.decided is None else f"{row.decided:.4g}"
        cells = [row.trial.variant, str(row.trial.seed), row.state, images, level, rate, decided]
        return [Text(cell) for cell in cells]
