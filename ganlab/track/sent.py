"""What MLflow has been sent of a run, `mlflow.json`: so that a sync goes on where the last one stopped.

Everything is told by images shown, since a journal may be cut and written again. A crash may lose the last note
here; what is sent is therefore compared with what the server holds, too, and this only saves asking.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from ganlab.track.files import write_atomically
from ganlab.track.folder import State, read_json
from ganlab.track.store import without_password

if TYPE_CHECKING:
    from pathlib import Path

RECORD = "mlflow.json"


@attrs.define
class Sent:
    """What one store has been sent of one run."""

    experiment: str
    run_id: str | None = None
    described: bool = False
    """Parameters, tags and data set are there."""
    recipe: bool = False
    """So is recipe.toml."""
    results: str = ""
    """Digest of the metrics.json sent last."""
    samples: list[int] = attrs.field(factory=list)
    """Images shown of each sample grid sent."""
    findings: str = ""
    """What was found wrong with the run, as sent last."""
    state: State | None = None
    """State of the run sent last."""
    models: list[int] = attrs.field(factory=list)
    """Images shown of each generator sent."""


def load(folder: Path, uri: str) -> Sent | None:
    """What the store at `uri` has been sent of the run in `folder`, or None for nothing at all."""
    fields = read_json(folder / RECORD).get("stores", {}).get(without_password(uri))
    if fields is None:
        return None
    return Sent(**{field.name: fields[field.name] for field in attrs.fields(Sent) if field.name in fields})


def save(folder: Path, uri: str, sent: Sent) -> None:
    """Keep it, and that `uri` is the store used last."""
    record: dict[str, Any] = read_json(folder / RECORD)
    public = without_password(uri)
    stores = {**record.get("stores", {}), public: attrs.asdict(sent)}
    write_atomically(folder / RECORD, json.dumps({"uri": public, "stores": stores}, indent=1) + "\n")


def last_uri(folder: Path) -> str | None:
    """The store used last, without its password; None if there was none."""
    uri = read_json(folder / RECORD).get("uri")
    return None if uri is None else str(uri)
