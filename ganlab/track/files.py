"""Writing files so that a crash, a full disk or a power cut never leaves half of one under its final name."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from ganlab.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LEFTOVER = re.compile(r"\.tmp[A-Za-z0-9]{6}|\..+\.partial\.safetensors")
"""safetensors writes to a name of its own, `.tmp` and six characters, beside the file it was given."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the name `path` when the block ends well and vanishes when not.

    The data are on the disk before the name is, so that the file of that name is always whole: the old or the new.
    The temporary name starts with a dot, keeps the suffix and is always the same, so that what a killed process left
    is overwritten by the next; one process at a time may write a path. The file may be read by whom the user lets read
    new files, also where a writer (safetensors) is stricter. Raises `RunError` naming the file if the disk says no.
    """
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with naming(path):
            temporary.unlink(missing_ok=True)
            temporary.touch()
            usual_mode = temporary.stat().st_mode  # asking for the umask itself would change it, for all threads
            yield temporary
            temporary.chmod(usual_mode)
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
            flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Make `content` (text as UTF-8) the whole content of `path`. Raises `RunError` if the disk says no."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into a `RunError` that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunError(f"cannot write {path}: {reason}; put that right and run the command again") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed while it wrote tensors left in `folder`, under names nobody reads.

    Only for the process that holds the folder: another one's file may be half written. Raises `RunError`.
    """
    for path in folder.glob(".*"):
        if _LEFTOVER.fullmatch(path.name):
            with naming(path):
                path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make the names in `folder` last through a power cut, where the system offers that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
