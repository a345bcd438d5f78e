"""A run that is stopped and resumed equals one that never stopped, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganlab.errors import RunError
from ganlab.track.folder import RunFolder
from ganlab.track.results import keep
from ganlab.train.choose import Choice
from ganlab.train.run import run
from ganlab.train.state import checkpoints

from .tiny import assert_equal_runs, journal_without_times, quiet, tiny, train_all, train_in_pieces


@pytest.mark.parametrize(
    "stops",
    [[40], [80], [100, 104], [150, 230, 300]],
    ids=["while stable", "inside a fade", "twice within a tick", "three times, in fades of both levels"],
)
def test_stopping_changes_nothing(tmp_path: Path, stops: list[int]) -> None:
    loaded = tiny(tmp_path)
    assert_equal_runs(train_all(loaded, tmp_path / "whole"), train_in_pieces(loaded, tmp_path / "pieces", stops))


@pytest.mark.parametrize(
    "overrides",
    [
        ("loss=lsgan", "discriminator.noise=multiplicative-noise"),
        ("updates.together=true",),
        ("updates.discriminator_steps=2", "optimizer.beta1=0.5", "updates.clear_optimizer=false"),
        ("schedule.settings_interval_steps=4",),
        ("schedule.name=fade-first", "schedule.fade_images=60", "schedule.stabilize_images=60", "schedule.minibatch=8"),
        ("generator.normalization=batch", "discriminator.weight_scaling=spectral", "run.precision=bfloat16"),
        ("optimizer={name='rmsprop', learning_rate=0.0005}", "loss=wgan"),
        ("regularizers=[{name='r1', gamma=9.0, gamma_end=1.0, gamma_images=200}]", "optimizer.beta2_end=0.9",
         "optimizer.beta2_images=200", "schedule.decay_images=200", "schedule.decay_to=0.1",
         "ema={half_life_images=40, rampup_images=200}", "updates.clear_optimizer=false"),
    ],
    ids=["noise state", "together", "several steps, moments kept", "settings each 4 steps", "fade first",
         "batch statistics and power iteration", "other optimizer", "all that follows a cosine"],
)  # fmt: skip
def test_every_kind_of_state_survives(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    loaded = tiny(tmp_path, "run.images=260", *overrides)
    assert_equal_runs(train_all(loaded, tmp_path / "whole"), train_in_pieces(loaded, tmp_path / "pieces", [90, 180]))


MEASURED = (
    "run.images=200",
    "schedule.stabilize_images=32",
    "schedule.fade_images=32",
    "generator.normalization=batch",
    "metrics=[{name='swd', count=32, patches_per_image=8, every_images=40},"
    " {name='swd', count=32, patches_per_image=8, every_images=70, averaged=false}, {name='ms-ssim', pairs=16}]",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with metrics in its course, never stopped."""
    path = tmp_path_factory.mktemp("measured")
    return train_all(tiny(path, *MEASURED), path / "whole")


def test_metrics_in_the_course_of_training_are_the_same_after_stops(tmp_path: Path, whole: RunFolder) -> None:
    loaded = tiny(tmp_path, *MEASURED)
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [44, 80, 136]))
    moments = {name: [line["images_shown"] for line in journal_without_times(whole) if name in str(line["values"])]
               for name in ("metric/swd/mean'", "metric/swd/mean/training'", "metric/ms-ssim'")}  # fmt: skip
    assert list(moments.values()) == [[40, 80, 120, 160, 200], [80, 160, 200], [200]]


class Killed(BaseException):
    """As kill -9: nobody catches it to write anything."""


@pytest.mark.parametrize(
    ("images_shown", "journal_written"),
    [(120, False), (120, True), (200, False), (200, True)],
    ids=["in the middle, before the journal", "after it", "at the end, before the journal", "at the end, after it"],
)
def test_a_run_killed_while_it_writes_what_it_measured_has_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder, images_shown: int, journal_written: bool
) -> None:
    loaded = tiny(tmp_path, *MEASURED)

    def keep_and_die(folder: RunFolder, shown: int, *rest: Any) -> None:
        if shown == images_shown and not journal_written:
            folder.journal = None  # type: ignore[assignment]  # so that writing to it ends the run
        keep(folder, shown, *rest)
        if shown == images_shown:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ganlab.train.measure.keep", keep_and_die)
        with pytest.raises((Killed, AttributeError)):
            run(loaded, Choice(tmp_path / "killed", "start"), say=quiet)
    folder = unfinished(RunFolder.open(tmp_path / "killed"))
    assert run(loaded, Choice(folder.path, "resume"), say=quiet) == 0
    assert_equal_runs(whole, RunFolder.open(folder.path))


def test_the_number_of_workers_and_the_cache_change_nothing(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    other = tiny(tmp_path / "other", "data.workers=0", "data.cache_gigabytes=0")
    pieces = train_in_pieces(loaded, tmp_path / "pieces", [120])
    assert_equal_runs(pieces, train_all(other, tmp_path / "whole"))


def unfinished(folder: RunFolder) -> RunFolder:
    """As a run that was killed before it could say that it had finished."""
    folder.set_status("running", 0)
    return folder


def test_another_seed_changes_everything(tmp_path: Path) -> None:
    one = train_all(tiny(tmp_path, "run.images=80"), tmp_path / "a")
    other = train_all(tiny(tmp_path / "other", "run.images=80", "run.seed=4"), tmp_path / "b")
    with pytest.raises(AssertionError, match="checkpoints differ"):
        assert_equal_runs(one, other)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    whole = train_all(loaded, tmp_path / "whole")
    folder = unfinished(train_in_pieces(loaded, tmp_path / "damaged", []))
    newest = checkpoints(folder.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    said: list[str] = []
    assert run(loaded, Choice(folder.path, "resume"), say=said.append) == 0
    assert any("is damaged" in line and str(newest) in line for line in said)
    assert newest.with_suffix(".damaged").exists()
    assert_equal_runs(whole, RunFolder.open(folder.path))


def test_without_a_readable_checkpoint_nothing_is_thrown_away(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    folder = unfinished(train_in_pieces(loaded, tmp_path / "run", []))
    for path in checkpoints(folder.checkpoints):
        path.write_bytes(b"")
    before = (folder.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="none of the 2 checkpoints"):
        run(loaded, Choice(folder.path, "resume"), say=quiet)
    assert (folder.path / "metrics.jsonl").read_bytes() == before


def test_a_full_disk_while_resuming_is_not_taken_for_a_damaged_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tiny(tmp_path)
    folder = unfinished(train_in_pieces(loaded, tmp_path / "run", []))
    before = (folder.path / "metrics.jsonl").read_bytes()

    def full(self: object, images_shown: int) -> None:
        raise RunError("cannot write metrics.jsonl: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ganlab.track.journal.Journal.truncate_after", full)
        with pytest.raises(RunError, match="no space left"):
            run(loaded, Choice(folder.path, "resume"), say=quiet)
    assert (folder.path / "metrics.jsonl").read_bytes() == before
    assert len(checkpoints(folder.checkpoints)) == 2
    assert run(loaded, Choice(folder.path, "resume"), say=quiet) == 0


def test_a_run_killed_at_its_very_end_has_its_generator_and_its_metrics_once(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.images=300", "metrics=[{name='swd', count=32, patches_per_image=8}]")
    folder = unfinished(train_all(loaded, tmp_path / "run"))
    journal = journal_without_times(folder)
    wanted = folder.generator_path.read_bytes()
    folder.generator_path.unlink()
    assert run(loaded, Choice(folder.path, "resume"), say=quiet) == 0
    assert folder.generator_path.read_bytes() == wanted
    assert journal_without_times(folder) == journal


def test_changed_data_is_refused_on_resume(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    folder = train_in_pieces(loaded, tmp_path / "run", [])
    folder.set_status("running", 400)
    info = folder.info()
    folder.write_info({**info, "data": {**info["data"], "digest": "0" * 64}})
    with pytest.raises(RunError, match="data set has changed"):
        run(loaded, Choice(folder.path, "resume"), say=quiet)


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganlab.track import folder as folder_module

    monkeypatch.setattr(folder_module, "LOCK_PATIENCE_S", 0.1)
    loaded = tiny(tmp_path)
    folder = train_in_pieces(loaded, tmp_path / "run", [])
    with folder.lock(), pytest.raises(RunError, match="in use by another process"):
        run(loaded, Choice(folder.path, "resume"), say=quiet)
