"""Reading and writing sets in WebDataset's format: the library writes the shards, an index of our own reads them.

    data/<name>/dataset.toml           what the set is
    data/<name>/r0032/index.json       shard, offset, length, sha256 and label of each sample
    data/<name>/r0032/00000.tar        members <key>.png (or .webp) and, with labels, <key>.cls

Every resolution has the same keys in the same order. Shards are plain local files: no addresses, no `pipe:`, no
pickled members. The same input gives the same bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
import threading
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs
import numpy as np

from ganlab.data.codec import decode
from ganlab.data.index import Description, Index, Shard
from ganlab.data.pixels import box_average, one_hot, powers_of_two
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

SHARD_SAMPLES = 100_000
"""Most samples in a shard; only tiny images reach it before the size does."""


def resolution_folder(folder: Path, resolution: int) -> Path:
    """The folder of one resolution in a set."""
    return folder / f"r{resolution:04d}"


class ShardFolderWriter:
    """Writes one resolution's shards through `webdataset.ShardWriter`, and its index when closed."""

    def __init__(self, folder: Path, *, resolution: int, extension: str, compressed: bool, shard_bytes: int) -> None:
        import webdataset  # takes a second, and brings torch

        folder.mkdir()
        self._folder = folder
        self._resolution = resolution
        self._extension = extension
        self._compressed = compressed
        self._file: IO[bytes] | None = None
        self._shards: list[Shard] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in ("shard", "offset", "length")}
        self._keys: list[str] = []
        self._sha256: list[str] = []
        self._labels: list[int] = []
        self._writer = webdataset.ShardWriter(
            "%05d.tar.gz" if compressed else "%05d.tar",
            maxcount=SHARD_SAMPLES,
            maxsize=shard_bytes,
            opener=self._open,
            post=self._finish_shard,
            encoder=False,
            compress=False,
            verbose=0,
            mtime=0,
            user="ganlab",
            group="ganlab",
        )

    def write(self, key: str, content: bytes, label: int | None) -> None:
        """The next sample: its key (without a dot), the bytes of its image file, and its class."""
        sample: dict[str, str | bytes] = {"__key__": key, self._extension: content}
        if label is not None:
            sample["cls"] = str(label).encode()
            self._labels.append(label)
        self._keys.append(key)
        self._sha256.append(hashlib.sha256(content).hexdigest())
        self._writer.write(sample)

    def close(self) -> None:
        """Finish the last shard and write the index."""
        self._writer.close()
        index = Index(
            self._resolution,
            tuple(self._shards),
            tuple(self._keys),
            np.asarray(self._columns["shard"], np.int64),
            np.asarray(self._columns["offset"], np.int64),
            np.asarray(self._columns["length"], np.int64),
            tuple(self._sha256),
            np.asarray(self._labels, np.int64) if self._labels else None,
        )
        index.write(self._folder)

    def abandon(self) -> None:
        """Close what is open, whatever state it is in; the folder is about to be deleted."""
        with contextlib.suppress(OSError, AttributeError):
            self._writer.close()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _open(self, name: str) -> IO[bytes]:
        path = self._folder / name
        # webdataset's own gzip stream would put the time of day into the header.
        self._file = gzip.GzipFile(path, "wb", mtime=0) if self._compressed else path.open("wb")  # type: ignore[assignment] # GzipFile is no IO for typeshed, but writes like one
        assert self._file is not None
        return self._file

    def _finish_shard(self, name: str) -> None:
        """Close a complete shard, and look up in it where its samples lie."""
        assert self._file is not None
        self._file.close()
        path = self._folder / name
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith("." + self._extension):
                    self._columns["shard"].append(len(self._shards))
                    self._columns["offset"].append(member.offset_data)
                    self._columns["length"].append(member.size)
        self._shards.append(Shard(name, path.stat().st_size))


class ShardSet:
    """A packed set on disk, as an `ImageSet`; safe to read from many threads.

    A resolution that is not stored is averaged from the next finer one that is, which is slower and gives the same
    bytes as a full pack. Every method raises `DataError` that names the file and the key.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.description = Description.read(self.folder)
        self.name = self.description.name
        self.count = self.description.count
        self.channels = self.description.channels
        self.label_size = len(self.description.classes)
        self.label_names = self.description.classes
        self.digest = self.description.digest
        self.resolutions: Sequence[int] = powers_of_two(self.description.resolutions[-1])
        self._lock = threading.Lock()
        self._indexes: dict[int, Index] = {}
        self._shard_paths: dict[int, Sequence[Path]] = {}
        self._unpacked: dict[Path, bytes] = {}

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8 `[n, C, resolution, resolution]`."""
        stored = self.stored_resolution(resolution)
        images = np.empty((len(indices), self.channels, stored, stored), np.uint8)
        for row, index in enumerate(indices):
            content = self.content(stored, int(index))
            try:
                images[row] = decode(content, channels=self.channels, resolution=stored)
            except ValueError as error:
                raise DataError(f"{self.place(stored, int(index))}: {error}; pack the set again") from None
        return box_average(images, stored // resolution)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """One-hot float32 `[n, label_size]`."""
        labels = self.index(self.description.resolutions[-1]).labels
        if labels is None:
            return np.zeros((len(indices), 0), np.float32)
        numbers = np.asarray(indices, np.int64)
        if ((numbers < 0) | (numbers >= self.count)).any():
            raise DataError(f"{self.folder}: has samples 0 to {self.count - 1}, another was asked for")
        return one_hot(labels[numbers], self.label_size)

    def describe(self) -> Mapping[str, Any]:
        """What dataset.toml says, and the folder."""
        return attrs.asdict(self.description) | {"path": str(self.folder)}

    def stored_resolution(self, resolution: int) -> int:
        """The resolution that `resolution` is read from."""
        if resolution not in self.resolutions:
            raise DataError(
                f"{self.folder}: has no images of {resolution}x{resolution}; "
                f"it was packed at {self.resolutions[-1]}x{self.resolutions[-1]}"
            )
        return min(stored for stored in self.description.resolutions if stored >= resolution)

    def index(self, stored: int) -> Index:
        """The index of a stored resolution, read when first needed."""
        with self._lock:
            if stored not in self._indexes:
                self._indexes[stored] = Index.read(
                    resolution_folder(self.folder, stored),
                    resolution=stored,
                    count=self.count,
                    label_size=self.label_size,
                )
            return self._indexes[stored]

    def place(self, stored: int, sample: int) -> str:
        """Shard file and key of a sample, for messages."""
        index = self.index(stored)
        return f"{self._shard_path(stored, sample)}: key {index.keys[sample]}"

    def content(self, stored: int, sample: int) -> bytes:
        """The bytes of a sample's image file, unchecked."""
        if not 0 <= sample < self.count:
            raise DataError(f"{self.folder}: has samples 0 to {self.count - 1}, sample {sample} was asked for")
        index = self.index(stored)
        path = self._shard_path(stored, sample)
        offset, length = int(index.offset[sample]), int(index.length[sample])
        try:
            content = (
                self._unpack(path, index)[offset : offset + length]
                if path.suffix == ".gz"
                else _pread(path, offset, length)
            )
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(
                f"{path}: key {index.keys[sample]}: cannot be read ({reason}); copy the set again, or pack it again"
            ) from None
        if len(content) < length:
            raise DataError(
                f"{path}: key {index.keys[sample]}: the shard ends before this sample does; "
                "copy the set again, or pack it again"
            )
        return content

    def _shard_path(self, stored: int, sample: int) -> Path:
        index = self.index(stored)
        if stored not in self._shard_paths:  # putting a path together takes longer than opening it
            folder = resolution_folder(self.folder, stored)
            self._shard_paths[stored] = [folder / shard.file for shard in index.shards]
        return self._shard_paths[stored][int(index.shard[sample])]

    def _unpack(self, path: Path, index: Index) -> bytes:
        """The whole stream of a compressed shard, kept; no more of it than the index speaks of."""
        with self._lock:
            if path not in self._unpacked:
                inside = index.shard == [shard.file for shard in index.shards].index(path.name)
                end = int((index.offset + index.length)[inside].max())
                with gzip.open(path) as stream:
                    self._unpacked[path] = stream.read(end)
            return self._unpacked[path]


def _pread(path: Path, offset: int, length: int) -> bytes:
    """`length` bytes at `offset`, or fewer where the file ends; opens the file anew, so threads share nothing."""
    with io.FileIO(path) as file:
        file.seek(offset)
        parts = []
        while length > 0:
            part = file.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
    return b"".join(parts)
