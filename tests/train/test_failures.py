"""What cannot go on ends cleanly: a line that says what and where, exit code 2, and nothing good is lost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ganlab.track.folder import RunFolder
from ganlab.train.state import checkpoints

from .tiny import TINY, write_recipe

BREAKS = '''
"""A loss that stops being finite after some updates."""
import attrs
import ganlab
from ganlab_losses.wasserstein import WganGp

@ganlab.hookimpl
def register_losses(register):
    register("breaks", Breaks)

@attrs.frozen
class Breaks:
    """Wasserstein loss until `updates` discriminator updates are done, then NaN."""
    updates: int = ganlab.parameter(20, help="updates that go well")

    def build(self):
        import torch
        built = WganGp().build()
        built.register_buffer("seen", torch.zeros(()))
        plain = built.discriminator
        def discriminator(batch):
            value = plain(batch)
            factor = torch.where(built.seen >= self.updates, torch.nan, 1.0)
            return value._replace(per_sample=value.per_sample * factor)
        built.discriminator = discriminator
        built.observe = lambda loss, report: built.seen.add_(1)
        return built
'''


def ganlab(*arguments: object, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ganlab.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=200, check=False, preexec_fn=before
    )


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(tmp_path: Path) -> None:
    plugin = tmp_path / "breaking.py"
    plugin.write_text(BREAKS)
    recipe = write_recipe(tmp_path)
    done = ganlab("run", recipe, "--plugin", plugin, "--set", "loss=breaks", "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    line = next(line for line in done.stderr.splitlines() if "not finite" in line)
    assert "loss/discriminator is not finite in the step that began at 160 images shown" in line
    folder = RunFolder.open(tmp_path / "run")
    failure = json.loads((folder.path / "failure.json").read_text())
    assert failure["positions"] == [160, 168]
    assert len(failure["samples"]) == 8
    assert folder.status().state == "failed"  # type: ignore[union-attr]  # it has one
    assert checkpoints(folder.checkpoints)[-1].name == "checkpoint-000000160.safetensors"
    assert "checkpoint-000000160" in line


@pytest.mark.slow
def test_a_full_disk_ends_the_run_in_one_line_and_it_can_go_on(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 160"))
    # A limit on the size of files stands for the full disk: the checkpoint does not fit, everything smaller does.
    limit = 30_000
    done = ganlab(
        "run", recipe, "--run-dir", tmp_path / "run",
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot write" in done.stderr.splitlines()[-1]
    assert str(tmp_path / "run" / "checkpoints") in done.stderr.splitlines()[-1]
    assert checkpoints(tmp_path / "run" / "checkpoints") == []
    again = ganlab("run", recipe, "--run-dir", tmp_path / "run", "--resume")
    assert again.returncode == 0, again.stderr
    assert RunFolder.open(tmp_path / "run").status().state == "finished"  # type: ignore[union-attr]  # it has one


@pytest.mark.parametrize("device", ["cuda", "mps", "cuda:7"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    import torch

    from ganlab.errors import GanlabError
    from ganlab.train.devices import choose_device

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        device = "cuda:99"
    with pytest.raises(GanlabError, match=f"run.device: {device}"):
        choose_device(device)
