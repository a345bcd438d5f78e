"""Published data sets by name, through torchvision's own loading and checking of files.

`torchvision:MNIST`, `FashionMNIST`, `CIFAR10` (splits train, test), `CelebA` (all, train, valid, test) and
`LSUN:bedroom_train` (any category and split of that set).
"""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ganlab.data.array_sources import ArraySource
from ganlab.data.fit import UnusableError
from ganlab.data.sources import FORMATS, Source
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_ROOT = Path("data/downloads")
SPLITS: dict[str, tuple[str, ...]] = {
    "MNIST": ("train", "test"),
    "FashionMNIST": ("train", "test"),
    "CIFAR10": ("train", "test"),
    "CelebA": ("all", "train", "valid", "test"),
}


def open_torchvision(text: str, *, labelled: bool, root: Path | None, download: bool) -> Source:
    """The source named by `torchvision:NAME[:SPLIT]`; raises `DataError` saying what to put where."""
    name, _, split = text.removeprefix("torchvision:").partition(":")
    root = root if root is not None else DEFAULT_ROOT
    if name == "LSUN":
        return open_lsun(root, split)
    if name not in SPLITS:
        known = ", ".join([*SPLITS, "LSUN:CATEGORY_SPLIT"])
        raise DataError(f"{text}: no such data set here; there are {known}")
    split = split or SPLITS[name][0]
    if split not in SPLITS[name]:
        raise DataError(f"{text}: {name} has no split {split!r}; it has {', '.join(SPLITS[name])}")
    description = f"torchvision {name}, {split}"
    if name == "CelebA":
        images = _load(
            name, root, download, lambda datasets: datasets.CelebA(str(root), split=split, download=download)
        )
        return CelebASource(images, description)
    arrays = _load(
        name,
        root,
        download,
        lambda datasets: getattr(datasets, name)(str(root), train=split == "train", download=download),
    )
    labels = np.asarray(arrays.targets) if labelled else None
    return ArraySource(text, np.asarray(arrays.data), labels, description=description, classes=arrays.classes)


def _load(name: str, root: Path, download: bool, make: Callable[[Any], Any]) -> Any:
    from torchvision import datasets

    try:
        return make(datasets)
    except Exception as error:  # what goes wrong is the network's, the server's and the files' choice
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = (
            f"it could not be downloaded; fetch the files elsewhere and put them under {root}"
            if download
            else f"give --root, the folder that holds torchvision's files (now {root}), or add --download"
        )
        raise DataError(f"torchvision:{name}: {reason} - {remedy}") from None


class CelebASource:
    """CelebA's aligned images, 178x218; its attributes are not classes, so there are no labels."""

    def __init__(self, images: Any, description: str) -> None:
        self._images = images
        self.description = description
        self.classes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self._images)

    def name(self, i: int) -> str:
        return str(self._images.filename[i])

    def load(self, i: int) -> Image.Image:
        try:
            image: Image.Image = self._images[i][0]
            image.load()
        except Exception as error:  # Pillow raises many kinds of exceptions for damaged files
            raise UnusableError(f"truncated or damaged: {error}") from None
        return image

    def label(self, i: int) -> int | None:
        return None

    def has_colour(self) -> bool:
        return True


def open_lsun(root: Path, split: str) -> LsunSource:
    """One category of LSUN, in the layout torchvision uses: `ROOT/bedroom_train_lmdb/`.

    torchvision's own class is not used, because it keeps the list of keys as a pickle beside the data and trusts it.
    """
    if not split:
        raise DataError("torchvision:LSUN: name the category and split, such as torchvision:LSUN:bedroom_train")
    folder = root / f"{split}_lmdb"
    if not (folder / "data.mdb").is_file():
        raise DataError(
            f"{folder}/data.mdb: not found; LSUN is not downloaded for you: fetch {split}_lmdb.zip from "
            f"http://dl.yf.io/lsun/scenes/ and unpack it there, or give --root"
        )
    try:
        lmdb = importlib.import_module("lmdb")
    except ImportError:
        raise DataError("torchvision:LSUN: needs the package lmdb: pip install lmdb") from None
    try:
        environment = lmdb.open(
            str(folder), max_readers=126, readonly=True, lock=False, readahead=False, meminit=False, subdir=True
        )
        with environment.begin() as transaction:
            keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
    except lmdb.Error as error:
        raise DataError(f"{folder}: cannot be read ({error}); unpack it again") from None
    if not keys:
        raise DataError(f"{folder}: holds no images")
    return LsunSource(environment, keys, f"LSUN {split}")


class LsunSource:
    """Images of one LSUN database, in the order of their keys; one category, so no labels."""

    def __init__(self, environment: Any, keys: Sequence[bytes], description: str) -> None:
        self._environment = environment
        self._keys = keys
        self.description = description
        self.classes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self._keys)

    def name(self, i: int) -> str:
        return self._keys[i].decode("ascii", "replace")

    def load(self, i: int) -> Image.Image:
        with self._environment.begin() as transaction:
            content = bytes(transaction.get(self._keys[i]))
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
        except Exception as error:  # Pillow raises many kinds of exceptions for damaged files
            raise UnusableError(f"truncated or damaged: {error}") from None
        return image

    def label(self, i: int) -> int | None:
        return None

    def has_colour(self) -> bool:
        return True
