"""`kill -9` of whoever started jobs ends them within seconds: a training saves, frees its folder and can go on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.interfaces import Job
from ganlab.jobs import start
from ganlab.track.folder import RunFolder

from ..train.tiny import TINY, assert_equal_runs, tiny, train_all, write_recipe
from .work import HOLDS, is_alive, log, wait_until

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")

STARTER = """
import sys
from ganlab.interfaces import Job
from ganlab_executors.components import Local

log, *command = sys.argv[1:]
jobs = [Job(f"job-{n}", tuple(word.replace("{n}", str(n)) for word in command), f"{log}-{n}.log") for n in range(2)]
Local(at_once=2).build().run(jobs, started=print, ended=print, stop=lambda: 0)
"""


def starter(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """A process with an executor that runs the command twice, with `{n}` in it replaced by 0 and 1."""
    return subprocess.Popen([sys.executable, "-c", STARTER, str(folder / "job"), *command], stdout=subprocess.DEVNULL)


def training(recipe: Path, folder: object, *more: str) -> tuple[str, ...]:
    """`ganlab run`, as an ablation calls it."""
    return (sys.executable, "-m", "ganlab", "run", str(recipe), "--run-dir", str(folder), "--resume", "--quiet", *more)


def lines(folder: Path) -> int:
    """Of the journal."""
    journal = folder / "metrics.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_jobs_end_when_the_process_of_the_executor_is_killed(tmp_path: Path) -> None:
    program = HOLDS.replace("'up'", "__import__('os').getpid()")
    process = starter(tmp_path, sys.executable, "-c", program + "time.sleep(60)")
    logs = [tmp_path / f"job-{number}.log" for number in range(2)]
    wait_until(lambda: all(path.exists() and path.read_text().endswith("\n") for path in logs))
    pids = [int(path.read_text()) for path in logs]
    assert all(map(is_alive, pids))
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_alive, pids)), 5)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_trainings_save_and_free_their_folders_when_the_executor_is_killed(tmp_path: Path, ranks: int) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 100000"))
    process = starter(tmp_path, *training(recipe, tmp_path / "run-{n}", "--ranks", str(ranks)))
    folders = [tmp_path / f"run-{number}" for number in range(2)]
    wait_until(lambda: all(lines(folder) >= 2 for folder in folders), 100)
    process.kill()
    process.wait()
    wait_until(lambda: not any(RunFolder(folder).is_in_use() for folder in folders), 20)
    for folder in map(RunFolder.open, folders):
        status = folder.status()
        assert status is not None
        assert status.state == "interrupted"
        assert (folder.checkpoints / f"checkpoint-{status.images_shown:09d}.safetensors").exists()
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"run-dir {tmp_path}"], check=False).returncode == 1)


@pytest.mark.slow
def test_a_job_waits_for_what_is_left_of_it_and_then_goes_on_from_there(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    made = Job("it", training(tmp_path / "tiny.toml", tmp_path / "run"), str(tmp_path / "it.log"))
    first = start(made)
    wait_until(lambda: lines(tmp_path / "run") >= 2, 100)
    left = subprocess.Popen(["kill", "-STOP", str(first.pid)])  # an orphan on a slow machine
    left.wait()
    second = start(made)
    assert second.wait(9) is None, "longer than a run waits that nobody started as a job"
    first.stop(signal.SIGTERM)
    subprocess.run(["kill", "-CONT", str(first.pid)], check=True)
    assert first.wait(60) == 143
    assert second.wait(100) == 0, log(made)
    assert_equal_runs(train_all(loaded, tmp_path / "undisturbed"), RunFolder.open(tmp_path / "run"))


@pytest.mark.slow
def test_a_job_that_lost_a_rank_says_so_by_its_exit_code(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 100000"))
    made = Job("it", training(recipe, tmp_path / "run", "--ranks", "2"), str(tmp_path / "it.log"))
    with start(made) as process:
        wait_until(lambda: lines(tmp_path / "run") >= 1, 100)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
        subprocess.run(["kill", "-9", children.stdout.split()[-1]], check=True)
        assert process.wait(60) == 3, log(made)
