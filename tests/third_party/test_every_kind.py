"""The distribution as a wheel in an environment of its own: one component of each kind, a command and an observer."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from ganlab.interfaces import KINDS

from ..scaffold.environments import make_environment

SOURCES = Path(__file__).parent / "acme_gan"
OFFERED = {
    "layer": ["minibatch-range"],
    "normalization": ["largest"],
    "weight-scaling": ["unit-rows"],
    "loss": ["margin"],
    "regularizer": ["small-scores"],
    "schedule": ["staircase"],
    "network": ["flat-discriminator", "flat-generator"],
    "system": ["mirrored"],
    "augmentation": ["dim"],
    "dataset": ["checkers"],
    "metric": ["brightness"],
    "feature-network": ["quarters"],
    "optimizer": ["signs"],
    "executor": ["backwards"],
}
FLAT = """\
[run]
name = "flat"
images = 64
threads = 1
[data]
name = "checkers"
resolution = 8
[system]
name = "mirrored"
[generator]
name = "flat-generator"
[discriminator]
name = "flat-discriminator"
[loss]
name = "margin"
margin = 0.5
[[regularizers]]
name = "small-scores"
[augmentation]
name = "dim"
strength = 0.25
[schedule]
name = "staircase"
images_per_level = 32
minibatch = 8
[optimizer]
name = "signs"
[[metrics]]
name = "brightness"
[[metrics]]
name = "frechet-distance"
features = "quarters"
count = 32
[track]
mlflow = false
samples = 4
[plugins]
require = ["acme-gan>=0.2"]
"""
TRIALS = """\
base = "flat.toml"
[discriminator]
name = "pggan-discriminator"
widths = [4, 4]
stddev = "minibatch-range"
[ablation]
question = "With the layer or without?"
seeds = [0]
executor = "backwards"
[[ablation.variant]]
label = "with"
[[ablation.variant]]
label = "without"
set = { discriminator = { stddev = "none" } }
"""

CONTRACTS = """\
from ganlab.testing import NotApplicable, cases

checked = set()
for case in cases("acme-gan"):
    try:
        case.check()
        checked.add(case.name)
    except NotApplicable:
        pass
print(*sorted(checked))
"""


@pytest.mark.slow
def test_a_wheel_adds_every_kind_a_command_and_an_observer_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert set(OFFERED) == set(KINDS)
    environment = make_environment(tmp_path)
    shutil.copytree(SOURCES, tmp_path / "acme-gan")
    wheel = environment.wheel(tmp_path / "acme-gan")
    assert "acme_gan/more.py" in zipfile.ZipFile(wheel).namelist()
    environment.install(wheel)
    for name, text in (("flat.toml", FLAT), ("trials.toml", TRIALS)):
        (environment.work / name).write_text(text)

    # All of it is listed, by two plugins, and nothing is wrong.
    rows = {row["name"]: row for row in json.loads(environment.ganlab("plugins", "--json"))["plugins"]}
    theirs = [rows["acme-gan:acme"], rows["acme-gan:more"]]
    assert [(row["status"], row["version"]) for row in theirs] == [("ok", "0.2.1")] * 2
    assert {kind: names for row in theirs for kind, names in row["components"].items()} == OFFERED
    assert "dim   [acme-gan 0.2.1]" in environment.ganlab("show", "augmentation", "dim")

    # All of it keeps the contracts that ours keep.
    assert environment.call("-c", CONTRACTS).split() == sorted(name for names in OFFERED.values() for name in names)

    # The command is one of ganlab's.
    assert environment.ganlab("acme-hello", "--name", "ada") == "acme-gan greets ada\n"
    assert "acme-hello" in environment.ganlab("--help")

    # A recipe uses every kind but the layer and the executor, and the observer sees it.
    said = environment.ganlab("run", "flat.toml", "--run-dir", "run")
    seen = [line for line in said.splitlines() if line.startswith("acme-gan saw")]
    assert seen == [
        "acme-gan saw flat begin with seed 0",
        "acme-gan saw flat leave 4x4",
        "acme-gan saw flat leave 8x8",
        "acme-gan saw it finished",
    ]
    lines = [json.loads(line) for line in (environment.work / "run/metrics.jsonl").read_text().splitlines()]
    values = {name for line in lines for name in line["values"]}
    assert {"metric/brightness", "metric/frechet-distance/quarters"} <= values
    assert {f"{pair}/acme/real" for pair in ("upright", "mirrored")} <= values
    assert {f"generator/{pair}/acme/squares" for pair in ("upright", "mirrored")} <= values
    assert json.loads((environment.work / "run/run.json").read_text())["plugins"]["acme-gan"] == "0.2.1"

    # An ablation uses those two: the last trial runs first.
    said = environment.ganlab("ablate", "trials.toml", "--dir", "trials")
    ended = [line.split(": ")[-2].split()[-1] for line in said.splitlines() if line.endswith(": finished")]
    assert [name.rpartition("-s0-")[0] for name in ended] == ["without", "with"]

    # Without it, the recipe says what to install, and the command is gone.
    environment.uninstall("acme-gan")
    assert "acme-gan" not in environment.ganlab("plugins")
    assert "pip install 'acme-gan>=0.2'" in environment.ganlab("check", "flat.toml", code=2)
    assert "No such command" in environment.ganlab("acme-hello", code=2)
