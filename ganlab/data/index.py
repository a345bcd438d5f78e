"""The two plain files beside the shards: `dataset.toml` says what the set is, `index.json` where each sample lies.

Both are checked when they are read: what they say ends up as file names, offsets and array shapes.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import tomli_w

from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

FORMAT = 1
SHARD_NAME = re.compile(r"[0-9]+\.tar(\.gz)?")
IMAGE_EXTENSIONS = ("png", "webp", "jpg")


@attrs.frozen(kw_only=True)
class Description:
    """What `dataset.toml` holds: where the images come from and what was done to them."""

    name: str
    source: str
    """Where the images come from, in words."""
    licence: str
    count: int
    channels: int
    """1 for grey, 3 for RGB."""
    resolutions: tuple[int, ...]
    """Stored resolutions, ascending; the coarser ones that are missing are derived on reading."""
    extension: str
    """png, webp or jpg, as the members of the shards are called."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty without labels."""
    fit: str = ""
    filter: str = ""
    colour: str = ""
    digest: str
    """Of the decoded pixels at the finest resolution and the labels, see `ganlab.data.pixels.ContentDigest`."""
    ganlab: str
    """The version that wrote it."""

    def write(self, folder: Path) -> None:
        """Write `dataset.toml` into the set's folder."""
        content = {"format": FORMAT} | attrs.asdict(self)
        (folder / "dataset.toml").write_text(tomli_w.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Read and check `dataset.toml`; raises `DataError` naming the file."""
        path = folder / "dataset.toml"
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            there_is = "has no dataset.toml" if folder.is_dir() else "does not exist"
            raise DataError(f"{folder}: no data set here: it {there_is}; make one with: ganlab data pack") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); pack the set again") from None
        if content.pop("format", None) != FORMAT:
            raise DataError(f"{path}: not of format {FORMAT}, the only one this ganlab reads; pack the set again")
        try:
            return cls(**{field.name: _checked(field.name, content) for field in attrs.fields(cls)})
        except ValueError as error:
            raise DataError(f"{path}: {error}; pack the set again") from None


def _checked(name: str, content: Mapping[str, Any]) -> Any:
    """The value of one key of dataset.toml, or `ValueError`."""
    if name not in content:
        raise ValueError(f"{name} is missing")
    value = content[name]
    whole = isinstance(value, int) and not isinstance(value, bool)
    match name:
        case "count":
            good = whole and value > 0
        case "channels":
            good = whole and value in (1, 3)
        case "resolutions":
            good = isinstance(value, list) and bool(value) and all(_is_resolution(item) for item in value)
            value = tuple(sorted(value)) if good else value
        case "classes":
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
            value = tuple(value) if good else value
        case "extension":
            good = value in IMAGE_EXTENSIONS
        case _:
            good = isinstance(value, str)
    if not good:
        raise ValueError(f"{name} cannot be {value!r}")
    return value


def _is_resolution(value: Any) -> bool:
    return isinstance(value, int) and value >= 4 and value & (value - 1) == 0


@attrs.frozen
class Shard:
    """One tar file of a resolution."""

    file: str
    bytes: int
    """Size of the file itself."""


@attrs.frozen(eq=False)
class Index:
    """Where the samples of one resolution lie, one entry a sample in all columns.

    Offsets are counted in the tar stream: of the file itself, or of what a `.tar.gz` unpacks to.
    """

    resolution: int
    shards: tuple[Shard, ...]
    keys: tuple[str, ...]
    shard: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    sha256: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None

    def write(self, folder: Path) -> None:
        """Write `index.json` into a resolution's folder, one column a line."""
        columns = {
            "key": list(self.keys),
            "shard": self.shard.tolist(),
            "offset": self.offset.tolist(),
            "length": self.length.tolist(),
            "sha256": list(self.sha256),
        }
        if self.labels is not None:
            columns["label"] = self.labels.tolist()
        head = {
            "format": FORMAT,
            "resolution": self.resolution,
            "shards": [attrs.asdict(shard) for shard in self.shards],
        }
        lines = [f'"{name}":{json.dumps(value, separators=(",", ":"))}' for name, value in (head | columns).items()]
        (folder / "index.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, *, resolution: int, count: int, label_size: int) -> Index:
        """Read and check `index.json`, and that the shards are there in full size; raises `DataError`."""
        path = folder / "index.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            index = cls._parse(content, resolution=resolution, count=count, label_size=label_size)
        except FileNotFoundError:
            raise DataError(f"{path}: missing; copy the set again in full, or pack it again") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(f"{path}: not a valid index ({what}); pack the set again") from None
        for shard in index.shards:
            _check_shard(folder / shard.file, shard.bytes)
        return index

    @classmethod
    def _parse(cls, content: Any, *, resolution: int, count: int, label_size: int) -> Index:
        if content["format"] != FORMAT or content["resolution"] != resolution:
            raise ValueError(f"it is not of format {FORMAT} and resolution {resolution}")
        shards = tuple(Shard(str(shard["file"]), int(shard["bytes"])) for shard in content["shards"])
        for shard in shards:
            if not SHARD_NAME.fullmatch(shard.file):
                raise ValueError(f"{shard.file!r} cannot be the name of a shard")
        keys = tuple(map(str, content["key"]))
        digests = tuple(map(str, content["sha256"]))
        labels = _integers(content["label"], "label") if label_size else None
        index = cls(
            resolution,
            shards,
            keys,
            _integers(content["shard"], "shard"),
            _integers(content["offset"], "offset"),
            _integers(content["length"], "length"),
            digests,
            labels,
        )
        columns = {"key": keys, "sha256": digests, "shard": index.shard, "offset": index.offset, "length": index.length}
        if labels is not None:
            columns["label"] = labels
        for name, column in columns.items():
            if len(column) != count:
                raise ValueError(f"{name} has {len(column)} entries, dataset.toml says {count}")
        bounds = [
            ("shard", index.shard, 0, len(shards)),
            ("offset", index.offset, 0, None),
            ("length", index.length, 1, None),
        ]
        if labels is not None:
            bounds.append(("label", labels, 0, label_size))
        for name, values, least, end in bounds:
            wrong = values < least if end is None else (values < least) | (values >= end)
            if wrong.any():
                at = int(wrong.argmax())
                raise ValueError(f"{name} of key {keys[at]} cannot be {int(values[at])}")
        return index


def _integers(values: Any, name: str) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind != "i":
        raise ValueError(f"{name} is not a list of integers")
    return array.astype(np.int64)


def _check_shard(path: Path, expected_bytes: int) -> None:
    try:
        actual = path.stat().st_size
    except OSError:
        raise DataError(f"{path}: this shard is missing; copy the set again in full, or pack it again") from None
    if actual != expected_bytes:
        state = "truncated" if actual < expected_bytes else "changed"
        raise DataError(
            f"{path}: this shard was {state}: {actual} bytes instead of {expected_bytes}; "
            "copy the set again in full, or pack it again"
        )
