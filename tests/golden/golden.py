"""Reading the reference numbers: files, which arrays were looked at, and the tolerance each deserves.

`GANLAB_GOLDEN` names another directory of the same form; the same checks then run on that one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def directory() -> Path:
    """The golden directory in force."""
    return Path(os.environ.get("GANLAB_GOLDEN") or Path(__file__).parent / "data")


def manifest() -> dict[str, Any]:
    """The parsed manifest.json."""
    content: dict[str, Any] = json.loads((directory() / "manifest.json").read_text())
    return content


class Case(Mapping[str, Array]):
    """One golden file: arrays by key, remembering which were read, so that an array nobody reads is a failure.

    float16 arrays are exact values and come back as float32.
    """

    def __init__(self, file_name: str, entry: Mapping[str, Any]) -> None:
        self.file_name = file_name
        self.kind: str = entry["kind"]
        self.config: dict[str, Any] = entry.get("config") or {}
        self.notes: dict[str, Any] = entry.get("notes") or {}
        self.fields: dict[str, Any] = entry.get("arrays") or {}
        self.path = directory() / file_name
        self.read: set[str] = set()
        self.compared = 0
        self.compared_keys: list[str] = []
        if self.path.suffix == ".npz":
            with np.load(self.path, allow_pickle=False) as content:
                self._arrays = {key: content[key] for key in content.files}
        else:
            self._arrays = {}

    def __getitem__(self, key: str) -> Array:
        value = self._arrays[key]
        self.read.add(key)
        return value.astype(np.float32) if value.dtype == np.float16 else value

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def under(self, prefix: str) -> dict[str, Array]:
        """Every array whose key starts with `prefix`, by the rest of its key."""
        return {key.removeprefix(prefix): self[key] for key in self if key.startswith(prefix)}

    def keys_under(self, prefix: str) -> list[str]:
        """The keys that start with `prefix`, in full; marks nothing as read."""
        return [key for key in self if key.startswith(prefix)]

    def alter(self, key: str) -> None:
        """Change an array, to see whether that is noticed."""
        self._arrays[key] = self._arrays[key] + np.ones((), self._arrays[key].dtype)

    # -- comparing ----------------------------------------------------------------------------------------------------

    def noise(self, key: str) -> float:
        """Largest rounding error seen in this array by the people who made it; 0 where none was measured."""
        return float(self.fields.get(key, {}).get("noise") or 0.0)

    def tolerance(self, key: str, role: str) -> float:
        """Absolute tolerance by the README of the data: role is output, gradient, weight, theano-output or exact."""
        largest = float(np.abs(self._arrays[key]).max(initial=0.0))
        match role:
            case "output":
                return 10 * self.noise(key) + 2e-6 * largest
            case "gradient":
                return 20 * self.noise(key) + 1e-5 * largest + 1e-8
            case "weight":
                return 5e-6
            case "theano-output":
                return 1e-4 * max(1.0, largest)
            case "exact":
                return 0.0
        raise ValueError(f"no such role: {role}")

    def expect(self, key: str, actual: Any, role: str = "output", *, atol: float | None = None) -> None:
        """Fail unless `actual` (tensor or array) equals the golden array in shape and within the tolerance."""
        value = actual.detach().cpu().numpy() if hasattr(actual, "detach") else np.asarray(actual)
        reference = self[key]
        assert value.shape == reference.shape, f"{self.file_name}: {key}: shape {value.shape}, golden {reference.shape}"
        allowed = self.tolerance(key, role) if atol is None else atol
        difference = np.abs(value.astype(np.float64) - reference.astype(np.float64)).max(initial=0.0)
        assert difference <= allowed, (
            f"{self.file_name}: {key}: differs by {difference:.3g}, allowed {allowed:.3g} "
            f"(largest value {np.abs(reference).max(initial=0.0):.3g})"
        )
        self.compared += 1
        self.compared_keys.append(key)

    def unread(self) -> list[str]:
        """Keys that no check looked at."""
        return sorted(set(self._arrays) - self.read)
