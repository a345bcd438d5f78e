"""Sums what steps report until the next report is due, on the device, so that no step waits for a number."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from ganlab.errors import TrainingFailed


@attrs.frozen
class Names:
    """Of the values in a row."""

    in_order: tuple[str, ...]


def row(report: Mapping[str, Tensor]) -> tuple[Names, Tensor]:
    """A report that is not empty as its names and its values, float32 `[k]`: a single tensor to hand out."""
    values = [value.detach().float() for value in report.values()]
    return Names(tuple(report)), torch.stack([value.to(values[0].device) for value in values])


class Tally:
    """Running sums of 0-d tensors by name, and for each loss where it first was not finite."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self._rows: dict[tuple[str, ...], Tensor] = {}
        """What is reported together is summed together: of these names the sums, which are parts of it."""
        self._alone: set[str] = set()
        """Names whose sums are from a checkpoint and in no row yet."""
        self._broken_at: dict[str, Tensor] = {}

    def add(self, report: Mapping[str, Tensor], images_shown: int) -> None:
        """Add one pass's report; entries named `loss/...` are watched for NaN and infinity."""
        if report:
            names, values = row(report)
            self.add_row(names, values, images_shown)

    def add_row(self, its_names: Names, values: Tensor, images_shown: int) -> None:
        """The same of a report as a `row`."""
        names = its_names.in_order
        if names in self._rows:
            self._rows[names].add_(values)
        else:
            self._begin(names, values)
        counts = self.counts
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        self._watch(names, values, images_shown)

    def _begin(self, names: tuple[str, ...], values: Tensor) -> None:
        if any(name in self.sums and name not in self._alone for name in names):  # in a row with others
            for name, value in zip(names, values, strict=True):
                self.sums[name] = self.sums[name].add_(value) if name in self.sums else value.clone()
            return
        self._rows[names] = values.clone()
        for name, total in zip(names, self._rows[names], strict=True):
            if name in self._alone:
                total.add_(self.sums[name])
            self.sums[name] = total
        self._alone.difference_update(names)

    def _watch(self, names: tuple[str, ...], values: Tensor, images_shown: int) -> None:
        if self.device.type == "cpu":  # a look costs nothing here; elsewhere it would wait for the device
            numbers = values.tolist()
            if not math.isfinite(sum(numbers)):
                for name, number in zip(names, numbers, strict=True):
                    if not math.isfinite(number) and name.startswith("loss/"):
                        self._broken_at.setdefault(name, torch.tensor(images_shown))
            return
        for name, value in zip(names, values, strict=True):
            if name.startswith("loss/"):
                broken = self._broken_at.setdefault(name, torch.full((), -1, dtype=torch.int64, device=self.device))
                broken.masked_fill_(~torch.isfinite(value) & (broken < 0), images_shown)

    def check_finite(self) -> None:
        """Raise `TrainingFailed` if a loss was not finite; this waits for the device."""
        for name, broken in self._broken_at.items():
            position = int(broken)
            if position >= 0:
                raise NonFinite(name, position)

    def take_means(self) -> dict[str, float]:
        """The mean of everything since the last call, by name, and start anew."""
        means = {name: float(total) / self.counts[name] for name, total in sorted(self.sums.items())}
        self._clear()
        return means

    def tensors(self) -> dict[str, Tensor]:
        """The sums, for a checkpoint."""
        return dict(self.sums)

    def restore(self, sums: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
        """Go on from the sums and counts of a checkpoint."""
        self._clear()
        self.sums.update((name, value.to(self.device)) for name, value in sums.items())
        self.counts.update(counts)
        self._alone.update(sums)

    def _clear(self) -> None:
        self.sums.clear()
        self.counts.clear()
        self._rows.clear()
        self._alone.clear()


class NonFinite(TrainingFailed):
    """A loss, or a weight, became NaN or infinite."""

    def __init__(self, name: str, images_shown: int) -> None:
        self.name = name
        self.images_shown = images_shown
        super().__init__(f"{name} is not finite in the step that began at {images_shown} images shown")
