"""`kill -9` at any moment loses nothing but time; Ctrl-C and SIGTERM save and say so by their exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganlab.track.folder import RunFolder

from .tiny import TINY, assert_equal_runs, write_recipe

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(recipe: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`ganlab run` as a user starts it."""
    command = [
        sys.executable,
        "-c",
        "from ganlab.cli import main; main()",
        "run",
        str(recipe),
        "--run-dir",
        str(folder),
    ]
    return subprocess.Popen(
        [*command, "--resume", *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_lines(process: subprocess.Popen[str], folder: Path, lines: int) -> None:
    """Until the journal has so many lines, or the process has ended."""
    journal = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_kill_dash_nine_several_times_changes_nothing(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 1200"))
    whole = start(recipe, tmp_path / "whole")
    output, _ = whole.communicate(timeout=300)
    assert whole.returncode == 0, output
    killed = 0
    for lines, delay, workers in ((1, 0.0, 2), (3, 0.05, 0), (9, 0.02, 3), (16, 0.11, 1)):
        process = start(recipe, tmp_path / "killed", "--set", f"data.workers={workers}")
        wait_for_lines(process, tmp_path / "killed", lines)
        time.sleep(delay)
        killed += process.poll() is None
        process.kill()
        process.wait()
    assert killed >= 3, "the run ended before it could be killed"
    last = start(recipe, tmp_path / "killed")
    output, _ = last.communicate(timeout=300)
    assert last.returncode == 0, output
    assert_equal_runs(RunFolder.open(tmp_path / "whole"), RunFolder.open(tmp_path / "killed"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_its_exit_code(tmp_path: Path, number: signal.Signals, code: int) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 100000"))
    process = start(recipe, tmp_path / "run")
    wait_for_lines(process, tmp_path / "run", 1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert "go on with: ganlab run" in output
    folder = RunFolder.open(tmp_path / "run")
    status = folder.status()
    assert status is not None
    assert status.state == "interrupted"
    assert (folder.checkpoints / f"checkpoint-{status.images_shown:09d}.safetensors").exists()
