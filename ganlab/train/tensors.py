"""Files of tensors with a plain header: safetensors, written whole or not at all, and never running code when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganlab.errors import RunError
from ganlab.track.files import replacing


class DamagedFileError(RunError):
    """A file of tensors cannot be read to its end."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors by name with `header` (plain data, with "format") under a temporary name, then rename it.

    Raises `RunError` naming the file if the disk is full or says no.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    try:
        with replacing(path) as temporary:
            save_file(plain, temporary, metadata={"ganlab": json.dumps(header)})
    except SafetensorError as error:
        raise RunError(f"cannot write {path}: {error}; put that right and run the command again") from error


def read_header(path: Path, wanted_format: str) -> dict[str, Any]:
    """The header of a file of this format. Raises `RunError` for a file that is missing, damaged or of another one."""
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})["ganlab"])
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; a run writes it with its first checkpoint") from None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged or none of ganlab's: {error}") from error
    if header.get("format") != wanted_format:
        raise RunError(f"{path} has the format {header.get('format')!r}; this version reads {wanted_format!r}")
    return header


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU. Raises `RunError` if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a safetensors file is no dict
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error
