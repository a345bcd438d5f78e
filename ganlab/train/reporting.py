"""What updates say of themselves - losses, scores, the norm of their gradients - and its way into the tally.

Measuring gradients takes longer than other reports, so that one update in `GRADIENT_EVERY` is enough. A recorded update
does the same each time: it measures them always and returns all it says as a `Row`. The norm is tallied by itself, so
that all reports of a player have the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from ganlab.train.outcome import Gradients, Outcome
from ganlab.train.tally import Names, Tally, row

GRADIENT_EVERY = 8
"""Of a player's updates since the last report the first, the ninth, ... are measured."""

Row = tuple[Names, Tensor, Tensor | None]
"""What a recorded update reports, and the norm of its gradients, 0-d, where runs are diagnosed."""


@attrs.frozen
class Reporting:
    """Of one training."""

    tally: Tally
    diagnosed: bool
    """Whether gradients are measured at all."""

    def report(self, player: str, outcome: Outcome, loss_scale: Tensor | None) -> Mapping[str, Tensor]:
        """Of an update that is done as usual; its gradients were multiplied by `loss_scale`."""
        if not (self.diagnosed and is_due(player, self.tally)):
            return outcome.report
        return {**outcome.report, _norm_of(player): gradient_norm(outcome.gradients, loss_scale)}

    def row(self, outcome: Outcome) -> Row:
        """Of one that is recorded."""
        return *row(outcome.report), gradient_norm(outcome.gradients) if self.diagnosed else None

    def count(self, player: str, report: Mapping[str, Tensor], images_shown: int) -> None:
        """Add a report to the tally. Raises `NonFinite` on the CPU, where it costs nothing to look."""
        name = _norm_of(player)
        if name in report:
            self.tally.add({name: report[name]}, images_shown)
        self.tally.add({key: value for key, value in report.items() if key != name}, images_shown)
        self._check()

    def count_row(self, player: str, found: Row, images_shown: int) -> None:
        """Add a row to the tally. Raises as `count`."""
        names, values, norm = found
        if norm is not None and is_due(player, self.tally):
            self.tally.add({_norm_of(player): norm}, images_shown)
        self.tally.add_row(names, values, images_shown)
        self._check()

    def _check(self) -> None:
        if self.tally.device.type == "cpu":
            self.tally.check_finite()


def _norm_of(player: str) -> str:
    return f"gradient_norm/{player}"


def is_due(player: str, tally: Tally) -> bool:
    """Whether this player's next gradients are to be measured: the same after a resume, as the tally is saved."""
    return tally.counts.get(f"loss/{player}", 0) % GRADIENT_EVERY == 0


def gradient_norm(gradients: Gradients, loss_scale: Tensor | None = None) -> Tensor:
    """Euclidean norm of all gradients together, 0-d; `loss_scale` is what they were multiplied by."""
    norm = joint_norm([gradient for gradient in gradients if gradient is not None])
    return norm if loss_scale is None else norm / loss_scale


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Euclidean norm of all tensors together, 0-d."""
    if not tensors:
        return torch.zeros(())
    norm: Tensor = torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(list(tensors)))))
    return norm
