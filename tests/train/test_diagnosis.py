"""Failures are named when they show in a journal, once each, and sound journals are left alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.errors import RunError, TrainingFailed
from ganlab.track.findings import Finding, drop_findings_after, read_findings, summary, write_findings
from ganlab.track.folder import RunFolder
from ganlab.track.journal import Entry, read
from ganlab.train.choose import Choice
from ganlab.train.diagnosis import GRACE_UPDATES, IN_A_ROW, RULES, diagnosed
from ganlab.train.run import run

from .tiny import tiny

MINIBATCH, TICK = 8, 800
SOUND = {
    "growth/minibatch": float(MINIBATCH),
    "growth/resolution": 8.0,
    "diversity": 0.8,
    "scores/real": 1.2,
    "scores/fake": -1.1,
    "scores/gap": 2.3,
    "loss/discriminator": -2.0,
    "loss/generator": 1.1,
    "gradient_norm": 1.05,
    "gradient_norm/generator": 2.0,
    "gradient_norm/discriminator": 3.0,
}


def journal(*changes: dict[str, float | None]) -> list[Entry]:
    """Reports each 800 images; of each, what is not sound (None leaves a value out)."""
    lines = []
    for number, change in enumerate(changes, 1):
        values = {name: value for name, value in {**SOUND, **change}.items() if value is not None}
        lines.append(Entry(number * TICK, values, {}))
    return lines


def names(lines: list[Entry]) -> list[str]:
    return [finding.name for finding in diagnosed(lines).findings]


def first(lines: list[Entry]) -> Finding:
    return diagnosed(lines).findings[0]


SETTLED: list[dict[str, float | None]] = [{}] * (GRACE_UPDATES * MINIBATCH // TICK)
"""Sound reports to the end of the grace."""


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("collapse", {"diversity": 0.05}),
        ("collapse", {"diversity": 0.0}),
        ("vanished-gradients", {"gradient_norm/generator": 1e-13}),
        ("vanished-gradients", {"gradient_norm/discriminator": 0.0}),
        ("overpowering-discriminator", {"loss/discriminator": 0.004, "scores/gap": 8.0}),
        ("overpowering-discriminator", {"loss/discriminator": 0.0, "scores/gap": -0.9}),
    ],
)
def test_what_lasts_is_found_at_the_third_report_and_said_once(name: str, change: dict[str, float | None]) -> None:
    lines = journal(*SETTLED, *[change] * 10)
    assert names(lines) == [name]
    assert first(lines).images_shown == (len(SETTLED) + IN_A_ROW) * TICK
    assert names(journal(*SETTLED, change, change, {}, change, change)) == []


def test_nothing_that_settles_is_found_within_the_grace() -> None:
    early: dict[str, float | None] = dict.fromkeys(("diversity", "gradient_norm/generator", "loss/discriminator"), 0.0)
    assert names(journal(*[early] * (len(SETTLED) - 1))) == []
    assert len(names(journal(*[early] * (len(SETTLED) + IN_A_ROW)))) == 3


def test_a_value_that_is_not_finite_is_found_at_once() -> None:
    lines = journal({"weight_norm/generator": math.inf, "scores/fake": math.nan})
    assert names(lines) == ["non-finite"]
    assert first(lines).text == "scores/fake, weight_norm/generator are not finite"


def test_scores_that_leave_all_bounds_have_run_away() -> None:
    assert names(journal(*SETTLED, {"scores/fake": -2e5})) == ["score-runaway"]
    assert names(journal(*SETTLED, {"scores/fake": -2e3})) == [], "a penalized critic may aim at a large gradient"
    assert names(journal(*SETTLED, {"scores/real": 2e3, "gradient_norm": None})) == ["score-runaway"]


def test_scores_that_grow_with_every_report_have_run_away() -> None:
    growing: list[dict[str, float | None]] = [{"scores/real": 20.0 * 1.6**step} for step in range(7)]
    lines = journal(*SETTLED, *growing)
    assert names(lines) == ["score-runaway"]
    assert "grow from report to report" in first(lines).text
    assert names(journal(*SETTLED, *growing[:4], {"scores/real": 100.0}, *growing[4:])) == []
    at_a_new_level = [{**it, "growth/resolution": 16.0} for it in growing[3:]]
    assert names(journal(*SETTLED, *growing[:3], *at_a_new_level)) == [], "a new level has scores of its own"


def test_a_wasserstein_loss_may_pass_zero() -> None:
    passing: dict[str, float | None] = {"loss/discriminator": 0.003, "scores/gap": 0.05}
    assert names(journal(*SETTLED, *[passing] * 8)) == []


def test_lines_of_metrics_are_no_reports() -> None:
    bad: dict[str, float | None] = {"diversity": 0.01}
    lines = journal(*SETTLED, bad, bad, bad)
    metric = Entry(lines[-2].images_shown, {"metric/fid": math.nan}, {})
    assert names([*lines[:-1], metric, lines[-1]]) == ["collapse"]


def values() -> st.SearchStrategy[dict[str, float | None]]:
    """Values as sound runs have them, in any order."""
    bounds = {
        "diversity": (0.35, 2.5),
        "scores/real": (-60, 60),
        "scores/fake": (-60, 60),
        "scores/gap": (-60, 60),
        "loss/discriminator": (0.03, 50),
        "loss/generator": (-60, 60),
        "gradient_norm": (0, 800),
        "gradient_norm/generator": (1e-5, 1e4),
        "gradient_norm/discriminator": (1e-5, 1e4),
    }
    given_ = {name: st.floats(low, high) for name, (low, high) in bounds.items()}
    return st.fixed_dictionaries({**given_, "growth/resolution": st.sampled_from([4.0, 8.0, 16.0])})


@given(st.lists(values(), max_size=25))
def test_values_of_sound_runs_raise_no_alarm(changes: list[dict[str, float | None]]) -> None:
    assert names(journal(*changes)) == []


@given(st.lists(st.dictionaries(st.sampled_from(sorted(SOUND)), st.floats() | st.none()), max_size=25))
def test_whatever_a_journal_says_each_failure_is_named_once_and_a_longer_journal_takes_none_back(
    changes: list[dict[str, float | None]],
) -> None:
    lines = journal(*changes)
    found = diagnosed(lines).findings
    assert len({it.name for it in found}) == len(found)
    assert {it.name for it in found} <= set(RULES)
    for end in range(len(lines)):
        assert diagnosed(lines[:end]).findings == [it for it in found if it.images_shown <= end * TICK]


def test_findings_are_kept_and_dropped_with_a_resume(tmp_path: Path) -> None:
    found = [Finding("collapse", 800, "alike", "less"), Finding("non-finite", 1600, "nan", "lower")]
    write_findings(tmp_path, found)
    assert read_findings(tmp_path) == found
    assert json.loads((tmp_path / "findings.json").read_text())[1]["images_shown"] == 1600
    assert summary(found) == "collapse at 800 images; non-finite at 1,600 images"
    drop_findings_after(tmp_path, 800)
    assert read_findings(tmp_path) == found[:1]
    drop_findings_after(tmp_path, -1)
    assert not (tmp_path / "findings.json").exists()


@pytest.mark.parametrize(
    "content", ["[{}]", "{", "7", '[{"name": "x", "images_shown": "y", "text": "", "remedy": ""}]']
)
def test_a_damaged_file_of_findings_ends_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "findings.json").write_text(content)
    with pytest.raises(RunError, match=r"findings\.json: the file is damaged"):
        read_findings(tmp_path)


# -- real runs made to fail --------------------------------------------------------------------------------------------

QUICK = ("data.resolution=4", "generator.widths=[8]", "discriminator.widths=[8]", "schedule.tick_images=100")
QUICK_AT_2 = (*QUICK, "schedule.minibatch=2", "discriminator.stddev.group_size=2", "run.images=800")
CLIPPED = (
    "loss={name='wgan', clip=1e-5}",
    "optimizer={name='rmsprop', learning_rate=0.0005}",
    "discriminator.weight_scaling=none",
    "discriminator.edge_weight_scaling=none",
)


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[str]]:
    """A run whose learning rate is ten thousand times too high (with a thousand some recover), and what it said."""
    path = tmp_path_factory.mktemp("collapsed")
    loaded = tiny(path, *QUICK_AT_2, "optimizer.learning_rate=10.0")
    said: list[str] = []
    assert run(loaded, Choice(path / "run", "start"), say=said.append) == 0
    return RunFolder.open(path / "run"), said


def test_a_learning_rate_far_too_high_is_found_out(collapsed: tuple[RunFolder, list[str]]) -> None:
    folder, said = collapsed
    found = read_findings(folder.path)
    assert {"collapse"} <= {it.name for it in found}
    assert found == diagnosed(read(folder.path)).findings
    assert [line for line in said if " at " in line and "; try " in line] == [str(it) for it in found]


def test_clipping_away_the_weights_makes_gradients_vanish(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, *QUICK_AT_2, *CLIPPED)
    assert run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None) == 0
    assert [it.name for it in read_findings(tmp_path / "run")] == ["vanished-gradients"]


def test_a_loss_that_is_not_finite_is_among_the_findings_of_the_run_that_it_ends(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, *QUICK, "optimizer.learning_rate=1e30")
    with pytest.raises(TrainingFailed):
        run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None)
    assert read_findings(tmp_path / "run")[-1].name == "non-finite"


def test_a_run_that_is_not_diagnosed_measures_and_finds_nothing(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, *QUICK, "run.images=200", "track.diagnose=false")
    assert run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None) == 0
    line = read(tmp_path / "run")[-1]
    measured = ("diversity", "scores/gap", "stddev/reals", "weight_norm/generator", "gradient_norm/generator")
    assert not line.values.keys() & set(measured)
    assert read_findings(tmp_path / "run") == []


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        pytest.param(("loss=hinge",), marks=pytest.mark.slow),
        pytest.param(("loss=non-saturating", "regularizers=['r1']"), marks=pytest.mark.slow),
        pytest.param(("loss=lsgan", "discriminator.noise=multiplicative-noise"), marks=pytest.mark.slow),
        pytest.param(("loss=wgan", *CLIPPED[1:]), marks=pytest.mark.slow),
    ],
    ids=["wgan-gp", "hinge", "non-saturating, r1", "lsgan", "wgan"],
)
def test_sound_runs_of_every_loss_have_no_findings(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    loaded = tiny(tmp_path, *QUICK_AT_2, *overrides)
    assert run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None) == 0
    assert read_findings(tmp_path / "run") == []
    assert read(tmp_path / "run")[-1].values["diversity"] > 0.3
