"""Components back to plain TOML data: what a run folder keeps, MLflow shows and a digest is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ganlab.errors import PluginError
from ganlab.registry import Registry


def plain(value: Any, registries: Mapping[str, Registry]) -> Any:
    """An attrs class as plain TOML data, its components with their `name` first; None values are left out."""
    if attrs.has(type(value)):
        table: dict[str, Any] = {}
        for attribute in attrs.fields(type(value)):
            inner = getattr(value, attribute.name)
            kind = attribute.metadata.get("component")
            if inner is None or not attribute.init:
                continue
            if kind and attribute.metadata.get("many"):
                table[attribute.name] = [plain_component(kind, item, registries) for item in inner]
            elif kind:
                table[attribute.name] = plain_component(kind, inner, registries)
            else:
                table[attribute.name] = plain(inner, registries)
        return table
    if isinstance(value, Mapping):
        return {str(key): plain(item, registries) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, registries) for item in value]
    return str(value) if isinstance(value, Path) else value


def plain_component(kind: str, value: Any, registries: Mapping[str, Registry]) -> dict[str, Any]:
    """A component as a table that recreates it, under its bare name where that is enough."""
    registry = registries[kind]
    for entry in registry.entries():
        if entry.is_of(type(value)):
            name = entry.name if entry.name not in registry.collisions() else entry.qualified_name
            parameters: dict[str, Any] = plain(value, registries)
            return {"name": name, **parameters}
    raise PluginError(f"{type(value).__module__}:{type(value).__qualname__} is not registered as a {kind}")
