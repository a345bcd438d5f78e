"""Looks at every sample of a packed set, and says in one line each what is wrong."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ganlab.data.codec import decode
from ganlab.data.pixels import ContentDigest
from ganlab.data.shards import ShardSet, resolution_folder
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ganlab.data.index import Index


def problems(folder: Path, progress: Callable[[int, int], None] | None = None) -> Iterator[str]:
    """Each problem of the set in `folder` as a line that names file and key; nothing for a sound set.

    Checks that every index and shard is there, that keys and labels agree between resolutions, that each image has
    its recorded sha256, can be decoded and has its size, and that the whole has the digest in dataset.toml.
    `progress(done, total)` counts images over all stored resolutions.
    """
    try:
        images = ShardSet(folder)
    except DataError as error:
        yield str(error)
        return
    stored = images.description.resolutions
    done, total = 0, images.count * len(stored)
    first: Index | None = None
    for resolution in reversed(stored):
        try:
            index = images.index(resolution)
        except DataError as error:
            yield str(error)
            continue
        if first is None:
            first = index
        elif (disagreement := _disagreement(first, index)) is not None:
            yield f"{resolution_folder(folder, resolution) / 'index.json'}: {disagreement}; pack the set again"
        digest = ContentDigest(images.channels, resolution, images.label_size)
        sound = True
        for sample in range(images.count):
            try:
                content = images.content(resolution, sample)
                if hashlib.sha256(content).hexdigest() != index.sha256[sample]:
                    raise ValueError("its bytes have changed since they were packed (sha256 differs)")
                pixels = decode(content, channels=images.channels, resolution=resolution)
                digest.add(pixels, None if index.labels is None else int(index.labels[sample]))
            except DataError as error:
                sound = False
                yield str(error)
            except ValueError as error:
                sound = False
                yield f"{images.place(resolution, sample)}: {error}; copy the set again, or pack it again"
            done += 1
            if progress is not None:
                progress(done, total)
        if resolution == stored[-1] and sound and digest.hexdigest() != images.digest:
            yield f"{folder / 'dataset.toml'}: the images and labels do not have this digest; pack the set again"


def _disagreement(finest: Index, other: Index) -> str | None:
    for sample, (key, expected) in enumerate(zip(other.keys, finest.keys, strict=True)):
        if key != expected:
            return f"sample {sample} has key {key}, at {finest.resolution}x{finest.resolution} it is {expected}"
    if other.labels is not None and finest.labels is not None:
        wrong = other.labels != finest.labels
        if wrong.any():
            at = int(wrong.argmax())
            return f"key {other.keys[at]} has another label than at {finest.resolution}x{finest.resolution}"
    return None
