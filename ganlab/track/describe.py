"""A run in MLflow's words: parameters, tags, metric names and the data set, as plain data. Imports no mlflow."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ganlab.track.findings import read_findings, summary
from ganlab.track.store import without_password

if TYPE_CHECKING:
    from ganlab.track.folder import RunFolder

LONGEST_VALUE = 500
"""MLflow cuts parameters at 6000 characters and tags at 8000; nobody reads that much in a table."""
DIGEST_LENGTH = 36
"""MLflow's limit."""


def parameters(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Key path such as `loss.gp_weight` to value, for every scalar and every short list of scalars in a recipe.

    What an ablation varies, `ablation.variant` and `ablation.vary.<axis>`, is there as well, from the run's tags:
    MLflow draws parameters side by side, and tags nowhere.
    """
    tags = recipe.get("track", {}).get("tags", {})
    varied = {
        key.replace("ganlab.", "ablation.", 1): str(value)
        for key, value in tags.items()
        if key == "ganlab.variant" or key.startswith("ganlab.vary.")
    }
    listed = [*varied.items(), *_flat(recipe, "")]
    return {
        name(key): value for key, value in listed if len(value) <= LONGEST_VALUE and not key.startswith("track.tags.")
    }


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for part, inner in value.items():
            yield from _flat(inner, f"{key}.{part}" if key else str(part))
    elif isinstance(value, list) and any(isinstance(inner, (Mapping, list)) for inner in value):
        for position, inner in enumerate(value):
            yield from _flat(inner, f"{key}.{position}")
    elif isinstance(value, list):
        yield key, json.dumps(value, default=str)
    elif key.endswith("track.uri"):
        yield key, without_password(str(value))
    elif isinstance(value, (str, bool)):
        yield key, str(value).lower() if isinstance(value, bool) else value
    elif value is not None:
        yield key, str(value)


def tags(folder: RunFolder) -> dict[str, str]:
    """The run's tags: what made it and where it lies; MLflow's own names where it has one."""
    info = folder.info()
    plugins = info.get("plugins") or {}
    listed = [f"{plugin} {version}" for plugin, version in plugins.items()] if isinstance(plugins, Mapping) else plugins
    facts = {
        "ganlab.version": info.get("ganlab"),
        "ganlab.torch": info.get("torch"),
        "ganlab.seed": info.get("seed"),
        "ganlab.recipe_digest": info.get("digest"),
        "ganlab.device": info.get("device"),
        "ganlab.plugins": ", ".join(map(str, listed)),
        "ganlab.run_dir": str(folder.path),
        "ganlab.findings": findings_tag(folder),
        "ganlab.git_commit": info.get("git_commit"),
        "mlflow.source.git.commit": str(info.get("git_commit") or "").removesuffix("+"),
        "mlflow.source.name": f"ganlab run {info.get('name', '')}".strip(),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        **info.get("tags", {}),
    }
    return {key: str(value)[:LONGEST_VALUE] for key, value in facts.items() if value not in (None, "")}


def findings_tag(folder: RunFolder) -> str:
    """What was found wrong in the run so far, in one line; empty for nothing."""
    return summary(read_findings(folder.path))[:LONGEST_VALUE]


def dataset(info: Mapping[str, Any]) -> dict[str, str] | None:
    """Name, digest, source and profile (JSON texts) of the run's data set, or None if the run does not tell."""
    facts = dict(info.get("data") or {})
    if not facts:
        return None
    label = str(facts.get("name") or "data")
    return {
        "name": label[:LONGEST_VALUE],
        "digest": str(facts.get("digest") or "unknown")[:DIGEST_LENGTH],
        "source": json.dumps({"uri": str(facts.get("path") or facts.get("source") or label)}),
        "profile": json.dumps(facts, default=str),
    }


def name(text: str) -> str:
    """`text` as a parameter or metric name that MLflow takes."""
    allowed = re.sub(r"[^\w\-. :/]", "_", text, flags=re.ASCII)
    return re.sub(r"/{2,}", "/", re.sub(r"\.{2,}", ".", allowed)).strip("/")[:250]


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return None
