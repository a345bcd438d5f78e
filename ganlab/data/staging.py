"""A folder that is there complete or not at all: written beside its place, and renamed when it is done."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_destination(destination: Path, *, force: bool) -> None:
    """Raise `DataError` where something is in the way; `force` may replace a data set, but nothing else."""
    try:
        taken = destination.exists() or destination.is_symlink()
    except OSError as error:
        raise DataError(f"{destination}: cannot be written ({error.strerror})") from None
    if not taken:
        return
    if not force:
        raise DataError(f"{destination}: exists already; choose another destination or add --force to replace it")
    replaceable = destination.is_dir() and not destination.is_symlink()
    if not replaceable or ((not (destination / "dataset.toml").is_file()) and any(destination.iterdir())):
        raise DataError(f"{destination}: is no data set, and --force replaces nothing else; choose another destination")


@contextmanager
def staged(destination: Path, *, force: bool) -> Iterator[Path]:
    """A new folder beside `destination` that takes its place if all goes well, and disappears if not.

    Raises `DataError` for a full disk and everything else that cannot be written; an older set is then still there.
    """
    parent = destination.absolute().parent
    folder = parent / f".{destination.name}.packing-{os.getpid()}"
    old = parent / f".{destination.name}.replaced-{os.getpid()}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        yield folder
        if force and destination.exists():
            destination.rename(old)
        try:
            folder.rename(destination)
        except BaseException:
            if old.exists():
                old.rename(destination)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(f"{parent}: the disk is full; nothing was kept of the new set") from None
        place = error.filename or destination
        raise DataError(f"{place}: cannot be written ({error.strerror or error}); nothing was kept") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
