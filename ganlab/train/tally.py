"""Sums what steps report until the next report is due, on the device, so that no step waits for a number."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ganlab.errors import TrainingFailed


class Tally:
    """Running sums of 0-d tensors by name, and for each loss where it first was not finite."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self._broken_at: dict[str, Tensor] = {}

    def add(self, report: Mapping[str, Tensor], images_shown: int) -> None:
        """Add one pass's report; entries named `loss/...` are watched for NaN and infinity."""
        known = [name for name in report if name in self.sums]
        if known:
            torch._foreach_add_([self.sums[name] for name in known], [report[name].detach() for name in known])
        for name, value in report.items():
            if name not in self.sums:
                self.sums[name] = value.detach().float().clone()
            self.counts[name] = self.counts.get(name, 0) + 1
            if name.startswith("loss/"):
                self._watch(name, value, images_shown)

    def _watch(self, name: str, value: Tensor, images_shown: int) -> None:
        if self.device.type == "cpu":  # a look costs nothing here; elsewhere it would wait for the device
            if not math.isfinite(value):
                self._broken_at.setdefault(name, torch.tensor(images_shown))
            return
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
        self.sums.clear()
        self.counts.clear()
        return means

    def tensors(self) -> dict[str, Tensor]:
        """The sums, for a checkpoint."""
        return dict(self.sums)

    def restore(self, sums: Mapping[str, Tensor], counts: Mapping[str, int]) -> None:
        """Go on from the sums and counts of a checkpoint."""
        self.sums = {name: value.to(self.device) for name, value in sums.items()}
        self.counts = dict(counts)


class NonFinite(TrainingFailed):
    """A loss, or a weight, became NaN or infinite."""

    def __init__(self, name: str, images_shown: int) -> None:
        self.name = name
        self.images_shown = images_shown
        super().__init__(f"{name} is not finite in the step that began at {images_shown} images shown")
