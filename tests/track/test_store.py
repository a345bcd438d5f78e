from __future__ import annotations

import socket
import time

import pytest

from ganlab.errors import GanlabError
from ganlab.recipe import tracking
from ganlab.track import store


def test_the_first_address_named_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store.resolve_uri(None) == f"sqlite:///{tmp_path}/mlflow.db"
    assert store.resolve_uri(None, fallback="http://kept") == "http://kept"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///env.db")
    assert store.resolve_uri(None, fallback="http://kept") == f"sqlite:///{tmp_path}/env.db"
    assert store.resolve_uri(None, "http://recipe", fallback="http://kept") == "http://recipe"


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "/tmp/mlruns", "file:///tmp/mlruns"])
def test_a_folder_is_refused_with_the_remedy(uri, monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ValueError, match=r"sqlite:///mlflow\.db"):
        tracking.TrackSettings(uri=uri)
    with pytest.raises(GanlabError, match=r"sqlite:///mlflow\.db"):
        store.resolve_uri(uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:///a.db", "http://h:1", "https://h", "postgresql+psycopg2://u:p@h/db", "databricks", "uc:p"]
)
def test_every_other_kind_of_store_is_taken(uri):
    assert tracking.TrackSettings(uri=uri).uri == uri


def test_no_password_is_kept_or_shown():
    assert store.without_password("postgresql://me:secret@host:5/db") == "postgresql://me@host:5/db"
    assert store.without_password("http://host:5000/x") == "http://host:5000/x"


def test_runs_of_an_old_mlflow_are_noticed(tmp_path):
    assert store.old_runs(tmp_path) is None
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    assert store.old_runs(tmp_path) is None
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    assert store.old_runs(tmp_path) == tmp_path / "mlruns"


def test_knocking_tells_at_once_whether_anybody_listens(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://me:secret@127.0.0.1:{server.getsockname()[1]}"
        store.knock(address)
    began = time.monotonic()
    with pytest.raises(store.StoreUnreachable) as raised:
        store.knock(address)
    assert time.monotonic() - began < 20
    assert "secret" not in str(raised.value)
    store.knock("sqlite:///nowhere.db")


def test_settings_come_back_from_a_recipe():
    assert tracking.of_recipe({}) == tracking.TrackSettings()
    kept = tracking.of_recipe({"track": {"experiment": "faces", "samples": 16, "of a later version": 1}})
    assert kept == tracking.TrackSettings(experiment="faces", samples=16)
    with pytest.raises(GanlabError, match=r"recipe\.toml: samples: expected at least 1"):
        tracking.of_recipe({"track": {"samples": 0}})


@pytest.mark.parametrize("uri", ["http://[::1", "http://host:port", "http://", "postgresql://me:secret@[::1/db"])
def test_an_address_that_cannot_be_read_is_refused(uri, monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(ValueError, match="cannot read this address"):
        tracking.TrackSettings(uri=uri)
    with pytest.raises(GanlabError, match="MLflow store: cannot read this address") as raised:
        store.resolve_uri(uri)
    assert "secret" not in str(raised.value) + store.without_password(uri)


def test_only_a_database_has_a_database_s_place(tmp_path):
    path = tmp_path / "mlflow.db"
    store.refuse_other_file(path)
    path.touch()
    store.refuse_other_file(path)
    path.write_text("my notes")
    with pytest.raises(GanlabError, match="no SQLite database; move it away"):
        store.refuse_other_file(path)
    with pytest.raises(GanlabError, match="cannot read"):
        store.refuse_other_file(tmp_path)
