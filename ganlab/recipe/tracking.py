"""The `[track]` table of a recipe: what a run keeps and where it is mirrored. Imports neither torch nor mlflow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from ganlab.errors import GanlabError
from ganlab.parameters import parameter


def check_uri(uri: str) -> None:
    """Raises `ValueError` for an address that is malformed, or that MLflow no longer writes to: a folder."""
    try:
        parts = urlsplit(uri)
        web = parts.scheme in ("http", "https")
        if web and parts.port is None and parts.hostname is None:  # `port` raises where it is no number
            raise ValueError("it names no host")
    except ValueError as error:
        raise ValueError(
            f"cannot read this address: {error}; expected one such as sqlite:///mlflow.db or http://host:5000"
        ) from error
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return
    if not re.match(r"[a-z][a-z0-9+.-]*:", uri) and uri not in ("databricks", "databricks-uc"):
        raise ValueError(f"expected an address such as sqlite:///mlflow.db or http://host:5000, got {uri!r}")
    if uri.startswith("file:"):
        raise ValueError(
            f"MLflow no longer keeps runs in folders such as {uri!r}; write sqlite:///mlflow.db "
            "(`mlflow migrate-filestore` moves the old runs)"
        )


@attrs.frozen
class TrackSettings:
    """Samples, checkpoints and the mirror in MLflow. The run folder is kept in any case."""

    mlflow: bool = parameter(True, help="mirror the run in MLflow; false never imports it")
    experiment: str | None = parameter(
        None, help="MLflow experiment; by default MLFLOW_EXPERIMENT_NAME, or the run's name"
    )
    uri: str | None = parameter(
        None,
        help="MLflow store, such as http://host:5000; by default MLFLOW_TRACKING_URI, or mlflow.db where ganlab runs",
        check=check_uri,
    )
    diagnose: bool = parameter(
        True, help="measure with each report what shows how training is doing, and name failures; false measures none"
    )
    samples: int = parameter(64, help="images in a sample grid, always of the same latents", ge=1)
    samples_every_ticks: int = parameter(1, help="a sample grid each so many ticks", unit="ticks", ge=1)
    checkpoint_every_ticks: int = parameter(5, help="a checkpoint each so many ticks", unit="ticks", ge=1)
    keep_checkpoints: int = parameter(2, help="newest checkpoints kept", ge=1)
    tags: Mapping[str, str] = parameter({}, help="tags of the run in MLflow, beside those that ganlab sets")
    log_model: bool = parameter(True, help="log the averaged generator to MLflow when the run is finished")


def of_recipe(recipe: Mapping[str, Any]) -> TrackSettings:
    """The settings in a resolved recipe; keys of another version of ganlab are passed over."""
    table = recipe.get("track", {})
    known = {field.name: table[field.name] for field in attrs.fields(TrackSettings) if field.name in table}
    try:
        return TrackSettings(**known)
    except (TypeError, ValueError) as error:
        raise GanlabError(f"[track] in the run's recipe.toml: {error}") from error
