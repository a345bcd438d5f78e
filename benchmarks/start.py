"""How long `ganlab run` takes from the start of its process to the end of its first step.

The run is asked for a report after every step and for nothing else; the first line of its journal says when it was
written.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

PATIENCE_S = 300.0


def seconds_to_first_step(recipe: Path, overrides: Sequence[str]) -> float:
    """Seconds. Raises `click.ClickException` with the command's words where it ends before."""
    asked = [
        "schedule.tick_images=1",
        "track.samples_every_ticks=1000000",
        "track.checkpoint_every_ticks=1000000",
        *overrides,
    ]
    with TemporaryDirectory(prefix="ganlab-start-") as path:
        journal = Path(path) / "run" / "metrics.jsonl"
        words = [sys.executable, "-m", "ganlab", "run", str(recipe.absolute()), "--run-dir", str(journal.parent)]
        words += [word for assignment in asked for word in ("--set", assignment)]
        started = time.time()
        with open(Path(path) / "log", "w+") as log:
            process = subprocess.Popen(words, cwd=path, stdout=log, stderr=log)
            try:
                while not (journal.exists() and journal.read_text().count("\n")):
                    if process.poll() is not None or time.time() - started > PATIENCE_S:
                        log.seek(0)
                        raise click.ClickException(f"no first step was made:\n{log.read()}")
                    time.sleep(0.02)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
        first: float = json.loads(journal.read_text().splitlines()[0])["time"]["unix_s"]
        return first - started
