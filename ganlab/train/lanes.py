"""Two halves of a discriminator update at once, each on a thread of its own with half of the processor.

Networks of few features spend their time between operations, not in them, where more threads for each operation are of
no use. What a penalty asks of the discriminator does not depend on its scores of reals and fakes, nor do the gradients:
so both are worked out side by side, and come to the same sums in the same order each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganlab.interfaces import Critique, DiscriminatorPass

Found = TypeVar("Found")


class Lane:
    """The thread beside the caller's."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ganlab-lane")
        self._begun: list[Future[Any]] = []

    def begin(self, work: Callable[..., Found], *given: Any, **named: Any) -> Future[Found]:
        """Have something done there, after what was begun before."""
        future = self._pool.submit(self._do, work, *given, **named)
        self._begun.append(future)
        return future

    @contextmanager
    def halved(self) -> Iterator[None]:
        """Operations here take half of the threads; at the end, also after an error, nothing runs in the lane."""
        whole = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            for future in self._begun:
                if not future.cancel():
                    future.exception()  # waits; who needed the result has been told
            self._begun.clear()
            torch.set_num_threads(whole)

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _do(self, work: Callable[..., Found], *given: Any, **named: Any) -> Found:
        torch.set_num_threads(self._threads)  # counts for the thread that says it
        return work(*given, **named)


class Awaited:
    """Scores of reals and fakes that are being worked out, cut off from how they came about."""

    def __init__(self, future: Future[tuple[Critique, Critique]]) -> None:
        self._future = future
        self._found: tuple[Critique, Critique] | None = None
        self.results: list[Tensor] = []
        """As they came."""
        self.leaves: list[Tensor] = []
        """The same numbers, which gradients end at."""

    def critiques(self) -> tuple[Critique, Critique]:
        """Waits when it is first asked."""
        if self._found is None:
            real, fake = self._future.result()
            self._found = self._cut(real), self._cut(fake)
        return self._found

    def _cut(self, critique: Critique) -> Critique:
        logits = critique.label_logits
        return Critique(self._leaf(critique.scores), None if logits is None else self._leaf(logits))

    def _leaf(self, tensor: Tensor) -> Tensor:
        self.results.append(tensor)
        self.leaves.append(tensor.detach().requires_grad_())
        return self.leaves[-1]


class AwaitedPass(DiscriminatorPass):
    """A pass whose scores are waited for when a loss first looks at them, which a good one does last."""

    awaited: Awaited

    @property
    def real(self) -> Critique:
        """Of the reals."""
        return self.awaited.critiques()[0]

    @property
    def fake(self) -> Critique:
        """Of the fakes."""
        return self.awaited.critiques()[1]


def gradients_in_two(lane: Lane, loss: Tensor, awaited: Awaited, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Of the 0-d `loss`, None for a parameter it does not depend on: through the scores there, by all else here."""
    awaited.critiques()
    on_scores: Sequence[Tensor | None] = torch.autograd.grad(loss, awaited.leaves, retain_graph=True, allow_unused=True)
    through = [(result, on) for result, on in zip(awaited.results, on_scores, strict=True) if on is not None]
    # Both ways meet in the weights that layers hold, so neither may take the graph apart.
    beside = None
    if through:
        results, wanted = zip(*through, strict=True)
        beside = lane.begin(torch.autograd.grad, results, parameters, wanted, retain_graph=True, allow_unused=True)
    here = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    if beside is None:
        return list(here)
    return [_sum(one, other) for one, other in zip(here, beside.result(), strict=True)]


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
