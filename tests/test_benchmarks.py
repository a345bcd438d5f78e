"""The benchmarks run, and their yardstick computes what ganlab computes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch

from benchmarks.cases import HALFWAY, STANDARD, Case
from benchmarks.rounds import Spread
from benchmarks.subjects import trainer_of
from benchmarks.yardstick import Yardstick, copy_weights, discriminator_pairs, generator_pairs
from ganlab.train.critics import Level
from ganlab.train.draws import Draws
from ganlab.train.step import discriminator_step, generator_step

ROOT = Path(__file__).parents[1]
TINY = Case(8, 16, 4)
FLOAT32 = "run.precision=float32"
SEPARATE = ["generator.fused_scale=false", "discriminator.fused_scale=false"]


def benchmarks(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("extra", [SEPARATE, SEPARATE[1:], []], ids=["separate", "generator fused", "both fused"])
def test_the_yardstick_has_the_losses_and_gradients_of_ganlab(extra: list[str]) -> None:
    draw = torch.Generator().manual_seed(5)
    reals = torch.randn(8, 3, 16, 16, generator=draw)
    latents, factors = torch.randn(8, 8, generator=draw), torch.rand(8, 1, 1, 1, generator=draw)
    draws = Draws(latents, {"reals": (), "fakes": (), "mixed": ()}, {"mixing": factors})
    with trainer_of(str(ROOT / "recipes/pggan.toml"), [*Case(8, 16, 8).overrides(), FLOAT32, *extra]) as trainer:
        players = trainer.players
        with torch.no_grad():
            for network in (players.generator, players.discriminator):
                for parameter in network.parameters():  # biases too
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
        yardstick = Yardstick(Case(8, 16, 8), reals, halve_first=not extra)
        copy_weights(yardstick, players.generator, players.discriminator)
        level = Level(16, torch.tensor(0.5))

        def nothing() -> torch.autocast:
            return torch.autocast("cpu", enabled=False)

        theirs = [step(players, reals, None, draws, level, nothing) for step in (discriminator_step, generator_step)]
        losses = [yardstick.discriminator_loss(latents, factors), yardstick.generator_loss(latents)]
        pairings = [
            list(discriminator_pairs(yardstick.discriminator, players.discriminator)),
            list(generator_pairs(yardstick.generator, players.generator)),
        ]
        networks = [players.discriminator, players.generator]
        for loss, outcome, pairs, network in zip(losses, theirs, pairings, networks, strict=True):
            torch.testing.assert_close(loss, outcome.loss, rtol=1e-5, atol=1e-5)
            ours = [pair[0] for pair in pairs]
            found = torch.autograd.grad(loss, ours, allow_unused=True)
            parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
            expected = dict(zip(map(id, parameters), outcome.gradients, strict=True))
            assert len(pairs) == len(parameters), "a parameter has no counterpart"
            for (_, parameter, convert), gradient in zip(pairs, found, strict=True):
                wanted = expected[id(parameter)]
                assert (gradient is None) == (wanted is None)
                if wanted is not None:
                    scale = wanted.abs().max().clamp(min=1e-2).item()
                    torch.testing.assert_close(gradient, convert(wanted), rtol=1e-3, atol=1e-4 * scale)


def test_the_standard_cases_stand_half_faded_in() -> None:
    for case in STANDARD:
        with trainer_of(str(ROOT / "recipes/pggan.toml"), Case(4, case.resolution, case.minibatch).overrides()) as it:
            stage = it.schedule.at(HALFWAY)
            assert (stage.resolution, stage.fade, stage.minibatch) == (case.resolution, 0.5, case.minibatch)


@pytest.mark.slow
def test_the_table(tmp_path: Path) -> None:
    out = benchmarks("table", "--case", TINY, "--rounds", 1, "--json", tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["variant"] for row in rows][:4] == [
        "yardstick",
        "ganlab",
        "yardstick of fused_scale",
        "ganlab fused_scale",
    ]
    assert "bfloat16" in out
    for row in rows:
        assert row["case"] == "8@16x4"
        assert row["seconds_per_step"] > 0
        assert row["operations_per_second"] == pytest.approx(row["operations_per_step"] / row["seconds_per_step"])
        assert 0 < row["operations_done_per_step"] <= row["operations_per_step"]
        assert 0 < row["fraction_of_matrix_rate"] < 1.5
    assert rows[0]["speed_up"] == 1
    assert rows[3]["operations_per_step"] < rows[1]["operations_per_step"] == rows[0]["operations_per_step"]


def test_parts_name_where_the_time_goes() -> None:
    out = benchmarks("parts", "--case", TINY, "--steps", 2)
    for part in ("G forward", "penalty", "D backward", "optimizers", "EMA", "data", "draws", "logging"):
        assert part in out


@pytest.mark.slow
def test_two_settings_are_compared() -> None:
    out = benchmarks("compare", "--case", TINY, "--rounds", 2, "--a", FLOAT32, "--b", SEPARATE[1])
    assert SEPARATE[1] in out
    assert "times as fast as A" in out


@pytest.mark.slow
def test_what_is_around_a_step_is_told_apart_from_it() -> None:
    assert "of a step of 100 ms" in benchmarks("overhead", "--case", TINY, "--iterations", 5, "--no-mlflow")


@pytest.mark.parametrize("case", ["8@17x4", "8@2x4", "8@2048x4", "0@16x4", "8@16x0", "8x16"])
def test_a_case_that_cannot_be_is_refused(case: str) -> None:
    with pytest.raises(click.BadParameter, match=f"'{case}': expected"):
        Case.parse(case)


def test_a_setting_that_does_not_exist_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "compare", "--case", str(TINY), "--a", "run.nosuch=1"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "run.nosuch: unknown key" in done.stderr


@pytest.mark.slow
def test_two_commits_data_and_the_start_are_measured() -> None:
    case = ("--case", TINY)
    assert "times as fast as A" in benchmarks("compare", *case, "--rounds", 2, "--a-commit", "HEAD")
    assert "png, not cached" in benchmarks("data", *case, "--rounds", 2, "--count", 16, "--format", "png")
    assert "to the end of the first step" in benchmarks("start", "--rounds", 1, "--set", "track.mlflow=false")


def test_a_plan_is_compared_with_its_run() -> None:
    sizes = ("generator.widths=[8,8,8]", "discriminator.widths=[8,8,8]", "run.images=200", "track.samples=4")
    said = benchmarks("planned", "--seconds", 1, *(word for size in sizes for word in ("--set", size)))
    seconds = [float(word) for word in re.findall(r"(?:planned before|taken|planned after) ([0-9.]+) s", said)]
    assert len(seconds) == 3
    assert all(value > 0 for value in seconds)
    ratio = (seconds[0] + seconds[2]) / 2 / seconds[1]
    assert float(said.split()[-3]) == pytest.approx(ratio, rel=0.05, abs=0.01)  # all are printed rounded


def test_a_spread_is_the_median_with_its_quartiles() -> None:
    assert Spread.of([4.0, 1.0, 2.0, 3.0, 5.0]) == Spread(3.0, 2.0, 4.0)
