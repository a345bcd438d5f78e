"""The outcome of a whole minibatch from those of its parts, whoever worked them out: micro-batches and ranks.

Losses are means over samples and parts have equally many, so a minibatch's loss, gradients and report are the means of
its parts'. Parts are added in a fixed order. Gradients travel between ranks in buckets while backward still works on
earlier layers; the last bucket takes the report along, and whether anybody was asked to stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import torch
from torch import Tensor, nn

from ganlab.train.draws import Draws
from ganlab.train.outcome import Outcome
from ganlab.train.ranks import Ranks, noticing_losses
from ganlab.train.stop import SIGNALS

if TYPE_CHECKING:
    from torch.distributed import Work

BUCKET = 2_000_000
"""Numbers that travel together."""


@attrs.frozen
class Part:
    """The inputs of one pass."""

    reals: Tensor
    labels: Tensor | None
    draws: Draws

    def micro_batch(self, number: int, count: int) -> Part:
        """One of `count` equal pieces."""
        size = self.reals.shape[0] // count
        piece = slice(number * size, (number + 1) * size)
        draws = self.draws.each(lambda values: values[piece])
        return Part(self.reals[piece], None if self.labels is None else self.labels[piece], draws)


class WholeMinibatch:
    """Runs passes over this rank's share and makes their outcomes those of the whole minibatch.

    `stop_signal` says which signal this process was sent, or 0; `agreed_stop` what all ranks know of, from the same
    update on everywhere.
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], ranks: Ranks, micro_batches: int, device: torch.device
    ) -> None:
        self.stop_signal: Callable[[], int] = lambda: 0
        self._ranks = ranks
        self._micro_batches = micro_batches
        self._sums = {name: _Sum(network, ranks) for name, network in networks.items()}
        self._stops = _Stops(device)

    def outcomes(
        self, players: Sequence[str], step: Callable[[Part], Sequence[Outcome]], share: Part
    ) -> Sequence[Outcome]:
        """What `step` gives on the whole minibatch: one outcome for each of `players`. Raises `RankLost`.

        With several ranks gradients are taken from backward as they appear: `step` must return them as
        `torch.autograd.grad` gave them, or not have used it.
        """
        if self._micro_batches == 1 and not self._ranks.several:
            return step(share)
        sums = [self._sums[player] for player in players]
        for number in range(self._micro_batches):
            last = number == self._micro_batches - 1
            for total in sums:
                total.sends = last and self._ranks.several
            outcomes = step(share.micro_batch(number, self._micro_batches) if self._micro_batches > 1 else share)
            for total in sums:
                total.sends = False
            if not last:
                for total, outcome in zip(sums, outcomes, strict=True):
                    total.add(outcome)
        parts = self._micro_batches * self._ranks.size
        results = []
        for total, outcome in zip(sums, outcomes, strict=True):
            stop = self._stops.mine(self.stop_signal()) if self._ranks.several else None
            result, stops = total.take(outcome, parts, stop)
            if stops is not None:
                self._stops.heard(stops)
            results.append(result)
        return results

    def agreed_stop(self) -> int:
        """The signal that any rank was sent, or 0; the same on all ranks. Asked once an iteration."""
        return self._stops.agreed() if self._ranks.several else self.stop_signal()


class _Sum:
    """Adds up one player's outcomes over parts, then over ranks."""

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        self.sends = False
        """Whether gradients are sent as backward finds them."""
        self._ranks = ranks
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._before: list[Tensor | None] = [None] * len(self._parameters)
        self._scalars: Tensor | None = None
        self._waiting: list[tuple[int, Tensor]] = []
        self._sent: list[tuple[list[int], Tensor, Work]] = []
        self._found: set[int] = set()
        if ranks.several:
            for number, parameter in enumerate(self._parameters):
                parameter.register_hook(self._hook(number))  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def add(self, outcome: Outcome) -> None:
        """One of the parts before the last."""
        for number, gradient in enumerate(outcome.gradients):
            if gradient is not None:
                before = self._before[number]
                # Not in place: two parameters may have been given one and the same tensor.
                self._before[number] = gradient if before is None else before + gradient
        scalars = _scalars(outcome)
        self._scalars = scalars if self._scalars is None else self._scalars + scalars

    def take(self, last: Outcome, parts: int, stop: Tensor | None) -> tuple[Outcome, Tensor | None]:
        """The mean of all `parts` and the sum of all ranks' `stop`, after the last part of this rank."""
        for number, gradient in enumerate(last.gradients):
            if gradient is not None and number not in self._found:
                self._put(number, gradient)
        scalars = _scalars(last)
        if self._scalars is not None:
            scalars = self._scalars + scalars
        gradients: list[Tensor | None] = [None] * len(self._parameters)
        if stop is None:
            for number, flat in self._waiting:
                gradients[number] = self._shaped(number, flat / parts)
        else:
            self._send(torch.cat([scalars, stop]))
            with noticing_losses():
                for numbers, bucket, work in self._sent:
                    work.wait()
                    sizes = [self._parameters[number].numel() for number in numbers]
                    *flats, rest = torch.split(bucket, [*sizes, bucket.numel() - sum(sizes)])
                    for number, flat in zip(numbers, flats, strict=True):
                        gradients[number] = self._shaped(number, flat.div_(parts))
            scalars, stop = torch.split(rest, [len(scalars), len(stop)])
        self._scalars = None
        self._before = [None] * len(self._parameters)
        self._waiting, self._sent, self._found = [], [], set()
        means = (scalars / parts).unbind()
        return Outcome(means[0], gradients, dict(zip(last.report, means[1:], strict=True))), stop

    def _hook(self, number: int) -> Callable[[Tensor], None]:
        def found(gradient: Tensor) -> None:
            if self.sends:
                self._put(number, gradient.detach())
                if sum(flat.numel() for _, flat in self._waiting) >= BUCKET:
                    self._send()

        return found

    @torch.no_grad()
    def _put(self, number: int, gradient: Tensor) -> None:
        self._found.add(number)
        parameter, before = self._parameters[number], self._before[number]
        if gradient.stride() != parameter.stride():
            gradient = torch.empty_like(parameter).copy_(gradient)
        if before is not None:
            gradient = before + gradient
        # In the order of memory, whatever the layout: nothing need be copied.
        self._waiting.append((number, gradient.as_strided((parameter.numel(),), (1,))))

    @torch.no_grad()
    def _send(self, *more: Tensor) -> None:
        bucket = torch.cat([*(flat for _, flat in self._waiting), *more])
        self._sent.append(([number for number, _ in self._waiting], bucket, self._ranks.begin_sum(bucket)))
        self._waiting = []

    def _shaped(self, number: int, flat: Tensor) -> Tensor:
        parameter = self._parameters[number]
        return flat.as_strided(parameter.shape, parameter.stride(), flat.storage_offset())


def _scalars(outcome: Outcome) -> Tensor:
    """The loss, then the report in its order."""
    return torch.stack([outcome.loss.detach().float(), *(value.float() for value in outcome.report.values())])


class _Stops:
    """Signals of all ranks, learnt with the gradients. A GPU is not waited for: it tells one iteration later."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._nobody = torch.zeros(len(SIGNALS), device=device)
        self._heard: deque[tuple[Tensor, torch.cuda.Event | None]] = deque()
        self._last = 0

    def mine(self, signal: int) -> Tensor:
        """This rank's, as numbers to be added up."""
        if not signal:
            return self._nobody
        return torch.tensor([float(signal == known) for known in SIGNALS], device=self._device)

    def heard(self, counts: Tensor) -> None:
        """What all ranks' came to in an update."""
        if self._device.type != "cuda":
            self._heard.append((counts, None))
            return
        here = torch.empty(len(SIGNALS), pin_memory=True)
        here.copy_(counts, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        event.record()
        self._heard.append((here, event))

    def agreed(self) -> int:
        """The signal somebody was sent, or 0."""
        kept = deque() if self._device.type != "cuda" else deque([self._heard.pop()] if self._heard else [])
        for counts, event in self._heard:
            if event is not None:
                event.synchronize()
            for signal, count in zip(SIGNALS, counts.tolist(), strict=True):
                if count:
                    self._last = signal
        self._heard = kept
        return self._last
