"""What a packing may be asked for: wrong options are told before anything is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganlab.data.fit import check_colour
from ganlab.data.pixels import powers_of_two
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganlab.data.sources import Source

LARGEST_RESOLUTION = 4096


def check_options(
    *,
    resolution: int,
    fit: str,
    colour: str,
    background: str,
    padding: str,
    format: str,
    limit: int | None,
    shard_bytes: int,
) -> tuple[int, ...]:
    """The resolutions 4 ... `resolution`, or `DataError`."""
    if not 4 <= resolution <= LARGEST_RESOLUTION or resolution & (resolution - 1):
        raise DataError(f"resolution {resolution}: must be a power of two from 4 to {LARGEST_RESOLUTION}")
    choices = {
        "fit": (fit, ("crop", "pad", "stretch", "exact")),
        "colour": (colour, ("auto", "grey", "rgb")),
        "format": (format, ("png", "webp")),
    }
    for what, (value, allowed) in choices.items():
        if value not in allowed:
            raise DataError(f"{what} {value!r}: must be one of {', '.join(allowed)}")
    for what, value in (("background", background), ("padding", padding)):
        try:
            check_colour(value)
        except ValueError:
            raise DataError(f"{what} {value!r}: not a colour; write a name such as white, or #rrggbb") from None
    if limit is not None and limit < 1:
        raise DataError(f"limit {limit}: must be at least 1")
    if shard_bytes < 1:
        raise DataError(f"shard size {shard_bytes}: must be at least 1 byte")
    return powers_of_two(resolution)


def names_of_classes(source: Source, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the labels 0, 1, ...: the source's own, or `names`, different ones for all of them; or `DataError`."""
    own = tuple(source.classes)
    if names is None:
        return own
    if not own:
        raise DataError("class names: the source has no labels that they could name")
    if len(names) != len(own):
        raise DataError(f"class names: expected {len(own)}, one for each of {', '.join(own[:10])}; got {len(names)}")
    if len(set(names)) < len(names) or not all(name.strip() for name in names):
        raise DataError(f"class names: expected {len(own)} different names, got {', '.join(map(repr, names))}")
    return tuple(names)
