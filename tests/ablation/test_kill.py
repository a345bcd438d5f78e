"""A killed ablation, trials and all, comes to the same bytes as one that is left alone, and trains none twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ganlab.track.folder import RunFolder

from ..train.tiny import assert_equal_runs
from .processes import finish, journal_lines, kill, start, trial_processes, wait_until, write_ablation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def finished(folder: Path) -> dict[str, bytes]:
    """The journal, clock and all, of each trial that is finished: trained again, it would not be the same."""
    statuses = folder.glob("*/status.json")
    return {
        path.parent.name: (path.parent / "metrics.jsonl").read_bytes()
        for path in statuses
        if '"finished"' in path.read_text()
    }


def test_killed_three_times_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    file = write_ablation(tmp_path, images=1000)
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    finish(file, alone)

    process = start(file, killed)
    wait_until(lambda: journal_lines(killed) >= 3, process)
    assert kill(process), "it ended before it could be killed"
    wait_until(lambda: not trial_processes(killed))  # none outlives who started it
    assert journal_lines(killed) < journal_lines(alone)

    process = start(file, killed)
    wait_until(lambda: len(trial_processes(killed)) == 2, process)
    before = journal_lines(killed)
    wait_until(lambda: journal_lines(killed) >= before + 2, process)
    for number in trial_processes(killed):  # the executor starts them again
        os.kill(number, signal.SIGKILL)
    wait_until(lambda: finished(killed), process)
    done = finished(killed)
    assert kill(process), "it ended before it could be killed"
    wait_until(lambda: not trial_processes(killed))

    process = start(file, killed)
    wait_until(lambda: journal_lines(killed) > journal_lines(alone) - 20, process)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode in (0, 130), output
    assert "Traceback" not in output

    finish(file, killed)
    for name, content in done.items():
        assert finished(killed)[name] == content, f"{name} was finished and was trained again"
    names = sorted(path.parent.name for path in alone.glob("*/status.json"))
    assert len(names) == 4
    for name in names:
        assert_equal_runs(RunFolder.open(alone / name), RunFolder.open(killed / name))

    once_more = finish(file, killed)
    assert "started" not in once_more
    assert "4 of 4 trials are finished" in once_more
