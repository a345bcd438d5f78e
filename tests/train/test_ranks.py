"""Several ranks, as real processes, train as one does; and when one is lost, nothing is but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganlab.track.folder import RunFolder
from ganlab.train.state import checkpoints

from .tiny import TINY, assert_equal_runs, journal_without_times, tiny, train_all, write_recipe

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the ranks through /proc")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
GENTLE = ("run.images=200", "optimizer={name='sgd', learning_rate=0.0005}")
"""Adam without momentum turns a rounding of a tiny gradient into a whole step; this does not."""


def start(
    recipe: Path, folder: Path, ranks: int, *overrides: str, torchrun: bool = False, plugin: Path | None = None
) -> subprocess.Popen[str]:
    """`ganlab run` on several ranks, as a user starts it."""
    begin = ["-m", "ganlab"]
    if torchrun:
        begin = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks), "-m", "ganlab"]
    words = [sys.executable, *begin, "run", str(recipe), "--run-dir", str(folder), "--resume"]
    words += [] if torchrun else ["--ranks", str(ranks)]
    words += [word for override in overrides for word in ("--set", override)]
    words += [] if plugin is None else ["--plugin", str(plugin)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(words, env=ENVIRONMENT, text=True, cwd=recipe.parent, **pipes)  # type: ignore[call-overload,no-any-return]  # a dict of keywords


def on_ranks(recipe: Path, folder: Path, ranks: int, *overrides: str) -> RunFolder:
    """A whole run."""
    process = start(recipe, folder, ranks, *overrides)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Traceback" not in output
    return RunFolder.open(folder)


def rank_process(launcher: subprocess.Popen[str], rank: int) -> int:
    """The process id of a rank."""
    children = subprocess.run(["pgrep", "-P", str(launcher.pid)], capture_output=True, text=True, check=True)
    for child in map(int, children.stdout.split()):
        if f"\0RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
            return child
    raise AssertionError(f"no rank {rank}")


def wait_for_lines(process: subprocess.Popen[str], folder: Path, lines: int) -> None:
    """Until the journal has so many lines."""
    journal = folder / "metrics.jsonl"
    deadline = time.monotonic() + 100
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= lines):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_near(one: RunFolder, other: RunFolder) -> None:
    """The last checkpoints and journals agree within what float32 sums in another order differ by."""
    for ours, theirs in zip(journal_without_times(one), journal_without_times(other), strict=True):
        assert theirs["values"] == pytest.approx(ours["values"], rel=1e-3, abs=1e-5)
    ours, theirs = (load_file(checkpoints(folder.checkpoints)[-1]) for folder in (one, other))
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        difference = (theirs[name].double() - values.double()).abs().max()
        assert difference <= 1e-3 * values.double().abs().max() + 1e-7, name


def assert_nobody_is_left(folder: Path) -> None:
    listed = subprocess.run(["pgrep", "-f", f"run-dir {folder}"], capture_output=True, text=True, check=False)
    assert listed.stdout == ""


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        pytest.param(("discriminator.stddev.group_size=0", "updates.together=true"), marks=pytest.mark.slow),
        ("loss=lsgan", "discriminator.noise=multiplicative-noise", "discriminator.weight_scaling=spectral"),
        pytest.param(("generator.normalization=batch", "discriminator.normalization=batch"), marks=pytest.mark.slow),
        pytest.param(("discriminator.discrimination=minibatch-discrimination",), marks=pytest.mark.slow),
        pytest.param(("discriminator.stddev={name='minibatch-stddev', group_size=4, grouping='consecutive'}",
                      "schedule.minibatches={16=4}"), marks=pytest.mark.slow),
        pytest.param(("discriminator.stddev.group_size=2", "run.micro_batches=2"), marks=pytest.mark.slow),
    ],
    ids=["groups", "whole minibatch, together", "lsgan, noise, spectral", "batch norm of both", "discrimination",
         "consecutive groups, then exchanged", "micro-batches too"],
)  # fmt: skip
def test_two_ranks_agree_with_one(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    loaded = tiny(tmp_path, *GENTLE, *overrides, "run.micro_batches=1")
    assert_near(
        train_all(loaded, tmp_path / "one"),
        on_ranks(tmp_path / "tiny.toml", tmp_path / "two", 2, *GENTLE, *overrides),
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_ranks_equal_two_micro_batches_bit_for_bit_with_metrics_made_by_both(
    tmp_path: Path, precision: str
) -> None:
    swd = "name='swd', count=96, patches_per_image=8, every_images=80"
    overrides = ("run.images=200", f"run.precision={precision}", f"metrics=[{{{swd}}}, {{{swd}, averaged=false}}]")
    micro = train_all(tiny(tmp_path, *overrides, "run.micro_batches=2"), tmp_path / "micro")
    two = on_ranks(tmp_path / "tiny.toml", tmp_path / "two", 2, *overrides)
    assert_equal_runs(micro, two)
    measured = [line["images_shown"] for line in journal_without_times(two) if "swd/mean/training" in str(line)]
    assert measured == [80, 160, 200]


@pytest.mark.parametrize("rank", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_rank_ends_all_in_a_line_and_resuming_is_exact(tmp_path: Path, rank: int) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 480"))
    process = start(recipe, tmp_path / "killed", 2)
    wait_for_lines(process, tmp_path / "killed", 3)
    os.kill(rank_process(process, rank), signal.SIGKILL)
    output, _ = process.communicate(timeout=60)  # nobody waits for gloo's half hour
    assert process.returncode == 3, output
    assert "Traceback" not in output
    folder = RunFolder.open(tmp_path / "killed")
    kept = checkpoints(folder.checkpoints)[-1].name
    last = output.splitlines()[-1]
    assert last.startswith(f"ganlab: rank {rank} was ended by SIGKILL; the last checkpoint is {kept}; go on with: ")
    assert last.endswith(f"ganlab run {recipe} --run-dir {folder.path} --resume --ranks 2")
    status = folder.status()
    assert status is not None
    assert (status.state, status.message) == ("failed", f"rank {rank} was ended by SIGKILL")
    assert_nobody_is_left(folder.path)
    on_ranks(recipe, folder.path, 2)
    undisturbed = train_all(tiny(tmp_path, "run.images=480", "run.micro_batches=2"), tmp_path / "undisturbed")
    assert_equal_runs(undisturbed, folder)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_another_number_of_ranks_goes_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    settings = ("run.images=480", GENTLE[1])
    loaded = tiny(tmp_path, *settings)
    process = start(tmp_path / "tiny.toml", tmp_path / "run", 2, *settings)
    wait_for_lines(process, tmp_path / "run", 2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "Traceback" not in output
    assert "go on with: ganlab run" in output
    folder = RunFolder.open(tmp_path / "run")
    status = folder.status()
    assert status is not None
    assert status.state == "interrupted"
    assert checkpoints(folder.checkpoints)[-1].name == f"checkpoint-{status.images_shown:09d}.safetensors"
    on_ranks(tmp_path / "tiny.toml", folder.path, 1, *settings)
    assert_near(train_all(loaded, tmp_path / "whole"), folder)


@pytest.mark.slow
def test_a_signal_to_a_single_rank_is_heard_by_all_and_resuming_is_exact(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 480"))
    process = start(recipe, tmp_path / "run", 2)
    wait_for_lines(process, tmp_path / "run", 2)
    os.kill(rank_process(process, 1), signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    folder = on_ranks(recipe, tmp_path / "run", 2)
    undisturbed = train_all(tiny(tmp_path, "run.images=480", "run.micro_batches=2"), tmp_path / "undisturbed")
    assert_equal_runs(undisturbed, folder)


@pytest.mark.slow
def test_a_killed_launcher_lets_the_ranks_save_and_end(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 100000"))
    process = start(recipe, tmp_path / "run", 2)
    wait_for_lines(process, tmp_path / "run", 2)
    process.kill()
    process.communicate(timeout=60)
    folder = RunFolder.open(tmp_path / "run")
    with folder.lock():
        status = folder.status()
    assert status is not None
    assert status.state == "interrupted"


def test_what_fails_while_the_interpreter_ends_makes_no_rank_lost(tmp_path: Path) -> None:
    # torch's threads have been seen to abort a process then, which had done and written everything.
    plugin = tmp_path / "aborts.py"
    plugin.write_text("import atexit, os\n\nif 'RANK' in os.environ:\n    atexit.register(os.abort)\n")
    process = start(write_recipe(tmp_path, TINY), tmp_path / "two", 2, "run.images=80", plugin=plugin)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    status = RunFolder.open(tmp_path / "two").status()
    assert status is not None
    assert status.state == "finished"


@pytest.mark.slow
def test_torchrun_starts_the_same_run(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 120"))
    process = start(recipe, tmp_path / "torchrun", 2, torchrun=True)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert_equal_runs(on_ranks(recipe, tmp_path / "ours", 2), RunFolder.open(tmp_path / "torchrun"))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_ranks_in_one_line(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    process = start(recipe, tmp_path / "run", 2, "optimizer={name='sgd', learning_rate=1e30}")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert sum("is not finite" in line for line in output.splitlines()) == 1
    status = RunFolder.open(tmp_path / "run").status()
    assert status is not None
    assert status.state == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("torchrun", [False, True])
def test_what_the_recipe_gets_wrong_is_said_once(tmp_path: Path, torchrun: bool) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("minibatch = 8", "minibatch = 7"))
    process = start(recipe, tmp_path / "run", 2, "discriminator.stddev.group_size=0", torchrun=torchrun)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == (1 if torchrun else 2), output
    lines = [line for line in output.splitlines() if "a minibatch of 7 cannot be divided into 2 ranks" in line]
    assert len(lines) == 3, "one for each level"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu
def test_more_ranks_than_gpus_are_refused(tmp_path: Path) -> None:
    process = start(write_recipe(tmp_path), tmp_path / "run", torch.cuda.device_count() + 1, "run.device=cuda")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "as many GPUs" in output
