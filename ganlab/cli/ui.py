"""`ganlab ui`: MLflow's page over the project's store."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from types import FrameType

PATIENCE_S = 10.0
LAST_PATIENCE_S = 2.0


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--uri", help="MLflow store to show; by default MLFLOW_TRACKING_URI, or mlflow.db in this folder.")
@click.option("--allowed-hosts", help="Host names under which browsers may ask for the page (see below).")
def ui(port: int, host: str, uri: str | None, allowed_hosts: str | None) -> None:
    """Show the runs in the browser, with MLflow's own page, until Ctrl-C.

    MLflow answers only to localhost and to private addresses. To look from another machine by this one's name, say
    gpu1, name it (the list replaces the default one, so name localhost as well):

    \b
      ganlab ui --host 0.0.0.0 --allowed-hosts "gpu1,gpu1:*,localhost:*,127.0.0.1:*"
    """  # noqa: D301 - click's mark is the character backspace, not a backslash and a b
    from ganlab.track import store

    uri = store.resolve_uri(uri)
    if uri.startswith(("http:", "https:")):
        click.echo(f"The store is an MLflow server already: open {store.without_password(uri)}")
        return
    refuse_busy_port(host, port)
    database = store.sqlite_path(uri)
    if database is not None:
        store.refuse_other_file(database)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", host, "--port", str(port), "--workers", "2"]
    if database is not None:
        command += ["--artifacts-destination", str(database.parent / store.ARTIFACTS)]
        if not database.exists():
            click.echo(f"No run is kept in {database} yet; `ganlab run` starts one.")
    if allowed_hosts:
        command += ["--allowed-hosts", allowed_hosts]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    click.echo(
        f"MLflow on http://{shown}:{port} shows {store.without_password(uri)}; it takes some seconds. Ctrl-C ends it."
    )
    if database is not None and not database.exists():
        make_database(uri)
    ended = serve(command)
    if ended:
        raise GanlabError(f"MLflow's server ended with exit code {ended}; what it printed above says why")


def make_database(uri: str) -> None:
    """Make a new database, before several workers try to. Raises `GanlabError`."""
    from ganlab.track import store
    from ganlab.track.mlflow.client import MlflowStore

    try:
        MlflowStore(uri)
    except Exception as error:  # MLflow lets through what sqlite3, sqlalchemy and alembic raise
        raise GanlabError(f"cannot make {uri}: {store.reason(error)}") from error


def refuse_busy_port(host: str, port: int) -> None:
    """Raises `GanlabError` if nobody could listen there."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise GanlabError(f"cannot listen on {host}:{port} ({error.strerror}); try another --port or --host") from error


def serve(command: list[str]) -> int:
    """Run a server until it ends or this process is told to, and leave none of its processes behind.

    Returns its exit code, or 0 if it was this process that ended it.
    """
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # A session of its own: the workers end when the whole group is told to, not when the terminal tells some of them.
    server = subprocess.Popen(command, env={**quiet, **os.environ}, start_new_session=True)

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    endings = [signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])]
    before = {number: signal.signal(number, stop) for number in endings}
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        end(server)
        for number, handler in before.items():
            signal.signal(number, handler)


def end(server: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group: kindly, and after some seconds not."""
    if os.name != "posix":
        server.terminate()
        server.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(PATIENCE_S)
        deadline = time.monotonic() + LAST_PATIENCE_S
        while time.monotonic() < deadline:  # its workers, after it; the group is gone when this raises
            os.killpg(server.pid, 0)
            time.sleep(0.05)
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
