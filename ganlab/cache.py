"""What takes long to work out and depends on nothing but its inputs, kept on disk by a digest of those inputs.

Features of a data set's images under one feature network are the same in every trial of an ablation. A file can be
deleted at any time: it is worked out again. Nothing is ever deleted from here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]


def cache_folder() -> Path:
    """`GANLAB_CACHE`, else `ganlab` in `XDG_CACHE_HOME`, else in `~/.cache`. It need not exist."""
    if own := os.environ.get("GANLAB_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path("~/.cache").expanduser()) / "ganlab"


def cached(key: Mapping[str, Any], make: Callable[[], Mapping[str, Array]]) -> Mapping[str, Array]:
    """What `make` returns, by name, from disk where it was made before with an equal `key`.

    `key` is plain data with everything that decides the result, the version of the computation included. Where one of
    its values is None the inputs have no name, and nothing is kept. Processes that want the same at once may each make
    it; a reader never sees half a file. A damaged file is made again, and a folder that cannot be written only means
    that nothing is kept. Raises what `make` raises, and `TypeError` for arrays of objects: nothing is pickled.
    """
    if any(value is None for value in key.values()):
        return make()
    path = cache_folder() / f"{digest_of(key)}.npz"
    kept = _read(path)
    if kept is not None:
        return kept
    made = make()
    if any(array.dtype.hasobject for array in made.values()):
        raise TypeError("arrays of Python objects cannot be kept")
    with contextlib.suppress(OSError):
        _write(path, made)
    return made


def digest_of(key: Mapping[str, Any]) -> str:
    """The SHA-256 of `key` as JSON with sorted keys, in hexadecimal. Raises `TypeError` for what JSON cannot say."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read(path: Path) -> Mapping[str, Array] | None:
    """The arrays in a file, or None where there is none or it is damaged (a member's checksum is wrong, say)."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
        return None  # TypeError: a file that is a single array


def _write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write under a name of its own, then rename."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}.npz")
    try:
        with temporary.open("xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # names of arrays, not savez's own keyword
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
