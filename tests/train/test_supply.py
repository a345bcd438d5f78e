"""Reals are on their device before a step asks for them, and are the same wherever they were kept meanwhile."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from ganlab.data.feed import Feed, Span
from ganlab.data.levels import DecodedLevel
from ganlab.data.pack import pack
from ganlab.data.reals import network_reals
from ganlab.data.shards import ShardSet
from ganlab.errors import GanlabError
from ganlab.interfaces import ImageSet, ImageShape, Stage
from ganlab.recipe import Recipe
from ganlab.train import supply
from ganlab.train.events import Cadence, Position, UpdateDiscriminator, UpdateTogether, events
from ganlab.train.feeds import open_feed
from ganlab.train.foresight import HORIZON, Foresight
from ganlab.train.supply import Reals, Supply
from tests.commands import ganlab

from .tiny import tiny, write_recipe

COUNT = 40
CPU = torch.device("cpu")
SHORT = (
    "run.images=300",
    "schedule.stabilize_images=40",
    "schedule.fade_images=40",
    "schedule.minibatches={4=12, 8=8, 16=4}",
)


class SlowSet:
    """A set that takes its time over every image, and remembers which it read and who waited for it."""

    name, channels, label_size, digest = "slow", 1, 0, "none"
    resolutions: Sequence[int] = (4, 8, 16)

    def __init__(self, count: int, seconds: float = 0.0005) -> None:
        self.count = count
        self.seconds = seconds
        self.read: set[tuple[int, int]] = set()
        self.waited: list[int] = []

    def images(self, resolution: int, indices: Any) -> np.ndarray:
        if threading.current_thread() is threading.main_thread():
            self.waited.append(resolution)
        time.sleep(self.seconds * len(indices))
        self.read |= {(resolution, int(index)) for index in indices}
        rng = np.random.default_rng(resolution)
        every = rng.integers(0, 256, (self.count, 1, resolution, resolution), np.uint8)
        chosen: np.ndarray = every[np.asarray(indices)]
        return chosen

    def labels(self, indices: Any) -> np.ndarray:
        return np.zeros((len(indices), 0), np.float32)

    def describe(self) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    folder = tmp_path_factory.mktemp("supply")
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "source.npz", x=images, y=np.arange(COUNT) % 3)
    pack(folder / "source.npz", folder / "set", resolution=16)
    return ShardSet(folder / "set")


@attrs.define
class Parts:
    """A supply and all that it is made of."""

    recipe: Recipe
    source: ImageSet
    device: torch.device = CPU
    feed: Feed = attrs.field(init=False)
    supply: Supply = attrs.field(init=False)
    schedule: Any = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.schedule = self.recipe.schedule.build(
            resolution=16, total_images=self.recipe.run.images, learning_rate=0.001
        )
        self.feed = open_feed(self.recipe, self.source, self.device)
        images = ImageShape(self.source.channels, 16, self.source.label_size)
        self.supply = Supply(self.recipe, images, self.schedule, self.feed, self.device)

    def steps(self, position: Position | None = None) -> list[tuple[Stage, int]]:
        """Stage and images shown of every discriminator update of the run."""
        updates = self.recipe.updates
        cadence = Cadence(discriminator_steps=updates.discriminator_steps, together=updates.together)
        stream = events(self.schedule, cadence, self.recipe.run.images, position)
        return [
            (event.stage, event.images_shown)
            for event in stream
            if isinstance(event, (UpdateDiscriminator, UpdateTogether))
        ]

    def reals(self, rows: np.ndarray | None = None) -> Iterator[Reals]:
        """Every minibatch of the run."""
        with self.feed:
            for stage, images_shown in self.steps():
                yield self.supply.next(stage, images_shown, rows)


def recipe_of(folder: Path, *overrides: str) -> Recipe:
    return tiny(folder, *SHORT, *overrides).recipe


def assert_equal_reals(some: Reals, other: Reals) -> None:
    assert torch.equal(some.images.cpu(), other.images.cpu())
    assert some.labels is not None
    assert other.labels is not None
    assert torch.equal(some.labels.cpu(), other.labels.cpu())


@pytest.mark.parametrize("blend", ["float", "bytes"])
def test_where_images_are_kept_changes_no_bit(tmp_path: Path, packed: ShardSet, blend: str) -> None:
    runs = []
    level = COUNT * 3 * 64 / 1e9  # room for one level of 8x8
    for cache, gigabytes, workers in [("none", 2, 0), ("auto", 2, 2), ("memory", level, 3), ("device", 2, 1)]:
        options = (f"data.cache={cache}", f"data.cache_gigabytes={gigabytes}", f"data.workers={workers}")
        runs.append(list(Parts(recipe_of(tmp_path, f"data.blend={blend}", *options), packed).reals()))
    assert {reals.images.shape[-1] for reals in runs[0]} == {4, 8, 16}
    for one, *others in zip(*runs, strict=True):
        for other in others:
            assert_equal_reals(one, other)


@pytest.mark.parametrize("blend", ["float", "bytes", "none"])
def test_minibatches_that_are_worked_out_together_are_the_same_bits(
    tmp_path: Path, packed: ShardSet, blend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path, f"data.blend={blend}", "run.images=900", "schedule.settings_interval_steps=2")
    calls = []
    for limit in (supply.MADE_AT_ONCE, 0):
        monkeypatch.setattr(supply, "MADE_AT_ONCE", limit)
        sizes: list[int] = []
        monkeypatch.setattr(supply, "network_reals", noting(sizes))
        calls.append((list(Parts(recipe, packed).reals()), sizes))
    (together, few), (alone, many) = calls
    assert len(many) == len(alone)
    assert len(few) < len(many) / 2
    assert len({reals.images.data_ptr() % 64 for reals in together}) == 1
    for some, other in zip(together, alone, strict=True):
        assert_equal_reals(some, other)
        assert some.images.is_contiguous(memory_format=torch.channels_last)


def noting(sizes: list[int]) -> Any:
    def reals(images: torch.Tensor, **options: Any) -> torch.Tensor:
        sizes.append(len(images))
        return network_reals(images, **options)

    return reals


def test_another_fade_than_was_foreseen_is_the_one_that_is_used(tmp_path: Path, packed: ShardSet) -> None:
    """As after a change of the schedule from outside: what was worked out before is not handed out."""
    parts, others = Parts(recipe_of(tmp_path), packed), Parts(recipe_of(tmp_path, "data.cache=none"), packed)
    with parts.feed, others.feed:
        for number, (stage, images_shown) in enumerate(parts.steps()):
            seen = attrs.evolve(stage, fade=0.25) if number % 3 == 2 else stage
            assert_equal_reals(parts.supply.next(seen, images_shown), others.supply.next(seen, images_shown))


def test_reals_are_laid_out_as_the_networks_want_them(tmp_path: Path, packed: ShardSet) -> None:
    for reals in Parts(recipe_of(tmp_path), packed).reals():
        assert reals.images.is_contiguous(memory_format=torch.channels_last)
        assert reals.images.dtype == torch.float32


@pytest.mark.parametrize("cache", ["auto", "none"])
def test_rows_are_those_of_the_whole_minibatch(tmp_path: Path, packed: ShardSet, cache: str) -> None:
    recipe = recipe_of(tmp_path, f"data.cache={cache}")
    rows = np.array([3, 0, 2])
    for some, whole in zip(Parts(recipe, packed).reals(rows), Parts(recipe, packed).reals(), strict=True):
        assert whole.labels is not None
        assert_equal_reals(some, Reals(whole.images[rows], whole.labels[rows]))


@pytest.mark.parametrize(
    "updates",
    [(), ("updates.discriminator_steps=3",), ("updates.together=true",)],
    ids=["in turn", "3 to 1", "together"],
)
@pytest.mark.parametrize("interval", [1, 4])
def test_what_follows_is_foreseen_across_every_change(tmp_path: Path, updates: tuple[str, ...], interval: int) -> None:
    parts = Parts(recipe_of(tmp_path, f"schedule.settings_interval_steps={interval}", *updates), SlowSet(4))
    steps = parts.steps()
    spans = [Span(stage.resolution, start, start + stage.minibatch) for stage, start in steps]
    foresight = foresight_of(parts)
    for number, (stage, _) in enumerate(steps):
        foresight.passed(spans[number], stage)
        if number % 3 != 1:  # asked or not, it keeps count
            following = [(span, it.fade) for span, (it, _) in zip(spans, steps, strict=True)][number + 1 :][:HORIZON]
            assert [(step.span, step.fade) for step in foresight.coming()] == following
    assert [foresight.following_resolution(resolution) for resolution in (4, 8, 16)] == [8, 16, None]
    parts.feed.close()


def foresight_of(parts: Parts) -> Foresight:
    per_look = parts.schedule.settings_interval_steps * parts.recipe.updates.discriminator_steps
    return Foresight(parts.schedule, total_images=parts.recipe.run.images, updates_per_look=per_look)


def test_after_resuming_between_two_looks_it_is_foreseen_again_from_the_next_one_on(tmp_path: Path) -> None:
    parts = Parts(recipe_of(tmp_path, "schedule.settings_interval_steps=4"), SlowSet(4))
    steps = parts.steps(Position(images_shown=36, steps=3, settings_read_at=0, steps_since_settings=3))
    spans = [Span(stage.resolution, start, start + stage.minibatch) for stage, start in steps]
    foresight = foresight_of(parts)
    for number, (stage, _) in enumerate(steps):
        foresight.passed(spans[number], stage)
        foreseen = [step.span for step in foresight.coming()]
        assert number == 0 or foreseen == spans[number + 1 :][:HORIZON]
    parts.feed.close()


def wait_for(reason: Any) -> bool:
    end = time.monotonic() + 60
    while not reason() and time.monotonic() < end:
        time.sleep(0.001)
    return bool(reason())


@pytest.mark.parametrize("cache", ["auto", "none"])
@pytest.mark.parametrize("rows", [None, np.array([1, 3])], ids=["all rows", "a rank's rows"])
def test_no_step_waits_at_a_change_of_stage(tmp_path: Path, cache: str, rows: np.ndarray | None) -> None:
    source = SlowSet(100)
    parts = Parts(recipe_of(tmp_path, f"data.cache={cache}", "data.workers=2"), source)
    if rows is not None:
        parts.supply.rows_of = lambda minibatch: rows
    before = None
    with parts.feed:
        for stage, images_shown in parts.steps():
            place = None if rows is None else tuple(rows.tolist())
            span = Span(stage.resolution, images_shown, images_shown + stage.minibatch, place)
            if before is not None and before != stage.resolution:
                # Everything was asked for in time: it comes without anybody asking again.
                assert wait_for(lambda span=span: parts.feed.ready(span)), f"{span} had not been asked for"
            parts.supply.next(stage, images_shown, rows)
            before = stage.resolution
    assert source.waited == []


def test_a_small_set_is_decoded_before_its_level_begins(tmp_path: Path) -> None:
    """More images than are read ahead of need: 200, where 16 minibatches of 8 are foreseen."""
    lengths = ("run.images=1200", "schedule.stabilize_images=240", "schedule.fade_images=240")
    parts = Parts(recipe_of(tmp_path, *lengths), SlowSet(200, seconds=0))
    with parts.feed:
        for (stage, images_shown), (later, _) in itertools.pairwise(parts.steps()):
            parts.supply.next(stage, images_shown)
            if later.resolution != stage.resolution:
                assert wait_for(lambda later=later: parts.feed.complete(later.resolution))


def noting_prepared(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []
    prepare = parts.feed.prepare

    def noted(spans: Sequence[Span]) -> int:
        asked.append(len(spans))
        return prepare(spans)

    monkeypatch.setattr(parts.feed, "prepare", noted)
    return asked


@pytest.mark.parametrize("asks", [True, False], ids=["when asked", "with the next step"])
def test_on_the_cpu_what_follows_is_asked_for_by_itself_or_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, asks: bool
) -> None:
    parts = Parts(recipe_of(tmp_path), SlowSet(100, seconds=0))
    asked = noting_prepared(parts, monkeypatch)
    with parts.feed:
        stage = parts.schedule.at(0)
        parts.supply.next(stage, 0)
        assert asked == []
        if asks:
            parts.supply.look_ahead()
            assert len(asked) == 1
            parts.supply.look_ahead()  # nothing is left
        parts.supply.next(stage, stage.minibatch)
        assert len(asked) == 1


@pytest.mark.parametrize("cache", ["auto", "none"])
def test_what_follows_is_asked_for_several_steps_at_once_and_still_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    lengths = ("run.images=1200", "schedule.stabilize_images=240", "schedule.fade_images=240")
    parts = Parts(recipe_of(tmp_path, f"data.cache={cache}", *lengths), SlowSet(5000, seconds=0))
    asked, steps = noting_prepared(parts, monkeypatch), parts.steps()
    with parts.feed:
        for (stage, images_shown), (later, then) in itertools.pairwise(steps):
            parts.supply.next(stage, images_shown)
            parts.supply.look_ahead()
            span = Span(later.resolution, then, then + later.minibatch)
            assert wait_for(lambda span=span: parts.feed.ready(span)), f"{span} had not been asked for"
    assert len(asked) < len(steps) / 6


def test_threads_end_with_the_feed(tmp_path: Path) -> None:
    before = threading.active_count()
    parts = Parts(recipe_of(tmp_path), SlowSet(100))
    stage, images_shown = parts.steps()[0]
    parts.supply.next(stage, images_shown)
    assert threading.active_count() > before
    parts.feed.close()
    assert threading.active_count() == before


def test_auto_leaves_others_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.train.feeds.free_bytes", lambda device: 10**6)
    for cache, allowed in [("auto", 500_000), ("memory", 10**9), ("none", 0)]:
        recipe = recipe_of(tmp_path, f"data.cache={cache}", "data.cache_gigabytes=1")
        with open_feed(recipe, SlowSet(3), CPU) as feed:
            assert feed.cache_bytes == allowed


def test_a_cache_that_cannot_be_had_ends_in_one_line(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    options = ("--set", "data.cache=device", "--set", "data.cache_gigabytes=0.000001")
    done = ganlab("run", recipe, "--run-dir", tmp_path / "run", *options)
    assert done.code == 2
    assert "data.cache: device: the images of 16x16 take" in done.err
    assert "Traceback" not in done.err


def test_a_level_on_the_device_is_filled_by_what_passes_through(
    tmp_path: Path, packed: ShardSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, where the feed's levels are as good, it has to be put there by force."""
    levels: dict[int, DecodedLevel] = {}

    def device_level(supply: Supply, resolution: int) -> DecodedLevel:
        if resolution not in levels:
            levels[resolution] = DecodedLevel(packed, resolution, CPU)
        supply._level = levels[resolution]
        return supply._level

    expected = list(Parts(recipe_of(tmp_path), packed).reals())
    monkeypatch.setattr(Supply, "_device_level", device_level)
    parts = Parts(recipe_of(tmp_path), packed)
    for some, other in zip(parts.reals(), expected, strict=True):
        assert_equal_reals(some, other)
        for resolution, level in levels.items():
            assert level.missing or not parts.feed.complete(resolution), "kept twice"
    assert [level.missing for level in levels.values()] == [0, 0, 0]


@pytest.mark.gpu
@pytest.mark.parametrize("cache", ["auto", "device", "memory", "none"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_gpu_is_given_the_same(tmp_path: Path, packed: ShardSet, cache: str, workers: int) -> None:
    recipe = recipe_of(tmp_path, f"data.cache={cache}", f"data.workers={workers}", "data.blend=bytes")
    expected = Parts(recipe, packed).reals()
    busy = torch.zeros(4096, 4096, device="cuda")
    for some, other in zip(Parts(recipe, packed, torch.device("cuda")).reals(), expected, strict=True):
        assert some.images.device.type == "cuda"
        assert some.images.is_contiguous(memory_format=torch.channels_last)
        kept = some.images.clone()
        busy = busy @ busy  # the next minibatch arrives while the device is at this
        assert_equal_reals(Reals(kept, some.labels), other)


@pytest.mark.gpu
def test_a_gpu_that_is_too_small_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.train.supply.free_bytes", lambda device: 1000)
    with pytest.raises(GanlabError, match=r"data\.cache: device: .* free on cuda"):
        Parts(recipe_of(tmp_path, "data.cache=device"), SlowSet(100), torch.device("cuda"))
