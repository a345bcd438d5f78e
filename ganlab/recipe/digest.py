"""What makes two runs the same experiment: the resolved recipe without where and how fast it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.registry import bare_name

_CIRCUMSTANCES = {
    "run": {
        "name",
        "device",
        "threads",
        "lanes",
        "replay",
        "micro_batches",
        "compile",
        "cuda_graphs",
        "recompute_from",
        "check_memory",
    },
    "data": {"workers", "cache", "cache_gigabytes", "path"},
    "metrics": None,
    "track": None,
    "plugins": None,
}
"""Keys that change no number of the training; None stands for the whole table. (The data's own digest replaces its
path, and what was measured how is kept beside the results.)"""

_AS_EVER = {"system": {"name": "pair"}, "augmentation": {"name": "none"}}
"""Tables that recipes have not always had, with what stood for them before: runs of then can be resumed."""


def substance(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved recipe that decides the numbers."""
    kept: dict[str, Any] = {}
    for key, value in plain.items():
        dropped = _CIRCUMSTANCES.get(key, set())
        if dropped is None:
            continue
        left = {k: v for k, v in value.items() if k not in dropped} if isinstance(value, Mapping) else value
        kept[key] = with_bare_names(left)
    return {**_AS_EVER, **kept}


def with_bare_names(value: Any) -> Any:
    """Plain data with every component of ours under its bare name."""
    if isinstance(value, Mapping):
        return {
            key: bare_name(inner) if key == "name" and isinstance(inner, str) else with_bare_names(inner)
            for key, inner in value.items()
        }
    return [with_bare_names(item) for item in value] if isinstance(value, list) else value


def digest(plain: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the substance of a resolved recipe, seed included."""
    kept = {key: value for key, value in substance(plain).items() if value != _AS_EVER.get(key)}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One text for each key in whose value two resolved recipes differ: `loss.gp_weight: 10.0 -> 5.0`."""
    before, after = dict(flat(substance(old))), dict(flat(substance(new)))
    return [
        f"{key}: {before.get(key, 'not set')!r} -> {after.get(key, 'not set')!r}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def flat(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf of plain data; lists of scalars are leaves."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(data, list) and any(isinstance(item, (Mapping, list)) for item in data):
        for number, item in enumerate(data):
            yield from flat(item, f"{prefix}.{number}")
    else:
        yield prefix, data
