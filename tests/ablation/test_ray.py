"""An ablation on a Ray cluster that loses a machine in the middle comes to what it comes to on this machine alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ganlab.track.folder import RunFolder

from ..clusters import raylet
from ..train.tiny import assert_equal_runs
from .processes import finish, journal_lines, start, trial_processes, wait_until, write_ablation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_a_lost_machine_loses_no_trial(tmp_path: Path, cluster: Any) -> None:
    file = write_ablation(tmp_path, images=800)
    there, here = tmp_path / "ray", tmp_path / "local"
    process = start(file, there, "--executor", "ray", "--set", f"ablation.executor.address={cluster.address!r}")
    wait_until(lambda: len(trial_processes(there)) == 2 and journal_lines(there) >= 6, process)
    os.kill(raylet(cluster.nodes[0]), signal.SIGKILL)  # its worker, and the trial with it, end by themselves
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    assert "4 of 4 trials are finished" in output
    finish(file, here)
    logs = "".join(path.read_text() for path in there.glob("logs/*.log"))
    assert "the worker or its machine was lost" in logs
    names = [path.parent.name for path in here.glob("*/status.json")]
    assert len(names) == 4
    for name in names:
        assert_equal_runs(RunFolder.open(here / name), RunFolder.open(there / name))
