from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from ganlab.errors import RunError
from ganlab.track.files import remove_leftovers, replacing, write_atomically
from ganlab.track.folder import RunFolder, Status

HOLD = """
import sys, time
from ganlab.track.folder import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def begun(path) -> RunFolder:
    folder = RunFolder.create(path)
    folder.write_recipe('[run]\nname = "tiny"\n')
    return folder


def test_a_folder_is_made_once_and_opened_ever_after(tmp_path):
    path = tmp_path / "runs" / "tiny" / "1"
    with pytest.raises(RunError, match=r"no recipe\.toml"):
        RunFolder.open(path)
    folder = begun(path)
    assert folder.checkpoints.is_dir()
    assert RunFolder.open(path).recipe() == {"run": {"name": "tiny"}}
    with pytest.raises(RunError, match="already holds a run"):
        RunFolder.create(path)


def test_a_folder_left_by_a_run_killed_before_it_began_is_free(tmp_path):
    path = tmp_path / "run"
    assert RunFolder.can_begin(path)
    folder = RunFolder.create(path)
    with folder.lock():
        folder.write_info({"seed": 1})
    assert RunFolder.can_begin(path)
    folder.write_recipe("")
    assert not RunFolder.can_begin(path)
    (tmp_path / "photo.jpg").touch()
    assert not RunFolder.can_begin(tmp_path)


def test_status_and_facts_are_read_back(tmp_path):
    folder = begun(tmp_path / "run")
    assert folder.status() is None
    folder.set_status("running", 64)
    folder.set_status("failed", 128, "loss is not finite")
    assert RunFolder.open(tmp_path / "run").status() == Status("failed", 128, "loss is not finite")
    folder.write_info({"name": "tiny", "seed": 3})
    started = folder.info()["started"]
    folder.write_info({"name": "tiny", "seed": 4})
    assert folder.info()["seed"] == 4
    assert folder.info()["started"] == started
    assert folder.info()["python"].startswith("3.")


def test_sample_grids_are_found_by_images_shown(tmp_path):
    folder = begun(tmp_path / "run")
    assert folder.sample_path(60000).name == "000060000.png"
    for step in (60000, 500, 10**9):
        folder.sample_path(step).touch()
    (folder.samples / ".000000700.partial.png").touch()
    assert folder.sample_steps() == [500, 60000, 10**9]


def test_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("ganlab.track.folder.LOCK_PATIENCE_S", 0.2)
    folder = begun(tmp_path / "run")
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        assert folder.is_in_use()
        with pytest.raises(RunError, match="in use by another process"):
            folder.lock()
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with folder.lock():
            assert folder.is_in_use()
        assert not folder.is_in_use()
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "status.json"
    write_atomically(path, "old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["status.json"]


def test_a_disk_that_says_no_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(RunError, match=r"absent/status\.json: no such file"):
        write_atomically(tmp_path / "absent" / "status.json", "")


def test_parts_that_were_removed_are_made_again(tmp_path):
    folder = begun(tmp_path / "run")
    for part in (folder.checkpoints, folder.samples):
        shutil.rmtree(part)
    again = RunFolder.open(folder)
    assert again.checkpoints.is_dir()
    assert again.samples.is_dir()


def test_resuming_is_noted_and_the_start_is_kept(tmp_path):
    folder = begun(tmp_path / "run")
    folder.write_info({"started": "2026-01-01T00:00:00+00:00", "device": "cpu"})
    assert folder.info()["resumed"] == []
    folder.write_info({"device": "cuda"}, resumed=True)
    folder.write_info({"device": "cuda"}, resumed=True)
    info = folder.info()
    assert (info["started"], info["device"], len(info["resumed"])) == ("2026-01-01T00:00:00+00:00", "cuda", 2)


def test_keys_of_a_later_version_are_passed_over(tmp_path):
    folder = begun(tmp_path / "run")
    status = {"state": "failed", "images_shown": 8, "message": "", "of a later version": 1}
    (folder.path / "status.json").write_text(json.dumps(status))
    assert folder.status() == Status("failed", 8)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "failed"},
        {"state": "asleep", "images_shown": 1},
        {"state": "failed", "images_shown": "1"},
        {"state": "failed", "images_shown": True},
        {"state": ["failed"], "images_shown": 1},
        {"state": "failed", "images_shown": 1, "message": 1},
        ["failed", 1],
    ],
)
def test_a_damaged_status_is_told_with_the_remedy(tmp_path, fields):
    folder = begun(tmp_path / "run")
    (folder.path / "status.json").write_text(json.dumps(fields))
    with pytest.raises(RunError, match=r"run/status\.json: the file is damaged: .*; restore it, or remove it"):
        folder.status()


@pytest.mark.parametrize("fields", [{"data": "faces"}, {"data": {"digest": 1}}, {"tags": ["a"]}, {"started": 1}, []])
def test_damaged_facts_are_told_with_the_remedy(tmp_path, fields):
    folder = begun(tmp_path / "run")
    (folder.path / "run.json").write_text(json.dumps(fields))
    with pytest.raises(RunError, match=r"run/run\.json: the file is damaged: .*; restore it, or remove it"):
        folder.info()


def test_files_of_strict_writers_can_be_read_by_whom_others_can(tmp_path):
    (tmp_path / "plain").touch()

    def write_strictly() -> None:
        with replacing(tmp_path / "strict") as temporary:
            temporary.unlink()
            os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))

    write_strictly()
    assert (tmp_path / "strict").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_what_a_killed_writer_left_is_removed(tmp_path):
    kept = [".lock", ".tmp", ".status.partial.json", "checkpoint-000000064.safetensors"]
    for name in (*kept, ".tmpA1b2C3", ".checkpoint-000000128.partial.safetensors"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
