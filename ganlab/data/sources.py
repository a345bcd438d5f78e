"""Where the images to pack come from; `open_source` tells the kinds apart by what SRC looks like."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image, UnidentifiedImageError

from ganlab.data.fit import GREY_MODES, UnusableError
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "TGA", "ICO", "AVIF")
"""What Pillow may open. Formats drawn by another program (EPS) or resolution-free are left out."""


class Source(Protocol):
    """A sequence of pictures, in the order in which they are packed; safe to use from many threads."""

    description: str
    """Where they come from, in words, for dataset.toml."""
    classes: Sequence[str]
    """Names of the labels 0, 1, ...; empty where there are none."""

    def __len__(self) -> int: ...
    def name(self, i: int) -> str:
        """What to call image i in a message."""
        ...

    def load(self, i: int) -> Image.Image:
        """Image i, decoded, of any mode and size; raises `UnusableError`."""
        ...

    def label(self, i: int) -> int | None:
        """Class of image i, or None without labels; raises `UnusableError`."""
        ...

    def has_colour(self) -> bool:
        """Whether any image is more than grey."""
        ...


def open_source(text: str, *, labels: str = "auto", root: Path | None = None, download: bool = False) -> Source:
    """The source for what the user wrote; raises `DataError` naming the file and the remedy.

    A folder, a `.npz`, an IDX file (`.gz` too) or `torchvision:NAME[:SPLIT]`. `labels` is `auto` (those that the
    source brings), `none`, `folders` (names of the first sub-folders) or a JSON file of `{"file": class}`.
    """
    from ganlab.data.array_sources import is_idx, open_idx, open_npz

    if text.startswith("torchvision:"):
        from ganlab.data.torchvision_sources import open_torchvision

        _only_own_labels(text, labels)
        return open_torchvision(text, labelled=labels == "auto", root=root, download=download)
    if not text:
        raise DataError("SRC is empty; a source is a folder (. for this one), an .npz, an IDX file or torchvision:NAME")
    path = Path(text)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if is_folder:
        return FolderSource(path, labels)
    if not exists:
        raise DataError(
            f"{path}: no such file or folder; a source is a folder, an .npz, an IDX file or torchvision:NAME"
        )
    _only_own_labels(text, labels)
    if path.suffix == ".npz":
        return open_npz(path, labelled=labels == "auto")
    if is_idx(path):
        return open_idx(path, labelled=labels == "auto")
    raise DataError(f"{path}: not a folder, .npz or IDX file; to pack single images, give the folder that holds them")


def _only_own_labels(text: str, labels: str) -> None:
    if labels not in ("auto", "none"):
        raise DataError(f"{text}: labels from {labels!r} need a folder of images; here they can be auto or none")


class FolderSource:
    """All files of a folder and its sub-folders, linked ones too, sorted by path."""

    def __init__(self, folder: Path, labels: str = "auto") -> None:
        self._folder = folder
        label_file = None if labels in ("auto", "none", "folders") else Path(labels)
        self._names = sorted(_files_below(folder, without=label_file))
        self._labels: Mapping[str, str] | None = None
        if label_file is not None:
            self._labels = _read_label_file(label_file)
            self._missing_label = f"no label in {label_file.name}"
        elif labels == "folders":
            self._labels = {name: name.split("/")[0] for name in self._names if "/" in name}
            self._missing_label = "not in a sub-folder, which would name its class"
        self.description = f"folder {folder.resolve().name}"
        present = (
            set() if self._labels is None else {self._labels[name] for name in self._names if name in self._labels}
        )
        self.classes: Sequence[str] = sorted(present, key=_class_order)
        self._numbers = {name: number for number, name in enumerate(self.classes)}
        if not self._names:
            raise DataError(f"{folder}: the folder is empty")
        if self._labels is not None and not self.classes:
            where = "sub-folders" if label_file is None else str(label_file)
            raise DataError(f"{folder}: no file gets a label from {where}")

    def __len__(self) -> int:
        return len(self._names)

    def name(self, i: int) -> str:
        return self._names[i]

    def load(self, i: int) -> Image.Image:
        path = self._folder / self._names[i]
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise UnusableError("not a regular file")
            if status.st_size == 0:
                raise UnusableError("the file is empty")
            image = Image.open(path, formats=FORMATS)
            try:
                image.load()
            except BaseException:
                image.close()
                raise
        except (UnusableError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise UnusableError("not an image (or of a format that is not read)") from None
        except Image.DecompressionBombError:
            raise UnusableError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; shrink it first") from None
        except Exception as error:  # Pillow raises many kinds of exceptions for damaged files
            raise UnusableError(f"truncated or damaged: {getattr(error, 'strerror', None) or error}") from None
        return image

    def label(self, i: int) -> int | None:
        if self._labels is None:
            return None
        if self._names[i] not in self._labels:
            raise UnusableError(self._missing_label)
        return self._numbers[self._labels[self._names[i]]]

    def has_colour(self) -> bool:
        return any(map(self._is_coloured, self._names))

    def _is_coloured(self, name: str) -> bool:
        """By the header alone; a palette counts as colour."""
        path = self._folder / name
        try:
            if not path.is_file():  # a pipe would be waited for
                return False
            with Image.open(path, formats=FORMATS) as image:
                return image.mode not in GREY_MODES
        except Exception:  # whatever is wrong with the file is reported when it is loaded
            return False


def _files_below(folder: Path, *, without: Path | None) -> list[str]:
    """Paths relative to `folder`. Links to folders are followed; a folder that is met again is passed over."""
    left_out = os.path.realpath(without) if without is not None else None

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})")

    found = []
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = os.path.realpath(parent)
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        folders.sort()  # which of two ways to a folder is taken must not depend on the disk
        for file in files:
            path = Path(parent) / file
            if left_out is None or os.path.realpath(path) != left_out:
                found.append(path.relative_to(folder).as_posix())
    return found


def _read_label_file(path: Path) -> dict[str, str]:
    """A JSON object of `{"sub/file.png": class}`, the class a text or a whole number."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such label file; labels are auto, none, folders or a JSON file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file of labels ({error})") from None
    if not isinstance(content, dict):
        raise DataError(f'{path}: expected {{"file": class, ...}}')
    for name, label in content.items():
        if not isinstance(label, str | int) or isinstance(label, bool):
            raise DataError(f"{path}: {name}: a class is a text or a whole number, not {label!r}")
    return {name: str(label) for name, label in content.items()}


def _class_order(name: str) -> tuple[int, int, str]:
    """Numbers by value, then names by alphabet."""
    return (0, int(name), name) if name.isdecimal() and len(name) < 1000 else (1, 0, name)
