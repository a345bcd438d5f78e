from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from ganlab.cli.sync import sync
from ganlab.errors import GanlabError
from ganlab.recipe.tracking import TrackSettings
from ganlab.track.mlflow import Mirror

from .conftest import train

TRAIN = """
import os, sys
sys.path.insert(0, os.environ["TESTS"])
from tests.track.conftest import train
from ganlab.track.folder import RunFolder
from ganlab.track.mlflow import Mirror
from ganlab.recipe.tracking import TrackSettings
import time
folder = RunFolder.open(sys.argv[1])
start, stop = int(sys.argv[2]), int(sys.argv[3])
with folder.lock():
    folder.journal.truncate_after(1000 * (start - 1))
    mirror = Mirror(folder, TrackSettings(), interval_s=0.05)
    mirror.start()
    for tick in range(start, stop):
        train(folder, tick, tick + 1)
        time.sleep(0.05)
    folder.set_status("finished", 1000 * (stop - 1))
    mirror.close(120)
"""


@pytest.fixture
def environment(request):
    return {**os.environ, "TESTS": str(request.config.rootpath), "OMP_NUM_THREADS": "1"}


def test_the_mirror_follows_a_training_to_its_end(folder, uri, arrived, said):
    mirror = Mirror(folder, TrackSettings(), say=said.append, interval_s=0.05)
    mirror.start()
    train(folder, 1, 8)
    while "loss/generator" not in arrived_metrics(uri, arrived):
        time.sleep(0.05)
    train(folder, 8, 12)
    folder.set_status("interrupted", 11000)
    mirror.close()
    assert arrived(uri).steps("loss/generator") == [1000 * tick for tick in range(1, 12)]
    assert arrived(uri).run.info.status == "KILLED"
    assert said == []


def arrived_metrics(uri, arrived) -> dict[str, float]:
    try:
        return dict(arrived(uri).run.data.metrics)
    except ValueError:  # no run yet
        return {}


def test_a_dead_server_costs_nothing_and_sync_delivers_everything(folder, uri, dead_uri, arrived, said):
    settings = TrackSettings(uri=dead_uri)
    began = time.monotonic()
    mirror = Mirror(folder, settings, say=said.append, interval_s=0.05)
    mirror.start()
    assert time.monotonic() - began < 20  # a call to a dead server takes minutes
    train(folder, 1, 8)
    while not said:
        time.sleep(0.01)
    began = time.monotonic()
    train(folder, 8, 58)
    assert time.monotonic() - began < 20
    folder.set_status("finished", 57000)
    began = time.monotonic()
    mirror.close()
    assert time.monotonic() - began < 20
    (line,) = said
    assert dead_uri in line
    assert f"`ganlab sync {folder.path}`" in line
    assert "\n" not in line

    assert CliRunner().invoke(sync, [str(folder.path), "--uri", uri]).exit_code == 0
    assert arrived(uri).steps("loss/generator") == [1000 * tick for tick in range(1, 58)]
    assert arrived(uri).sample_steps() == [1000 * tick for tick in range(5, 58, 5)]
    assert arrived(uri).run.info.status == "FINISHED"


def test_a_server_that_never_answers_holds_nothing_up(folder, said, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        settings = TrackSettings(uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        mirror = Mirror(folder, settings, say=said.append)
        mirror.start()
        train(folder, 1, 5)
        began = time.monotonic()
        mirror.close(0.5)
        assert time.monotonic() - began < 20
    assert len(said) == 1
    assert "ganlab sync" in said[0]


def test_a_mirror_that_comes_back_says_so_and_sends_what_was_missed(folder, uri, arrived, said, monkeypatch):
    monkeypatch.setattr("ganlab.track.mlflow.mirror.FIRST_RETRY_S", 0.1)
    database = folder.path.parents[2] / "mlflow.db"
    kept = database.read_bytes()
    database.write_bytes(b"no database at all" * 100)
    mirror = Mirror(folder, TrackSettings(), say=said.append, interval_s=0.05)
    mirror.start()
    train(folder, 1, 4)
    while not said:
        time.sleep(0.01)
    database.write_bytes(kept)
    while len(said) < 2:
        time.sleep(0.01)
    train(folder, 4, 6)
    mirror.close()
    assert "mlflow.db is no SQLite database; move it away" in said[0]
    assert "answers again" in said[1]
    assert arrived(uri).steps("growth/fade") == [1000 * tick for tick in range(1, 6)]


def test_old_runs_in_the_working_directory_are_mentioned(folder, uri, project, said):
    (project / "mlruns" / "0").mkdir(parents=True)
    (project / "mlruns" / "0" / "meta.yaml").touch()
    mirror = Mirror(folder, TrackSettings(), say=said.append)
    mirror.start()
    mirror.close()
    assert len(said) == 1
    assert "mlflow migrate-filestore" in said[0]


def test_without_mlflow_it_is_never_imported(folder):
    program = (
        "import sys\n"
        "from ganlab.track.folder import RunFolder\n"
        "from ganlab.track.mlflow import Mirror\n"
        "from ganlab.recipe.tracking import TrackSettings\n"
        "import ganlab.cli.sync, ganlab.cli.ui\n"
        "mirror = Mirror(RunFolder.open(sys.argv[1]), TrackSettings(mlflow=False))\n"
        "mirror.start(); mirror.close()\n"
        "sys.exit(sorted({'mlflow', 'torch', 'sqlalchemy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder.path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (1, "[]"), done.stderr
    assert not (folder.path / "mlflow.json").exists()


def test_sync_says_what_is_wrong_in_one_line(folder, dead_uri, project):
    def failure(*arguments: str) -> str:
        error = CliRunner().invoke(sync, arguments).exception
        assert isinstance(error, GanlabError)
        return str(error)

    assert failure(str(project)) == f"{project} is no run folder: it has no recipe.toml"
    assert failure(str(folder.path), "--uri", "./mlruns").startswith("MLflow store: expected an address")
    line = failure(str(folder.path), "--uri", dead_uri)
    assert f"no MLflow server answers at {dead_uri}" in line
    assert "--uri" in line
    assert "\n" not in line


def test_sync_goes_to_the_store_the_run_was_sent_to_and_marks_a_killed_run(folder, uri, arrived, project, monkeypatch):
    mirror = Mirror(folder, TrackSettings())
    mirror.start()
    train(folder, 1, 3)
    mirror.close()  # the status still says "running", as a killed process leaves it
    train(folder, 3, 5)
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    with folder.lock():
        CliRunner().invoke(sync, [str(folder.path)], catch_exceptions=False)
        assert arrived(uri).run.info.status == "RUNNING"
    done = CliRunner().invoke(sync, [str(folder.path)], catch_exceptions=False)
    assert arrived(uri).run.info.status == "KILLED"
    assert arrived(uri).steps("growth/fade") == [1000, 2000, 3000, 4000]
    assert "sent 0 points, 0 samples" in done.output
    assert os.listdir() == []


def test_a_run_that_is_being_sent_is_not_synced_as_well(folder, uri):
    mirror = Mirror(folder, TrackSettings())
    mirror.start()
    while not (folder.path / "mlflow.json").exists():
        time.sleep(0.05)
    error = CliRunner().invoke(sync, [str(folder.path)]).exception
    mirror.close()
    assert isinstance(error, GanlabError)
    assert "training is running" in str(error)


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_is_one_run_without_repeats(folder, uri, arrived, environment):
    for attempt, patience_s in enumerate((2.0, 4.0, 4.3, 5.0)):
        command = [sys.executable, "-c", TRAIN, str(folder.path), str(1 + attempt), "400"]
        process = subprocess.Popen(command, env=environment)
        time.sleep(patience_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", TRAIN, str(folder.path), "3", "60"], env=environment, check=True)
    there = arrived(uri)
    assert there.steps("loss/generator") == sorted(set(there.steps("loss/generator")))
    assert set(there.steps("loss/generator")) >= {1000 * tick for tick in range(1, 60)}
    assert there.sample_steps() == sorted(set(there.sample_steps()))
    assert there.run.info.status == "FINISHED"


@pytest.mark.slow
def test_processes_that_start_at_once_on_a_new_store_all_get_there(folder, project, environment):
    from mlflow import MlflowClient

    from ganlab.track.folder import RunFolder

    paths = [folder.path]
    for number in (2, 3):
        other = RunFolder.create(project / "runs" / "tiny" / str(number))
        other.write_info(folder.info())
        other.write_recipe((folder.path / "recipe.toml").read_text())
        paths.append(other.path)
    processes = [
        subprocess.Popen([sys.executable, "-c", TRAIN, str(path), "1", "6"], env=environment, stderr=subprocess.PIPE)
        for path in paths
    ]
    assert [process.communicate()[1] for process in processes] == [b"", b"", b""]
    client = MlflowClient(tracking_uri=f"sqlite:///{project}/mlflow.db")
    (experiment,) = [found for found in client.search_experiments() if found.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"1", "2", "3"}
    assert all(run.data.metrics["loss/generator"] == 0.2 for run in runs)


def test_what_was_sent_is_kept_by_store(folder, uri):
    mirror = Mirror(folder, TrackSettings())
    mirror.start()
    train(folder, 1, 6)
    folder.set_status("finished", 5000)
    mirror.close()
    record = json.loads((folder.path / "mlflow.json").read_text())
    (kept,) = record["stores"].values()
    assert record["uri"] == uri
    assert (kept["experiment"], kept["samples"], kept["state"]) == ("tiny", [5000], "finished")


def test_an_address_that_cannot_be_read_costs_one_line(folder, project, said, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://[::1")
    mirror = Mirror(folder, TrackSettings(), say=said.append)
    mirror.start()
    mirror.close()
    (line,) = said
    assert line.startswith("MLflow store: cannot read this address: Invalid IPv6 URL; ")
    assert line.endswith("training goes on without MLflow")
    error = CliRunner().invoke(sync, [str(folder.path)]).exception
    assert isinstance(error, GanlabError)


@pytest.mark.parametrize("how", ["asked", "Ctrl-C"])
def test_the_last_delivery_can_be_broken_off(folder, said, monkeypatch, how):
    def give_up() -> bool:
        if how == "Ctrl-C":
            raise KeyboardInterrupt
        return True

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        settings = TrackSettings(uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        mirror = Mirror(folder, settings, say=said.append)
        mirror.start()
        began = time.monotonic()
        mirror.close(60, give_up=give_up)
        assert time.monotonic() - began < 20
    assert said == [f"MLflow has not taken everything yet; `ganlab sync {folder.path}` sends the rest later"]
