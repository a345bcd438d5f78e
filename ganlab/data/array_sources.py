"""Sources that are one array: `.npz` files, IDX files (MNIST's format), and what torchvision loads as arrays."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

IDX_UBYTE = 0x08


class ArraySource:
    """uint8 images `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]` with C 1, 3 or 4, in memory."""

    def __init__(
        self,
        place: str,
        images: npt.NDArray[Any],
        labels: npt.NDArray[Any] | None = None,
        *,
        description: str,
        classes: Sequence[str] | None = None,
    ) -> None:
        if images.dtype != np.uint8:
            raise DataError(f"{place}: the images are {images.dtype}; they must be uint8, 0 to 255")
        if images.ndim == 3:
            images = images[..., np.newaxis]
        elif images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
            images = images.transpose(0, 2, 3, 1)
        if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
            raise DataError(f"{place}: images of shape {list(images.shape)}; expected [N,H,W], [N,H,W,C] or [N,C,H,W]")
        if len(images) == 0:
            raise DataError(f"{place}: holds no images")
        self._images = images
        self._labels = None if labels is None else _class_numbers(place, labels, len(images))
        self.description = description
        self.classes: Sequence[str] = ()
        if self._labels is not None:
            number = int(self._labels.max()) + 1
            self.classes = tuple(classes) if classes is not None else tuple(map(str, range(number)))
            if len(self.classes) < number:
                raise DataError(f"{place}: label {number - 1}, but only {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self._images)

    def name(self, i: int) -> str:
        return f"image {i}"

    def load(self, i: int) -> Image.Image:
        pixels = np.ascontiguousarray(self._images[i])
        return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)

    def label(self, i: int) -> int | None:
        return None if self._labels is None else int(self._labels[i])

    def has_colour(self) -> bool:
        return bool(self._images.shape[3] > 1)


def _class_numbers(place: str, labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Class numbers `[N]` from class numbers or one-hot rows."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not ((labels != 0).sum(axis=1) == 1).all():
            raise DataError(f"{place}: labels of shape {list(labels.shape)} are not one-hot")
        labels = labels.argmax(axis=1)
    labels = labels.reshape(-1)
    if len(labels) != count:
        raise DataError(f"{place}: {len(labels)} labels for {count} images")
    if labels.dtype.kind not in "iu" or int(labels.min()) < 0:
        raise DataError(f"{place}: labels must be whole numbers from 0, they are {labels.dtype}")
    return labels.astype(np.int64)


def open_npz(path: Path, *, labelled: bool) -> ArraySource:
    """Array `x`, or the only one that can be images; labels from `y` where it is there and `labelled`."""
    try:
        with np.load(path, allow_pickle=False) as content:
            names = list(content.files)
            if "x" in names:
                name = "x"
            else:
                able = [n for n in names if content[n].dtype == np.uint8 and content[n].ndim in (3, 4)]
                if len(able) != 1:
                    has = ", ".join(names) or "nothing"
                    raise DataError(f"{path}: which array are the images? name it x (the file has {has})")
                name = able[0]
            images = content[name]
            labels = content["y"] if labelled and "y" in names else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable .npz without pickled objects ({error})") from None
    return ArraySource(f"{path}: {name}", images, labels, description=f"array {name} of {path.name}")


def is_idx(path: Path) -> bool:
    """Whether the file begins as an IDX file of bytes does."""
    try:
        with _open(path) as file:
            head = file.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:3] == bytes([0, 0, IDX_UBYTE])


def open_idx(path: Path, *, labelled: bool) -> ArraySource:
    """An `...-images-idx3-ubyte[.gz]` file, with the labels of the `...-labels-idx1-ubyte[.gz]` beside it if any."""
    images = read_idx(path)
    labels = None
    beside = label_file_beside(path) if labelled else None
    if beside is not None:
        labels = read_idx(beside)
    return ArraySource(str(path), images, labels, description=f"IDX file {path.name}")


def label_file_beside(path: Path) -> Path | None:
    """The label file that belongs to an image file by its name, packed or not, or None."""
    name = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for candidate in (path.with_name(name), path.with_name(name + ".gz")):
        if candidate.is_file() and candidate.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
            return candidate
    return None


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array of bytes in an IDX file: two zeros, type, number of dimensions, big-endian sizes, data."""
    try:
        with _open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, IDX_UBYTE]):
        raise DataError(f"{path}: not an IDX file of bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    expected = int(np.prod(shape, dtype=object)) if len(shape) == dimensions else -1
    if len(content) - start != expected:
        raise DataError(f"{path}: truncated: {max(0, len(content) - start)} bytes of data for shape {list(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
