"""Plugins may watch a run and add commands; one that fails at it never stops a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..commands import ganlab as command
from .conftest import Site, WriteFile

TINY = """
[run]
images = 48
seed = 5
threads = 1
check_memory = false
[data]
name = "synthetic"
resolution = 8
workers = 0
[generator]
widths = [4, 4]
latent_size = 4
[discriminator]
widths = [4, 4]
[schedule]
stabilize_images = 16
fade_images = 16
minibatch = 8
tick_images = 16
[track]
mlflow = false
samples = 4
"""
OBSERVER = """
import json, ganlab

def note(run, *what):
    with open(run.folder + "/seen.jsonl", "a") as file:
        file.write(json.dumps(what) + "\\n")

@ganlab.hookimpl
def before_run(run):
    note(run, "before_run", run.name, run.seed, run.recipe["loss"]["name"])

@ganlab.hookimpl
def after_stage(run, stage, images_shown):
    note(run, "after_stage", stage.resolution, stage.fade == 1, images_shown)

@ganlab.hookimpl
def after_run(outcome, run):
    note(run, "after_run", outcome)
"""
RAISING = """
import ganlab

@ganlab.hookimpl
def before_run(): raise RuntimeError("no disk here")

@ganlab.hookimpl
def after_run(): raise ValueError("no more disk")
"""


def seen(folder: Path) -> list[list[object]]:
    return [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]


def test_observers_see_the_run_and_a_raising_one_only_warns(site: Site, in_folder: WriteFile) -> None:
    site.install("acme-gan", {"acme": OBSERVER})
    site.install("bad-gan", {"bad": RAISING})
    recipe = in_folder("tiny.toml", TINY)
    done = command("run", recipe, "--run-dir", "run")
    assert done.code == 0, done.err
    events = seen(recipe.parent / "run")
    assert events[0] == ["before_run", "tiny", 5, "wgan-gp"]
    assert events[-1] == ["after_run", "finished"]
    stages = [event[1:] for event in events if event[0] == "after_stage"]
    assert [stage[:2] for stage in stages] == [[4, True], [8, False], [8, True]]
    assert [stage[2] for stage in stages] == sorted(stage[2] for stage in stages)
    assert stages[-1][2] == 48
    warned = [line for line in done.err.splitlines() if line.startswith("ganlab: warning: ")]
    assert warned == [
        "ganlab: warning: plugin bad-gan:main: before_run raised RuntimeError('no disk here')",
        "ganlab: warning: plugin bad-gan:main: after_run raised ValueError('no more disk')",
    ]
    assert "Traceback" not in done.err
    status = json.loads((recipe.parent / "run" / "status.json").read_text())
    assert (status["state"], status["images_shown"]) == ("finished", 48)


def test_a_run_records_every_plugin_and_its_version(site: Site, in_folder: WriteFile) -> None:
    site.install_hinge("acme-gan", "acme", version="1.2")
    site.install("bad-gan", {"bad": "1/0\n"})
    recipe = in_folder("tiny.toml", TINY)
    assert command("run", recipe, "--run-dir", "run", "--set", "run.images=8").code == 0
    plugins = json.loads((recipe.parent / "run" / "run.json").read_text())["plugins"]
    assert plugins["acme-gan"] == "1.2"
    assert set(plugins) == {"ganlab", "acme-gan"}


COMMANDS = """
import click, ganlab

@click.command("count-pixels")
@click.argument("number", type=int)
def count_pixels(number):
    "Count the pixels of an image. It takes a while."
    click.echo(number * number)
    raise SystemExit(0 if number else 4)

@click.command("run")
def run():
    "Something else."

@ganlab.hookimpl
def register_commands(cli):
    cli.add_command(count_pixels)
    cli.add_command(run)
"""


def test_a_plugin_adds_a_command_but_takes_no_name(site: Site) -> None:
    site.install("acme-gan", {"acme": COMMANDS})
    done = command("count-pixels", "3")
    assert (done.code, done.out) == (0, "9\n")
    assert command("count-pixels", "0").code == 4
    assert command("count-pixels", "three").code == 2
    shown = command("--help")
    assert "count-pixels    Count the pixels of an image." in shown.out
    assert "Train RECIPE" in shown.out, "run is still ours"
    assert shown.err == "ganlab: warning: plugin acme-gan:main offers a command 'run', which is taken\n"


@pytest.mark.parametrize("fault", ["1 / 0", "raise SystemExit(3)", "cli.add_command(None)"])
def test_commands_that_cannot_be_added_are_a_warning(site: Site, fault: str) -> None:
    text = f"import ganlab\n@ganlab.hookimpl\ndef register_commands(cli):\n    {fault}\n"
    site.install("acme-gan", {"acme": text})
    site.install("well-made", {"well_made": COMMANDS.replace('"run"', '"walk"')})
    assert command("count-pixels", "2").out == "4\n"
    done = command("--help")
    assert done.code == 0
    assert "  walk " in done.out
    assert done.err.startswith("ganlab: warning: commands of plugin acme-gan:main are left out: ")
    assert done.err.count("\n") == 1
