"""The random numbers of a run's passes, a few passes at once.

A pass takes the processor's caches for itself, and what Python does after it takes several times as long as when it is
done again. As draws are pure functions of their position, drawing ahead has no influence on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ganlab.interfaces import ImageSet, Stage
from ganlab.randomness import Streams
from ganlab.train.draws import Draws, draw_pairs, on_device
from ganlab.train.players import Players
from ganlab.train.sharing import Sharing

PASSES = 64
"""Drawn at once, as soon as it is seen how far apart they are,"""
NUMBERS = 2**18
"""and fewer if they would take more random numbers than so many."""

T = TypeVar("T")


class Ahead(Generic[T]):
    """What `draw(position)` gives, worked out for several positions at once where they come at equal distances."""

    def __init__(self, draw: Callable[[int], T], numbers: Callable[[T], int]) -> None:
        """`numbers` tells how many a draw has taken."""
        self._draw = draw
        self._numbers = numbers
        self._last: int | None = None
        self._coming: deque[tuple[int, T]] = deque()

    def at(self, position: int) -> T:
        """To be asked for one position after another."""
        distance, self._last = 0 if self._last is None else position - self._last, position
        if self._coming:
            foreseen, drawn = self._coming.popleft()
            if foreseen == position:
                return drawn
            self._coming.clear()
        found = self._draw(position)
        if distance > 0:
            passes = min(PASSES, NUMBERS // max(1, self._numbers(found)))
            later = range(position + distance, position + passes * distance, distance)
            self._coming.extend([(each, self._draw(each)) for each in later])
        return found


class RunDraws:
    """The draws of one training, for this rank's part of each minibatch."""

    def __init__(
        self, seed: int, players: Players, sharing: Sharing, source: ImageSet, label_size: int, device: torch.device
    ) -> None:
        """`source` is what is trained on, whose labels are drawn from where `label_size` is not 0."""
        self._streams = Streams(seed)
        self._players = players
        self._sharing = sharing
        self._source = source
        self._label_size = label_size
        self._device = device
        self._setting: Hashable = None
        self._ahead: dict[str, Ahead[Draws]] = {}
        self._labels: Ahead[Tensor] | None = None

    def of(self, purpose: str, stage: Stage, images_shown: int) -> Draws:
        """Of the pass `purpose` ("discriminator" or "generator") that begins at `images_shown`."""
        self._enter(stage)
        if purpose not in self._ahead:
            self._ahead[purpose] = Ahead(lambda position: self._drawn(purpose, stage, position), _numbers)
        return self._ahead[purpose].at(images_shown)

    def of_whole(self, purpose: str, stage: Stage, images_shown: int) -> Draws:
        """The same of a minibatch that is not divided."""
        return self._drawn(purpose, stage, images_shown, whole=True)

    def labels(self, stage: Stage, images_shown: int) -> Tensor | None:
        """For the generator's fakes one-hot `[n, label_size]`, those of images drawn from the set; None without."""
        if not self._label_size:
            return None
        self._enter(stage)
        if self._labels is None:
            self._labels = Ahead(lambda position: self._labels_drawn(stage, position), Tensor.numel)
        return self._labels.at(images_shown)

    def _enter(self, stage: Stage) -> None:
        """What was drawn holds for one resolution, minibatch and part of it."""
        rows = self._sharing.rows
        setting = stage.resolution, stage.minibatch, None if rows is None else rows.tobytes()
        if setting != self._setting:
            self._setting = setting
            self._ahead.clear()
            self._labels = None

    def _drawn(self, purpose: str, stage: Stage, images_shown: int, *, whole: bool = False) -> Draws:
        return draw_pairs(
            self._streams,
            purpose,
            images_shown,
            minibatch=stage.minibatch,
            latent_size=self._players.generator.latent_size,
            chances=self._players.system.chances,
            wanted={pair.name: pair.wanted(stage.resolution) for pair in self._players.pairs},
            device=self._device,
            rows=None if whole else self._sharing.rows,
        )

    def _labels_drawn(self, stage: Stage, images_shown: int) -> Tensor:
        draws = self._streams.at("generator/labels", images_shown)
        indices = draws.integers(0, self._source.count, stage.minibatch)
        if self._sharing.rows is not None:
            indices = indices[self._sharing.rows]
        return on_device(torch.from_numpy(self._source.labels(indices)), self._device)


def _numbers(draws: Draws) -> int:
    return sum(tensor.numel() for tensor in draws.tensors())
