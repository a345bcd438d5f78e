"""Ablations as a user starts them, in processes of their own, and their trials' processes found from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ..commands import GANLAB
from ..proc import commands
from ..train.tiny import TINY

ABLATION = """
[[metrics]]
name = "ms-ssim"
pairs = 8
every_images = 200

[ablation]
seeds = [0, 1]
decide = ["metric/ms-ssim"]
[ablation.vary]
"discriminator.stddev.averaging" = ["all", "flat"]
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def write_ablation(folder: Path, text: str = ABLATION, *, images: int = 400, mlflow: bool = False) -> Path:
    """The tiny recipe with an ablation of it, as a file."""
    recipe = TINY.replace("seed = 3\n", "").replace("images = 400", f"images = {images}")
    recipe = recipe.replace("mlflow = false", f"mlflow = {str(mlflow).lower()}\nlog_model = false")
    path = folder / "tiny.toml"
    path.write_text(recipe + text)
    return path


def start(file: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """`ganlab ablate` in a session of its own."""
    return subprocess.Popen(
        [GANLAB, "ablate", str(file), "--dir", str(folder), *words],
        env=ENVIRONMENT,
        cwd=file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(file: Path, folder: Path, *words: str, code: int = 0) -> str:
    """`ganlab ablate` to its end; what it said."""
    process = start(file, folder, *words)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == code, output
    return output


def trial_processes(folder: Path) -> list[int]:
    """Process ids of the `ganlab run`s in `folder`."""
    inside = f"{folder}/"
    return [pid for pid, words in commands() if "run" in words and any(word.startswith(inside) for word in words)]


def journal_lines(folder: Path) -> int:
    """Lines in all journals together."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*/metrics.jsonl"))


def wait_until(true: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Until something is so, or the process has ended."""
    deadline = time.monotonic() + 240
    while not true() and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, "it did not happen within four minutes"
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> bool:
    """`kill -9`; whether it was still running."""
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    return running
