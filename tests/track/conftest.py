"""Run folders with something in them, MLflow stores to send it to, and small helpers to look at what arrived."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from ganlab.track.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = """
[run]
name = "tiny"
seed = 3
[loss]
name = "wgan-gp"
gp_weight = 10.0
[[metrics]]
name = "swd"
"""


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing else; making one takes seconds."""
    from ganlab.track.mlflow.client import MlflowStore

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowStore(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:  # all of it in the one file, to be copied
        connection.execute("pragma wal_checkpoint(truncate)")
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with no MLflow settings around it."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def uri(new_database: Path, project: Path) -> str:
    """The default store of the working directory, ready for use."""
    shutil.copy(new_database, project / "mlflow.db")
    return f"sqlite:///{project}/mlflow.db"


@pytest.fixture
def dead_uri() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def folder(project: Path) -> RunFolder:
    """A run that has just begun."""
    folder = RunFolder.create(project / "runs" / "tiny" / "1")
    data = {"name": "faces", "digest": "d" * 64, "count": 8000}
    folder.write_info({"name": "tiny", "seed": 3, "digest": "abc", "plugins": {"acme-gan": "0.2"}, "data": data})
    folder.write_recipe(RECIPE)
    folder.set_status("running", 0)
    return folder


def train(folder: RunFolder, start: int, stop: int) -> None:
    """Write what a training of `stop - start` ticks writes; the same values for the same tick, at any time."""
    for tick in range(start, stop):
        shown = 1000 * tick
        folder.journal.write(shown, {"loss/generator": 1 / tick, "growth/fade": 1.0}, {"images_per_s": 5.0})
        if tick % 5 == 0:
            Image.new("L", (8, 8), tick).save(folder.sample_path(shown))
        folder.set_status("running", shown)


def wait_until(true: Callable[[], object]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


class Arrived:
    """What a store holds of its only run."""

    def __init__(self, uri: str) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.experiments = [found for found in self.client.search_experiments() if found.name != "Default"]
        (self.experiment,) = self.experiments
        (self.run,) = self.client.search_runs([self.experiment.experiment_id])
        self.run_id: str = self.run.info.run_id

    def steps(self, metric: str) -> list[int]:
        """The step of every point of a metric, in the order of arrival."""
        return [point.step for point in self.client.get_metric_history(self.run_id, metric)]

    def files(self, folder: str | None = None) -> list[str]:
        """The artifacts in a folder."""
        return [found.path for found in self.client.list_artifacts(self.run_id, folder)]

    def sample_steps(self) -> list[int]:
        """The step of every full-size image in the slider."""
        return sorted(int(path.split("+")[2]) for path in self.files("images") if path.endswith(".png"))


@pytest.fixture
def arrived() -> Callable[[str], Arrived]:
    return Arrived


@pytest.fixture
def said() -> list[str]:
    """Give `said.append` as `say`."""
    return []
