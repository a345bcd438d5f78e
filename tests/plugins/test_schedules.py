"""Growth schedules: which level is trained when, and with which settings."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.interfaces import BuiltSchedule, Stage
from ganlab_schedules.fade_first import FadeFirst
from ganlab_schedules.fixed import Fixed
from ganlab_schedules.progressive import Progressive
from ganlab_schedules.settings import Settings

resolutions = st.sampled_from([4, 8, 16, 32, 64, 256, 1024])
counts = st.integers(0, 500)


def build(settings: Settings, resolution: int = 16, total_images: int = 1000, rate: float = 1.0) -> BuiltSchedule:
    return settings.build(resolution=resolution, total_images=total_images, learning_rate=rate)


def levels(schedule: BuiltSchedule, stop: int) -> list[tuple[int, float]]:
    return [(stage.resolution, stage.fade) for stage in map(schedule.at, range(stop))]


def test_progressive_stabilizes_then_fades_into_the_next_level() -> None:
    schedule = build(Progressive(stabilize_images=3, fade_images=4))
    # A level is still trained alone at the very image at which its time is over: fading starts from weight 0.
    expected = [(4, 1.0)] * 4 + [(8, 0.25), (8, 0.5), (8, 0.75)]
    expected += [(8, 1.0)] * 4 + [(16, 0.25), (16, 0.5), (16, 0.75)]
    expected += [(16, 1.0)] * 10
    assert levels(schedule, 24) == expected


def test_fade_first_fades_each_level_in_as_it_starts() -> None:
    schedule = build(FadeFirst(fade_images=4, stabilize_images=2))
    expected = [(4, 1.0)] * 6
    expected += [(8, 0.25), (8, 0.25), (8, 0.5), (8, 0.75), (8, 1.0), (8, 1.0)]
    expected += [(16, 0.25), (16, 0.25), (16, 0.5), (16, 0.75)]
    expected += [(16, 1.0)] * 8
    assert levels(schedule, 24) == expected


def test_fixed_trains_the_full_resolution_from_the_start() -> None:
    assert set(levels(build(Fixed(), resolution=64), 1000)) == {(64, 1.0)}


def test_without_fading_levels_follow_each_other_at_once() -> None:
    for settings in (Progressive(stabilize_images=2, fade_images=0), FadeFirst(stabilize_images=2, fade_images=0)):
        assert levels(build(settings), 6) == [(4, 1.0)] * 2 + [(8, 1.0)] * 2 + [(16, 1.0)] * 2


def test_without_any_images_per_level_progressive_stays_where_it_starts() -> None:
    schedule = build(Progressive(stabilize_images=0, fade_images=0, initial_resolution=8))
    assert set(levels(schedule, 100)) == {(8, 1.0)}


@given(resolution=resolutions, stabilize=counts, fade=counts, initial=st.sampled_from([4, 8, 16]), data=st.data())
def test_growth_never_goes_back_and_ends_at_the_full_resolution(
    resolution: int, stabilize: int, fade: int, initial: int, data: st.DataObject
) -> None:
    kind: Any = data.draw(st.sampled_from([Progressive, FadeFirst]))
    if initial > resolution or stabilize + fade == 0:
        return
    settings = kind(stabilize_images=stabilize, fade_images=fade, initial_resolution=initial)
    schedule = build(settings, resolution, total_images=10_000)
    grown_after = (stabilize + fade) * ((resolution // initial).bit_length())
    shown = sorted(data.draw(st.lists(st.integers(0, grown_after + 100), min_size=2, max_size=30)))
    seen = [schedule.at(images_shown) for images_shown in shown]

    def progress(stage: Stage) -> float:
        return math.log2(stage.resolution) + stage.fade

    assert all(progress(a) <= progress(b) for a, b in pairwise(seen))
    assert all(0 < stage.fade <= 1 for stage in seen)
    assert all(initial <= stage.resolution <= resolution for stage in seen)
    assert (schedule.at(0).resolution, schedule.at(0).fade) == (initial, 1.0) or stabilize == 0
    end = schedule.at(grown_after)
    assert (end.resolution, end.fade) == (resolution, 1.0)


def test_tables_override_the_settings_at_their_resolution() -> None:
    settings = Progressive(
        stabilize_images=10,
        fade_images=0,
        minibatch=16,
        minibatches={8: 6},
        tick_images=100,
        ticks={16: 30},
        learning_rates={8: 0.5, 16: 0.25},
        generator_learning_rates={16: 0.125},
        discriminator_learning_rates={4: 2.0},
    )
    four, eight, sixteen = (build(settings).at(n) for n in (0, 10, 20))
    assert [stage.minibatch for stage in (four, eight, sixteen)] == [16, 6, 16]
    assert [stage.tick_images for stage in (four, eight, sixteen)] == [100, 100, 30]
    assert [stage.generator_learning_rate for stage in (four, eight, sixteen)] == [1.0, 0.5, 0.125]
    assert [stage.discriminator_learning_rate for stage in (four, eight, sixteen)] == [2.0, 0.5, 0.25]


def test_minibatches_are_divisible_by_the_devices_and_fit_on_them() -> None:
    settings = Fixed(minibatch=14, devices=4, max_minibatch_per_device={32: 2, 64: 3})
    assert [build(settings, resolution).at(0).minibatch for resolution in (16, 32, 64)] == [12, 8, 12]


def test_learning_rates_ramp_up_and_down() -> None:
    schedule = build(Fixed(rampup_images=100, rampdown_images=50), total_images=1000, rate=2.0)
    rates = {n: schedule.at(n).generator_learning_rate for n in (0, 50, 99, 100, 949, 950, 975, 1000)}
    assert rates[0] == pytest.approx(2 * math.exp(-5))
    assert rates[50] == pytest.approx(2 * math.exp(-1.25))
    assert rates[50] < rates[99] < 2.0
    assert rates[100] == rates[949] == rates[950] == 2.0
    assert rates[975] == 1.0
    assert rates[1000] == 0.0
    assert schedule.at(975).discriminator_learning_rate == 1.0


def test_learning_rates_decay_along_half_a_cosine() -> None:
    schedule = build(Fixed(decay_images=400, decay_to=0.25, rampdown_images=500), total_images=1000, rate=2.0)
    rates = {n: schedule.at(n).generator_learning_rate for n in (0, 100, 200, 400, 500, 750)}
    assert rates[0] == 2.0
    assert rates[100] == pytest.approx(2 * (0.25 + 0.375 * (1 + math.sqrt(0.5))))
    assert rates[200] == pytest.approx(2 * 0.625)
    assert rates[400] == pytest.approx(0.5)
    assert rates[500] == pytest.approx(0.5)
    assert rates[750] == pytest.approx(0.25), "the ramp-down comes on top"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"decay_images": 100}, "decay_to: expected a value, as decay_images has one"),
        ({"decay_to": 0.5}, "decay_images: expected a value, as decay_to has one"),
        ({"minibatch": 0}, "at least 1"),
        ({"minibatches": {16: 0}}, "more than 0 at resolution 16"),
        ({"minibatches": {12: 4}}, "powers of two"),
        ({"learning_rates": {2: 0.1}}, "powers of two"),
        ({"generator_learning_rates": {4: -0.1}}, "more than 0"),
        ({"fade_images": -1}, "at least 0"),
        ({"initial_resolution": 6}, "power of two"),
        ({"settings_interval_steps": 0}, "at least 1"),
        ({"minibatch": 16, "minibatches": {16: 3}, "devices": 4}, "minibatch of 3 cannot be shared by 4 devices"),
    ],
)
def test_wrong_parameters_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Progressive(**arguments)


def test_what_does_not_fit_the_run_is_refused() -> None:
    for settings in (Progressive(initial_resolution=32), FadeFirst(initial_resolution=32)):
        with pytest.raises(ValueError, match="at most the run's resolution 16, got 32"):
            build(settings)
    with pytest.raises(ValueError, match="power of two"):
        build(Fixed(), resolution=20)
    with pytest.raises(ValueError, match="at least 1 image"):
        build(Fixed(), total_images=0)
    with pytest.raises(ValueError, match="more than 0, here or in stabilize_images"):
        build(FadeFirst(stabilize_images=0, fade_images=0))


def test_a_schedule_travels_to_another_process() -> None:
    schedule = build(Progressive(minibatches={8: 2}), resolution=32)
    assert pickle.loads(pickle.dumps(schedule)).at(1_000_000) == schedule.at(1_000_000)


def test_changing_a_table_of_one_component_leaves_the_default_of_others_alone() -> None:
    first = Progressive()
    assert isinstance(first.minibatches, dict)
    first.minibatches[4] = 99
    assert Progressive().minibatches == {}
    assert attrs.evolve(Progressive(), minibatch=3).minibatch == 3


def test_schedules_need_no_torch() -> None:
    code = (
        "import sys, ganlab_schedules.progressive as p, ganlab_schedules.fade_first, ganlab_schedules.fixed\n"
        "p.Progressive().build(resolution=32, total_images=9, learning_rate=0.1).at(3)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
