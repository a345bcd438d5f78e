"""Which Ray cluster there is to join, decided before Ray is imported: what it listens on is settled then."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, started by the executor."""
_CONNECT_S = 10.0


def keep_to_loopback(environment: MutableMapping[str, str]) -> None:
    """Let what is imported and started from now on use 127.0.0.1, which Ray otherwise takes for the machine's address.

    Ray does so by itself on systems where clusters of several machines are an experiment, and this makes it one.
    """
    environment.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def find_cluster(environment: Mapping[str, str]) -> str:
    """The address in RAY_ADDRESS, or of the cluster that this user or root began by `ray start`; else "local".

    Ray's own search is no help: it finds clusters that another executor has started for itself, too.
    """
    if named := environment.get("RAY_ADDRESS", ""):
        return named
    noted = Path(environment.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    try:
        address, owner = noted.read_text(encoding="utf-8").strip(), noted.stat().st_uid
    except OSError:
        return LOCAL
    return address if owner in (0, os.getuid()) and not unreachable(address) else LOCAL


def unreachable(address: str) -> str:
    """Why nobody answers there; empty if somebody does."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "://" in address:
        return 'expected "host:port"; run ganlab on a machine of the cluster'
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        return str(error)
    return ""
