"""Hands each step its real images as network values on the training's device, ready before they are asked for.

What is returned depends on positions alone. When it is read, where it is kept and on which stream it travels decide
only how long a step waits for it: not at all, if possible.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.data.feed import Feed, Span
from ganlab.data.levels import DecodedLevel, level_bytes
from ganlab.data.reals import MIRRORED, network_reals
from ganlab.errors import GanlabError
from ganlab.train.draws import on_device
from ganlab.train.foresight import HORIZON, Foresight, Step
from ganlab.train.memory import free_bytes, largest_stages

if TYPE_CHECKING:
    import numpy.typing as npt

    from ganlab.interfaces import BuiltSchedule, ImageShape, Stage
    from ganlab.recipe.schema import Recipe

    RowsOf = Callable[[int], npt.NDArray[np.int64]]

DEVICE_SHARE = 0.125
"""`cache = "auto"` keeps a level on the device if it takes at most this part of what is free when the level begins."""
MADE_AT_ONCE = 2**17
"""So many numbers of minibatches that follow each other are worked out at once: for few the calls take longest."""
WHOLE_LINES = 16
"""Numbers after which another line of the processor's memory begins, as it does for a tensor by itself."""


class Reals(NamedTuple):
    """What a discriminator step sees of the data."""

    images: Tensor
    """`[n, C, R, R]` in [-1, 1], mirrored and faded, channels-last."""
    labels: Tensor | None
    """One-hot `[n, label_size]`, or None where the networks are not conditioned."""


class _Arrived(NamedTuple):
    """A span on the device, not yet turned into network values."""

    images: Tensor
    flips: Tensor | None
    labels: Tensor | None


class Supply:
    """The minibatches of a run, from `feed` to `device`. Raises `GanlabError` where `data.cache` cannot be had."""

    rows_of: RowsOf | None = None
    """Where only some rows of each minibatch are asked for: those of a minibatch of so many images. It lets a change of
    minibatch be prepared for, and has no influence on what is returned."""

    def __init__(
        self, recipe: Recipe, images: ImageShape, schedule: BuiltSchedule, feed: Feed, device: torch.device
    ) -> None:
        self._data = recipe.data
        self._labelled = bool(images.label_size)
        self._feed = feed
        self._device = device
        self._foresight = Foresight(
            schedule,
            total_images=recipe.run.images,
            updates_per_look=schedule.settings_interval_steps * recipe.updates.discriminator_steps,
        )
        self._rows: dict[int, tuple[int, ...] | None] = {}
        self._last_rows: npt.NDArray[np.int64] | None = None
        self._fade = torch.ones((), device=device)
        self._level: DecodedLevel | None = None
        self._level_resolution: int | None = None
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call] # torch's
        self._ahead: tuple[Span, _Arrived] | None = None
        self._unprepared: int | None = None
        self._under_way = 0
        self._made: deque[tuple[Span, float, Reals]] = deque()
        if self._data.cache == "device":
            self._check_device_cache(max(stage.resolution for stage in largest_stages(schedule, recipe.run.images)))

    def next(self, stage: Stage, images_shown: int, rows: npt.NDArray[np.int64] | None = None) -> Reals:
        """The minibatch of the step that begins at `images_shown`, or only its `rows` (numbers in [0, minibatch)).

        To be called once for each discriminator update, and followed by `look_ahead`. Raises `DataError` naming what
        cannot be read.
        """
        self.look_ahead()  # in case nobody asked for it
        if rows is not self._last_rows or stage.minibatch not in self._rows:
            self._last_rows = rows
            self._rows[stage.minibatch] = None if rows is None else tuple(rows.tolist())
            self._made.clear()
            self._under_way = 0
        whole = Span(stage.resolution, images_shown, images_shown + stage.minibatch)
        self._under_way = self._under_way - 1 if self._foresight.passed(whole, stage) else 0
        reals = self._made_before(whole, stage.fade) or self._make(whole, stage)
        self._unprepared = stage.resolution
        if self._stream is not None:
            self.look_ahead()
        return reals

    def look_ahead(self) -> None:
        """Have what follows the last minibatch decoded, by threads that take turns with Python here.

        On the CPU a good moment for it is just before gradients are worked out, for which Python is not needed. For a
        GPU, which the host is ahead of, it has been done already.
        """
        if self._unprepared is not None:
            resolution, self._unprepared = self._unprepared, None
            if not self._all_decoded(resolution):
                self._decode_ahead(resolution)
            if self._stream is not None:
                self._send_ahead(resolution)

    # -- the present minibatch -----------------------------------------------------------------------------------------

    def _made_before(self, whole: Span, fade: float) -> Reals | None:
        """The minibatch, if it was worked out with one before it."""
        if self._made:
            span, its_fade, reals = self._made.popleft()
            if span == whole and its_fade == fade:
                return reals
            self._made.clear()
        return None

    def _make(self, whole: Span, stage: Stage) -> Reals:
        """The minibatch as network values, and those after it that can be worked out with it."""
        rows, size = self._rows[stage.minibatch], stage.minibatch
        steps = [] if rows is not None else self._of_a_kind(whole, stage)
        arrived = self._take(whole._replace(stop=steps[-1].span.stop) if steps else whole._replace(rows=rows))
        fade = None
        if stage.fade < 1:
            if steps:
                fades = torch.tensor([stage.fade, *(step.fade for step in steps)], device=self._device)
                fade = fades.repeat_interleave(size)
            else:
                fade = self._fade.fill_(stage.fade)
        images = network_reals(arrived.images, mirror=arrived.flips, fade=fade, blend=self._data.blend)
        if not steps:
            return Reals(images, arrived.labels)
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        each = [Reals(images[part], None if arrived.labels is None else arrived.labels[part]) for part in parts]
        self._made.extend((step.span, step.fade, reals) for step, reals in zip(steps, each[1:], strict=True))
        return each[0]

    def _of_a_kind(self, whole: Span, stage: Stage) -> list[Step]:
        """The steps right after this one that differ in nothing but their images, which are in memory, and fade."""
        numbers = self._feed.source.channels * stage.resolution**2 * stage.minibatch
        if self._stream is not None or numbers % WHOLE_LINES or not self._feed.kept(whole):
            return []
        found: list[Step] = []
        for step in self._foresight.coming():
            alike = step.span.resolution == stage.resolution and step.span.size == stage.minibatch
            alike = alike and (step.fade < 1) == (stage.fade < 1)
            if not alike or (2 + len(found)) * numbers > MADE_AT_ONCE or not self._feed.kept(step.span):
                break
            found.append(step)
        return found

    def _take(self, span: Span) -> _Arrived:
        """The span, on the device and safe to use on its current stream."""
        ahead, self._ahead = self._ahead, None
        arrived = ahead[1] if ahead is not None and ahead[0] == span else self._send(span)
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            for tensor in arrived:
                if tensor is not None:
                    tensor.record_stream(current)  # its memory is the side stream's, and must outlive its use here
        return arrived

    def _send(self, span: Span) -> _Arrived:
        """Start a span on its way to the device, beside whatever the device is computing."""
        with self._beside():
            flips = labels = None
            if self._data.mirror:
                flips = on_device(torch.from_numpy(self._feed.mirror(span) >= MIRRORED), self._device)
            if self._labelled:
                labels = on_device(torch.from_numpy(self._feed.source.labels(self._feed.indices(span))), self._device)
            level = self._device_level(span.resolution)
            images = on_device(self._feed.images(span), self._device) if level is None else self._through(level, span)
            return _Arrived(images, flips, labels)

    def _through(self, level: DecodedLevel, span: Span) -> Tensor:
        """From the level on the device; what is not there yet stays there once it has come."""
        indices = self._feed.indices(span)
        at = on_device(torch.from_numpy(indices), self._device)
        if level.has(indices):
            return level.get(at)
        images = on_device(self._feed.images(span), self._device)
        level.put_at(indices, at, images)
        if level.missing == 0:
            self._feed.release(span.resolution)
        return images

    def _beside(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    # -- what comes after ----------------------------------------------------------------------------------------------

    def _own(self, spans: Sequence[Span]) -> Sequence[Span]:
        """This process's part of the minibatches that follow, as far as it is known."""
        if self._last_rows is None:
            return spans
        known = []
        for span in spans:
            if span.size not in self._rows and self.rows_of is not None:
                self._rows[span.size] = tuple(self.rows_of(span.size).tolist())
            if span.size in self._rows:
                known.append(span._replace(rows=self._rows[span.size]))
        return known

    def _all_decoded(self, resolution: int) -> bool:
        """Whether this level and the next one are in memory."""
        following = self._foresight.following_resolution(resolution)
        return self._feed.complete(resolution) and (following is None or self._feed.complete(following))

    def _decode_ahead(self, resolution: int) -> None:
        """Have what follows decoded: minibatches, once fewer than half of those foreseen are under way, and a level."""
        if self._under_way < HORIZON // 2:
            coming = self._coming()
            have_all = self._complete_level() is not None or self._feed.complete(resolution)
            wanted = [span for span in coming if span.resolution != resolution] if have_all else coming
            self._under_way = len(coming) - len(wanted)
            if wanted:
                self._under_way += self._feed.prepare(wanted)
        following = self._foresight.following_resolution(resolution)
        if following is not None:
            self._feed.fill(following)

    def _send_ahead(self, resolution: int) -> None:
        """Have the very next minibatch sent to the device, if that needs no waiting."""
        coming = self._coming()
        if not coming or coming[0].resolution != resolution:
            return
        if self._complete_level() is not None or self._feed.ready(coming[0]):
            self._ahead = (coming[0], self._send(coming[0]))

    def _coming(self) -> Sequence[Span]:
        return self._own([step.span for step in self._foresight.coming()])

    def _complete_level(self) -> DecodedLevel | None:
        """The level on the device, once all of it is there."""
        return self._level if self._level is not None and self._level.missing == 0 else None

    # -- levels on the device ------------------------------------------------------------------------------------------

    def _device_level(self, resolution: int) -> DecodedLevel | None:
        """The level kept on the device, or None: on the CPU, whose levels the feed keeps, or for want of room."""
        if self._device.type == "cpu" or self._data.cache in ("memory", "none"):
            return None
        if resolution != self._level_resolution:
            self._level, self._level_resolution = None, resolution
            needed = level_bytes(self._feed.source, resolution)
            free = free_bytes(self._device)
            share = 1.0 if self._data.cache == "device" else DEVICE_SHARE
            if needed <= self._feed.cache_bytes and (free is None or needed <= free * share):
                with contextlib.suppress(torch.OutOfMemoryError):
                    self._level = DecodedLevel(self._feed.source, resolution, self._device)
            if self._level is None and self._data.cache == "device":
                raise GanlabError(self._no_room(resolution, free))
        return self._level

    def _check_device_cache(self, resolution: int) -> None:
        needed, free = level_bytes(self._feed.source, resolution), free_bytes(self._device)
        if needed > self._feed.cache_bytes or (free is not None and needed > free):
            raise GanlabError(self._no_room(resolution, free))

    def _no_room(self, resolution: int, free: int | None) -> str:
        needed = level_bytes(self._feed.source, resolution)
        room = "" if free is None else f" and {free / 1e9:,.3g} GB are free on {self._device}"
        return (
            f"data.cache: device: the images of {resolution}x{resolution} take {needed / 1e9:,.3g} GB decoded, where "
            f"data.cache_gigabytes allows {self._feed.cache_bytes / 1e9:,.3g} GB{room}; use cache = 'auto'"
        )
