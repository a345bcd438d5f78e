"""Every resolution and minibatch of a run is found, however short, without asking for every image."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from ganlab.interfaces import Stage
from ganlab.recipe.rules import stages_of


@attrs.define
class Levels:
    """A schedule of levels that begin at given images."""

    starts: list[int]
    settings_interval_steps: int = 1
    asked: int = 0

    def at(self, images_shown: int) -> Stage:
        self.asked += 1
        level = sum(start <= images_shown for start in self.starts)
        return Stage(
            resolution=4 << level,
            fade=1.0,
            minibatch=16,
            generator_learning_rate=1.0,
            discriminator_learning_rate=1.0,
            tick_images=1,
        )


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=8, unique=True))
def test_no_level_is_missed(starts: list[int]) -> None:
    schedule = Levels(sorted(starts))
    found = stages_of(schedule, 10**9)
    assert [stage.resolution for stage in found] == [4 << level for level in range(len(starts) + 1)]
    assert schedule.asked < 1500


def test_levels_of_one_image_each() -> None:
    assert [stage.resolution for stage in stages_of(Levels([777, 778, 779]), 10**12)] == [4, 8, 16, 32]


def test_a_short_run() -> None:
    assert [stage.resolution for stage in stages_of(Levels([1, 2]), 2)] == [4, 8, 16]


def test_a_schedule_that_never_rests_is_not_followed_for_ever() -> None:
    class Restless(Levels):
        def at(self, images_shown: int) -> Stage:
            return attrs.evolve(super().at(images_shown), minibatch=1 + images_shown)

    schedule = Restless([])
    assert 500 < len(stages_of(schedule, 10**9)) <= schedule.asked <= 20_001
