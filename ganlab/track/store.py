"""Which MLflow store is meant, and whether anybody answers there. Imports no mlflow, which takes seconds."""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ganlab.errors import GanlabError
from ganlab.recipe.tracking import check_uri

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"


class StoreUnreachable(GanlabError):
    """Nobody answers at the store's address, at least for now."""


def resolve_uri(*wishes: str | None, fallback: str | None = None) -> str:
    """The first of `wishes`, MLFLOW_TRACKING_URI and `fallback` that is not empty, else `mlflow.db` in this folder.

    A path in a `sqlite:` address comes back absolute. Raises `GanlabError` for a folder and a malformed address.
    """
    named = [wish for wish in (*wishes, os.environ.get("MLFLOW_TRACKING_URI"), fallback) if wish]
    uri = named[0] if named else f"sqlite:///{DATABASE}"
    try:
        check_uri(uri)
    except ValueError as error:
        raise GanlabError(f"MLflow store: {error}") from None
    path = sqlite_path(uri)
    return uri if path is None else f"sqlite:///{path}"


def sqlite_path(uri: str) -> Path | None:
    """The absolute path of a `sqlite:///` address, None for every other address (and for one in memory)."""
    rest = uri.removeprefix("sqlite:///")
    return None if rest == uri or not rest else Path(unquote(rest)).absolute()


def refuse_other_file(database: Path) -> None:
    """Raises `GanlabError` where something that is no SQLite database has the place of one."""
    try:
        with open(database, "rb") as file:
            beginning = file.read(16)
    except FileNotFoundError:
        return
    except OSError as error:
        raise GanlabError(f"cannot read {database}: {error.strerror or error}; name another MLflow store") from error
    if beginning not in (b"", b"SQLite format 3\0"):
        raise GanlabError(f"{database} is no SQLite database; move it away, or name another MLflow store")


def old_runs(folder: Path) -> Path | None:
    """The folder of runs that MLflow before 3.7 left in `folder`, which no store of today shows, or None."""
    old = folder / ARTIFACTS
    return old if any(old.glob("[0-9]*/meta.yaml")) else None


def without_password(uri: str) -> str:
    """The address as it may be shown and kept in a run folder."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # malformed: whatever may be a password goes
        return re.sub(r"//[^/]*@", "//", uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{host}"))


def reason(error: BaseException) -> str:
    """The first line of what an exception says, short enough to stand within a line."""
    text = " ".join(str(error).split("\n", 1)[0].split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def knock(uri: str, timeout_s: float = 3.0) -> None:
    """Raises `StoreUnreachable` where nothing listens at an http address. Cheap, unlike finding out through MLflow.

    An address behind a proxy, or of another kind, passes.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), timeout_s).close()
    except (OSError, ValueError) as error:
        raise StoreUnreachable(f"no MLflow server answers at {without_password(uri)} ({error})") from error
