"""A data set on disk that `ganlab data pack` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

import ganlab

from .pixel_faces import FOLDER

if TYPE_CHECKING:
    from ganlab.interfaces import ImageSet


@attrs.frozen
class Shards:
    """Images packed into WebDataset shards by `ganlab data pack`.

    A set that was packed with `--finest-only` works too; its coarser images are averaged on reading, which is slower.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"path": str(FOLDER)},)

    path: Path = ganlab.parameter(help="Folder of the set, the one that holds dataset.toml; relative to the recipe.")

    def build(self) -> ImageSet:
        """Opens the set; raises `DataError` naming the file and the remedy."""
        from ganlab.data.shards import ShardSet

        return ShardSet(self.path)
