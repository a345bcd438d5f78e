"""Dynamic loss scaling, without which gradients vanish in float16: its smallest number is 6e-8, a gradient's far less.

A player's loss is multiplied by a power of two before it is differentiated and the gradients are divided by it after.
If one has overflowed, the update is left out and the scale halved; after `INTERVAL` good updates it is doubled. All of
it is tensors: nobody waits for the device, and what was left out is put back by masks. With several ranks the gradients
are those of all, so all decide alike.

Source: Micikevicius et al. 2018 (arXiv 1710.03740), section 3.2; PyTorch's GradScaler reads the decision on the host.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from ganlab.train.players import Pair
from ganlab.train.tally import Tally

FIRST = 2.0**10
"""The scale at the start. Too high costs one update a halving, and those count in Adam's bias correction."""
LARGEST = 2.0**24
LEAST = 1.0
"""If gradients overflow at this scale it is not for the scale, and the training has failed."""
INTERVAL = 1000
"""Good updates in a row after which the scale is doubled."""


class LossScale:
    """The scale of one player's loss."""

    def __init__(self, device: torch.device) -> None:
        self.scale = torch.full((), FIRST, device=device)
        """0-d, a power of two from `LEAST / 2` to `LARGEST`; always the same tensor."""
        self.good_updates = torch.zeros((), dtype=torch.int32, device=device)
        """0-d: updates since the scale last changed."""

    def tensors(self) -> dict[str, Tensor]:
        """Everything it is made of, for a checkpoint."""
        return {"scale": self.scale, "good_updates": self.good_updates}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from the tensors of a checkpoint."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    def settle(
        self, player: str, gradients: Sequence[Tensor | None], report: Mapping[str, Tensor], tally: Tally
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Everything between a scaled loss's gradients, of all ranks, and the update.

        The gradients are unscaled in place. Returns whether to leave the update out, 0-d bool, and what to tally.
        """
        overflow = self.unscale_(gradients)
        self.update_(overflow)
        return overflow, self.report(player, report, overflow, tally)

    @torch.no_grad()
    def unscale_(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Divide the gradients of the scaled loss, in place and exactly, by the scale they were made with.

        Returns whether one of them is not finite, 0-d bool: then `update_` must be given it, and nothing else changed.
        """
        found = torch.zeros((), device=self.scale.device)
        present = [gradient for gradient in gradients if gradient is not None]
        if present:
            torch._amp_foreach_non_finite_check_and_unscale_(present, found, self.scale.reciprocal())
        return found > 0

    @torch.no_grad()
    def update_(self, overflow: Tensor) -> None:
        """Let the scale follow: half of it after an overflow, twice it after `INTERVAL` good updates."""
        grows = ~overflow & (self.good_updates + 1 >= INTERVAL)
        factor = torch.where(overflow, 0.5, torch.where(grows, 2.0, 1.0))
        self.scale.mul_(factor).clamp_(min=LEAST / 2, max=LARGEST)
        self.good_updates.add_(1).masked_fill_(overflow | grows, 0)

    @torch.no_grad()
    def report(self, player: str, report: Mapping[str, Tensor], overflow: Tensor, tally: Tally) -> dict[str, Tensor]:
        """What to tally of an update that may have been left out, and the scale beside it; call it after `update_`.

        Of an update left out, what is not finite is replaced by the mean of the tick so far, so that an overflow spoils
        no report and is no failure; once the scale has fallen below `LEAST`, the loss is reported as NaN.
        """
        kept = {}
        for name, value in report.items():
            count = tally.counts.get(name, 0)
            mean = tally.sums[name] / count if count else torch.zeros_like(value)
            kept[name] = torch.where(overflow & ~torch.isfinite(value), mean, value)
        loss = f"loss/{player}"
        kept[loss] = kept[loss].masked_fill(self.scale < LEAST, torch.nan)
        kept[f"loss_scale/{player}"] = self.scale.clone()
        return kept


def loss_scales(precision: str, device: torch.device) -> dict[str, LossScale]:
    """A scale for each player by name; empty for a precision that needs none."""
    return {player: LossScale(device) for player in ("generator", "discriminator")} if precision == "float16" else {}


def gradient_scale(loss_scale: Tensor) -> Tensor:
    """What to multiply scores by before a gradient penalty differentiates them: about the root of the loss scale.

    The second differentiation then starts with the other half of the exponent, and both halves fall with the scale.
    """
    return torch.exp2((torch.log2(loss_scale) / 2 + 0.25).floor())


@contextlib.contextmanager
def unchanged_where(mask: Tensor | None, tensors: Callable[[], Sequence[Tensor]]) -> Iterator[None]:
    """What `tensors()` names is, where the 0-d `mask` holds, after the block as it was before it.

    Tensors that appear within it (an optimizer's state at its first update) become 0. Without a mask: nothing is done.
    """
    if mask is None:
        yield
        return
    with torch.no_grad():
        before = {id(tensor): (tensor, tensor.clone()) for tensor in tensors()}
        yield
        for tensor in tensors():
            _, old = before.get(id(tensor), (tensor, None))
            torch.where(mask, torch.zeros_like(tensor) if old is None else old, tensor, out=tensor)


def changed_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters and the state of an optimizer, but for its count of updates.

    An update that is left out counts: Adam's bias correction reads that number on the host.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = [v for entry in optimizer.state.values() for k, v in entry.items() if isinstance(v, Tensor) and k != "step"]
    return [*parameters, *state]


def buffers_of(pair: Pair) -> list[Tensor]:
    """What a pair's loss, regularizers and augmentation may change when they observe a step."""
    parts = pair.parts().values()
    return [buffer for part in parts if isinstance(part, nn.Module) for buffer in part.buffers()]
