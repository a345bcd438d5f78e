"""`ganlab plan` says what a run will take, and keeps nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..commands import ganlab
from ..train.tiny import write_recipe


def test_every_stretch_of_the_schedule_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path)
    done = ganlab("plan", recipe, "--seconds", 1)
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    assert [row[0] for row in rows[1:6]] == ["4x4", "8x8", "8x8", "16x16", "16x16"]
    assert [row[1:3] == ["fading", "in"] for row in rows[1:6]] == [False, True, False, True, False]
    assert "in all:" in done.out
    assert [path.name for path in tmp_path.iterdir()] == [recipe.name], "something was left behind"


def test_the_plan_for_scripts(tmp_path: Path) -> None:
    done = ganlab("plan", write_recipe(tmp_path), "--json", "--seconds", 1)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    levels = found["levels"]
    assert sum(level["images"] for level in levels) == 400
    assert found["seconds"] == pytest.approx(sum(level["seconds"] for level in levels) + found["reports_seconds"])
    assert found["operations"] == pytest.approx(sum(it["operations_per_image"] * it["images"] for it in levels))
    parameters = [level["parameters"] for level in levels if not level["fading"]]
    assert parameters == sorted(parameters)
    assert all(level["peak_bytes"] > 0 and level["fits"] for level in levels)


def test_levels_without_time_are_reckoned_and_marked(tmp_path: Path) -> None:
    done = ganlab("plan", write_recipe(tmp_path), "--seconds", 0, "--json")
    levels = json.loads(done.out)["levels"]
    assert [level["measured"] for level in levels] == [True, False, False, False, False]
    rate = levels[0]["operations_per_image"] / levels[0]["seconds_per_1000_images"]
    for level in levels:
        assert level["seconds_per_1000_images"] == pytest.approx(level["operations_per_image"] / rate)
    assert "~ reckoned" in ganlab("plan", write_recipe(tmp_path), "--seconds", 0).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "loss.gp_wieght=1"], "loss.gp_wieght: unknown key"),
        (["--set", "data.name=shards", "--set", "data.path=nowhere"], "nowhere"),
        (["--set", "run.device=cuda:99"], "run.device"),
        (["--seconds", "-1"], "-1"),
    ],
)
def test_mistakes_end_with_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    done = ganlab("plan", write_recipe(tmp_path), *words)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
