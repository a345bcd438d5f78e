"""The progress of a training: a bar on a terminal, a line each report elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ganlab.interfaces import Stage


@attrs.define
class TrainingProgress:
    """Shows level, fade, losses and images per second. Use it as a context manager."""

    total_images: int
    quiet: bool = False
    _console: Console = attrs.field(factory=lambda: Console(stderr=True, highlight=False))
    _bar: Progress | None = None
    _task: TaskID = TaskID(0)
    _losses: str = ""
    _began: tuple[float, int] | None = None
    _last_draw: float = 0.0

    def __enter__(self) -> TrainingProgress:
        if self._console.is_terminal and not self.quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("images"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"),
                console=self._console,
            )
            self._task = self._bar.add_task("starting", total=self.total_images, losses="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One message, above the bar."""
        if not self.quiet:
            self._console.print(text, markup=False, soft_wrap=True)

    def show(self, stage: Stage, images_shown: int, values: Mapping[str, float]) -> None:
        """Called after each step; `values` are those of a report, else empty."""
        now = time.perf_counter()
        if self._began is None:
            self._began = (now, images_shown)
        if values:
            names = {"loss/discriminator": "D", "loss/generator": "G"}
            self._losses = "  ".join(f"{short} {values[name]:.4g}" for name, short in names.items() if name in values)
        if self.quiet or (not values and (self._bar is None or now - self._last_draw < 0.2)):
            return
        self._last_draw = now
        speed = (images_shown - self._began[1]) / max(now - self._began[0], 1e-9)
        level = f"{stage.resolution}x{stage.resolution}" + ("" if stage.fade >= 1 else f" fading in {stage.fade:.0%}")
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=min(images_shown, self.total_images),
                description=level,
                losses=f"{self._losses}  {speed:,.0f} images/s",
            )
        else:
            self.say(
                f"{images_shown:>9,} of {self.total_images:,} images  {level}  {self._losses}  {speed:,.0f} images/s"
            )
