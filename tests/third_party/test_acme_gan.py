"""Somebody else's distribution: pip installs it, recipes name its parts, and breaking it breaks nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from ..commands import GANLAB

SOURCES = Path(__file__).parent / "acme_gan"
PGGAN = Path(__file__).parents[2] / "recipes" / "pggan.toml"
RECIPE = """\
[run]
images = 64
threads = 1
[data]
name = "pixel-faces"
resolution = 8
[generator]
widths = [4, 4]
latent_size = 4
[discriminator]
widths = [4, 4]
stddev = { name = "minibatch-range", scale = 0.5 }
[loss]
name = "margin"
[schedule]
name = "staircase"
images_per_level = 32
minibatch = 8
[track]
mlflow = false
samples = 4
[plugins]
require = ["acme-gan>=0.2"]
"""


def at(text: str) -> str:
    """File and line of the recipe's line that begins with `text`."""
    return f"acme.toml:{1 + next(n for n, line in enumerate(RECIPE.splitlines()) if line.startswith(text))}"


@attrs.frozen
class Installed:
    """A folder of packages beside the environment's own, and a folder to work in."""

    packages: Path
    work: Path

    def ganlab(self, *words: object) -> subprocess.CompletedProcess[str]:
        """The installed executable, as a person would call it who had the plugin installed too."""
        environment = {**os.environ, "PYTHONPATH": str(self.packages), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        for variable in ("GANLAB_PLUGINS", "GANLAB_BLOCK_PLUGINS", "GANLAB_STRICT_PLUGINS"):
            environment.pop(variable, None)
        return subprocess.run(
            [GANLAB, *map(str, words)], cwd=self.work, env=environment, capture_output=True, text=True, check=False
        )

    def plugins(self) -> dict[str, dict[str, object]]:
        """What `ganlab plugins --json` tells, by the plugins' names."""
        rows = json.loads(self.ganlab("plugins", "--json").stdout)["plugins"]
        return {row["name"]: row for row in rows}


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """The distribution, built and installed by pip without a network."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools to build a distribution without a network: pip install setuptools")
    shutil.copytree(SOURCES, tmp_path / "sources")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", tmp_path / "packages", tmp_path / "sources"],
        check=True,
        capture_output=True,
    )
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "acme.toml").write_text(RECIPE)
    return Installed(tmp_path / "packages", tmp_path / "work")


@pytest.mark.slow
def test_its_loss_layer_and_schedule_are_used_by_name_and_breaking_it_breaks_nothing_else(installed: Installed) -> None:
    row = installed.plugins()["acme-gan:acme"]
    assert (row["status"], row["version"], row["source"]) == ("ok", "0.2.1", "acme_gan")
    assert row["components"] == {"layer": ["minibatch-range"], "loss": ["margin"], "schedule": ["staircase"]}
    shown = installed.ganlab("show", "schedule", "staircase")
    assert "staircase   [acme-gan 0.2.1]" in shown.stdout
    assert "images_per_level: int = required   (>= 1)" in shown.stdout

    run = installed.ganlab("run", "acme.toml", "--run-dir", "run")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in (installed.work / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["values"]["growth/resolution"] for line in lines if "growth/resolution" in line["values"]][::3] == [
        4,
        8,
    ]
    assert any("acme/real" in line["values"] for line in lines), "what its loss reports is in the journal"
    assert json.loads((installed.work / "run" / "run.json").read_text())["plugins"]["acme-gan"] == "0.2.1"

    # A parameter out of range, and a rule of its own, are told as for ours.
    wrong = installed.ganlab("check", "acme.toml", "--set", "loss.margn=2", "--set", "schedule.images_per_level=0")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines() == [
        "--set loss.margn=2: loss.margn: unknown key; did you mean 'margin'? (allowed: name, margin)",
        "--set schedule.images_per_level=0: schedule.images_per_level: expected at least 1, got 0",
    ]
    wrong = installed.ganlab("check", "acme.toml", "--set", "schedule.minibatch=1")
    assert wrong.stderr == (
        f"{at('stddev')}: discriminator.stddev: expected minibatches of at least 2 images, got one of 1\n"
    )

    # Now it breaks.
    (installed.packages / "acme_gan" / "__init__.py").write_text("import ganlab\n\n@ganlab.hookimpl\ndef oops(:\n")
    row = installed.plugins()["acme-gan:acme"]
    assert (row["status"], row["components"]) == ("failed", {})
    reason = str(row["reason"])
    assert reason.startswith("SyntaxError: ")
    assert "(__init__.py, line 4)" in reason
    listed = installed.ganlab("plugins")
    assert f"acme-gan:acme 0.2.1  failed  (acme_gan)\n    {reason}\n" in listed.stdout

    warning = f"ganlab: warning: plugin acme-gan:acme (0.2.1) is left out: {reason}; `ganlab plugins` tells more"
    ours = ["run.images=64", "track.mlflow=false", "generator.widths=[4, 4, 4]", "discriminator.widths=[4, 4, 4]"]
    sets = [word for assignment in ours for word in ("--set", assignment)]
    run = installed.ganlab("run", PGGAN, *sets, "--run-dir", "ours")
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[0] == warning
    assert (installed.work / "ours" / "generator.safetensors").exists()

    refused = installed.ganlab("run", "acme.toml", "--run-dir", "theirs")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    lines_said = refused.stderr.splitlines()
    assert lines_said[0] == warning
    for key, written in (
        ("discriminator.stddev", "stddev"),
        ("loss", 'name = "margin"'),
        ("schedule", 'name = "staircase"'),
    ):
        place = f"{at(written)}: {key}.name"
        assert any(line.startswith(f"{place}: unknown ") and "acme-gan:acme failed: Syn" in line for line in lines_said)
    broken = f"plugin acme-gan is installed but broken ({reason}); repair it, or run: pip install 'acme-gan>=0.2'"
    assert lines_said[-1] == f"{at('require')}: plugins.require.0: {broken}"
    assert not (installed.work / "theirs").exists()


@pytest.mark.slow
def test_a_module_of_it_that_breaks_concerns_only_who_names_it(installed: Installed) -> None:
    (installed.packages / "acme_gan" / "components.py").write_text("def oops(:\n")
    row = installed.plugins()["acme-gan:acme"]
    assert row["status"] == "failed"
    assert str(row["reason"]).count("cannot be loaded from acme_gan.components:") == 3
    assert "File" in str(row["traceback"])
    checked = installed.ganlab("check", PGGAN)
    assert (checked.returncode, checked.stderr) == (0, "")
    refused = installed.ganlab("check", "acme.toml")
    assert refused.returncode == 2
    assert (
        "loss.name: loss 'margin' of acme-gan 0.2.1 cannot be loaded from acme_gan.components:Margin: SyntaxError: "
    ) in refused.stderr


@pytest.mark.slow
def test_it_can_be_blocked(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (("GANLAB_PLUGINS", ""), ("GANLAB_BLOCK_PLUGINS", "Acme_GAN")):
        environment = {**os.environ, "PYTHONPATH": str(installed.packages), variable: value}
        done = subprocess.run([GANLAB, "plugins"], env=environment, capture_output=True, text=True, check=True)
        assert "acme-gan:acme 0.2.1  blocked  (acme_gan)\n" in done.stdout
        done = subprocess.run([GANLAB, "list", "loss"], env=environment, capture_output=True, text=True, check=True)
        assert "margin" not in done.stdout
        assert "wgan-gp" in done.stdout
