from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from ganlab.cli.ui import ui
from ganlab.errors import GanlabError
from ganlab.recipe.tracking import TrackSettings
from ganlab.track.mlflow.delivery import Delivery

from .conftest import train, wait_until

UI = "from ganlab.cli.ui import ui; ui()"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def session_processes(leader: int) -> list[int]:
    """The processes of the sessions that `leader` and its children lead."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        state, parent, session = fields[0], int(fields[1]), int(fields[3])
        if state != "Z" and (parent == leader or session == leader):
            found.append(int(entry))
    return found


def test_help_tells_how_to_look_from_another_machine():
    text = CliRunner().invoke(ui, ["--help"]).output
    assert '--host 0.0.0.0 --allowed-hosts "gpu1,gpu1:*,localhost:*,127.0.0.1:*"' in text


def test_a_busy_port_is_one_clear_line(project):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = CliRunner().invoke(ui, ["--port", str(port)]).exception
    assert isinstance(error, GanlabError)
    assert str(error) == f"cannot listen on 127.0.0.1:{port} (Address already in use); try another --port or --host"


def test_a_store_that_is_a_server_is_pointed_to(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://gpu1:5000")
    done = CliRunner().invoke(ui)
    assert done.exit_code == 0
    assert "open http://gpu1:5000" in done.output


def deliver_over_http(folder, address, arrived):
    """A run arrives through a server as it does in a database, and is served from there."""
    train(folder, 1, 7)
    for _ in range(2):
        Delivery(folder, TrackSettings(), address, say=print).deliver()
    there = arrived(address)
    assert there.steps("loss/generator") == [1000 * tick for tick in range(1, 7)]
    assert there.sample_steps() == [5000]
    assert there.run.data.params["loss.name"] == "wgan-gp"
    url = f"{address}/get-artifact?path=recipe.toml&run_uuid={there.run_id}"
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.read() == (folder.path / "recipe.toml").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_page_comes_up_and_goes_away_with_all_its_processes(folder, uri, project, arrived, number):
    port = free_port()
    with open(project / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-c", UI, "--port", str(port)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, (project / "log").read_text()
            assert time.monotonic() < deadline, (project / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    assert answer.status == 200
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        (server,) = session_processes(process.pid)
        assert len(session_processes(server)) > 1
        deliver_over_http(folder, f"http://127.0.0.1:{port}", arrived)
        process.send_signal(number)
        assert process.wait(30) == 0, (project / "log").read_text()
        wait_until(lambda: session_processes(server) == [])
    finally:
        process.kill()
        process.wait()
    assert (project / "log").read_text().startswith(f"MLflow on http://127.0.0.1:{port} shows {uri}")
