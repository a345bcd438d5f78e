from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from ganlab.errors import RunError
from ganlab.track.files import replacing, write_atomically
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
