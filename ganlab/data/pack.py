"""Packs images of any kind into shards: every resolution from 4 to R, the same keys in the same order.

The work is done in a temporary folder beside the destination that is renamed at the end, so that a full disk or
Ctrl-C leaves nothing behind. The result does not depend on the number of workers.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs
from PIL import Image

import ganlab
from ganlab.data.codec import encode
from ganlab.data.fit import FILTER, Fit, UnusableError, plain_colours, square, to_pixels
from ganlab.data.in_order import in_order
from ganlab.data.index import Description
from ganlab.data.pack_options import check_options, names_of_classes
from ganlab.data.pixels import ContentDigest, box_average
from ganlab.data.shards import ShardFolderWriter, resolution_folder
from ganlab.data.sources import Source, open_source
from ganlab.data.staging import check_destination, staged
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

Colour = Literal["auto", "grey", "rgb"]
SHARD_BYTES = 256 * 2**20


@attrs.frozen
class Report:
    """What a packing did."""

    destination: Path
    packed: int
    skipped: tuple[tuple[str, str], ...]
    """Name and reason of each image left out, also in `skipped.txt` of the set."""
    description: Description


@attrs.frozen(eq=False)
class _Prepared:
    """One image, ready to be written."""

    finest: npt.NDArray[np.uint8]
    files: tuple[bytes, ...]
    """Encoded, in the order of the resolutions to write."""
    label: int | None


def pack(
    source: str | Path | Source,
    destination: str | Path,
    *,
    resolution: int,
    name: str | None = None,
    fit: Fit = "crop",
    colour: Colour = "auto",
    background: str = "white",
    padding: str = "black",
    upscale: bool = False,
    format: Literal["png", "webp"] = "png",
    compressed: bool = False,
    pyramid: bool = True,
    labels: str = "auto",
    class_names: Sequence[str] | None = None,
    limit: int | None = None,
    workers: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    origin: str | None = None,
    licence: str = "unknown",
    root: Path | None = None,
    download: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Pack `source` (see `ganlab.data.sources.open_source`) into the folder `destination`.

    `fit`, `padding` and `upscale`: see `ganlab.data.fit.square`. `background` shows through transparent parts.
    `colour` "auto" is RGB if any image is coloured. `compressed` writes `.tar.gz`, for small sets. Without `pyramid`
    only the finest resolution is stored. `class_names` replaces the source's names of classes, such as the numbers of
    an IDX file. `limit` ends after so many packed images, `workers` are threads (None: one a
    core), `shard_bytes` is the size at which a shard is full. `origin` and `licence` are words for dataset.toml.
    `root` and `download` are torchvision's. `progress(done, total)` counts images looked at.

    Raises `DataError` for wrong options, an existing destination without `force`, a source of which nothing can be
    used, and a full disk; what was at the destination is then still there.
    """
    destination = Path(destination)
    resolutions = check_options(
        resolution=resolution,
        fit=fit,
        colour=colour,
        background=background,
        padding=padding,
        format=format,
        limit=limit,
        shard_bytes=shard_bytes,
    )
    check_destination(destination, force=force)
    if isinstance(source, str | Path):
        source = open_source(str(source), labels=labels, root=root, download=download)
    classes = names_of_classes(source, class_names)
    with _large_images():
        channels = {"grey": 1, "rgb": 3}.get(colour) or (3 if source.has_colour() else 1)
    stored = resolutions if pyramid else resolutions[-1:]
    with _large_images(), staged(destination, force=force) as folder:
        writer = _SetWriter(
            folder,
            stored,
            digest=ContentDigest(channels, resolution, len(classes)),
            key_digits=len(str(max(len(source) - 1, 1))),
            extension=format,
            compressed=compressed,
            shard_bytes=shard_bytes,
        )
        prepare = _Preparation(
            source,
            channels,
            resolution,
            stored,
            fit,
            background=background,
            padding=padding,
            upscale=upscale,
            format=format,
        )
        skipped = _write_all(writer, prepare, source, limit=limit, workers=workers, progress=progress)
        description = Description(
            name=name or destination.name,
            source=origin or source.description,
            licence=licence,
            count=writer.count,
            channels=channels,
            resolutions=stored,
            extension=format,
            classes=classes,
            fit=fit,
            filter="none" if fit == "exact" else FILTER,
            colour=_colour_words(channels, background, padding if fit == "pad" else None),
            digest=writer.digest.hexdigest(),
            ganlab=ganlab.__version__,
        )
        description.write(folder)
        if skipped:
            lines = [f"{name}: {reason}\n" for name, reason in skipped]
            (folder / "skipped.txt").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    return Report(destination, writer.count, tuple(skipped), description)


@attrs.frozen(eq=False)
class _Preparation:
    """Everything that is done to image i by itself, on any thread."""

    source: Source
    channels: int
    resolution: int
    stored: tuple[int, ...]
    fit: Fit
    background: str = attrs.field(kw_only=True)
    padding: str = attrs.field(kw_only=True)
    upscale: bool = attrs.field(kw_only=True)
    format: str = attrs.field(kw_only=True)

    def __call__(self, i: int) -> _Prepared | str:
        """Image i ready to be written, or the reason why it is left out."""
        try:
            label = self.source.label(i)
            plain = plain_colours(self.source.load(i), channels=self.channels, background=self.background)
            pixels = to_pixels(square(plain, self.resolution, self.fit, padding=self.padding, upscale=self.upscale))
        except UnusableError as reason:
            return str(reason)
        except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for odd metadata
            return f"cannot be converted: {error}"
        files = tuple(encode(box_average(pixels, self.resolution // each), self.format) for each in self.stored)
        return _Prepared(pixels, files, label)


class _SetWriter:
    """The writers of all resolutions as one."""

    def __init__(
        self, folder: Path, stored: tuple[int, ...], *, digest: ContentDigest, key_digits: int, **options: Any
    ) -> None:
        self.count = 0
        self.digest = digest
        self._key_digits = key_digits
        self._writers: list[ShardFolderWriter] = []
        try:
            for each in stored:
                self._writers.append(ShardFolderWriter(resolution_folder(folder, each), resolution=each, **options))
        except BaseException:
            self.abandon()
            raise

    def write(self, image: _Prepared) -> None:
        for writer, content in zip(self._writers, image.files, strict=True):
            writer.write(f"{self.count:0{self._key_digits}d}", content, image.label)
        self.digest.add(image.finest, image.label)
        self.count += 1

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def abandon(self) -> None:
        for writer in self._writers:
            writer.abandon()


def _write_all(
    writer: _SetWriter,
    prepare: Callable[[int], _Prepared | str],
    source: Source,
    *,
    limit: int | None,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[str, str]]:
    """Write what can be used of the source, and return what cannot, with the reasons."""
    total = len(source)
    skipped: list[tuple[str, str]] = []
    try:
        with in_order(prepare, total, workers) as results:
            for i, result in enumerate(results):
                if isinstance(result, str):
                    skipped.append((_one_line(source.name(i)), _one_line(result)))
                else:
                    writer.write(result)
                if progress is not None:
                    progress(i + 1, total)
                if writer.count == limit:
                    break
        if writer.count == 0:
            name, reason = skipped[0]
            raise DataError(f"nothing to pack: all {total} images were skipped; first, {name}: {reason}")
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return skipped


@contextmanager
def _large_images() -> Iterator[None]:
    """Use images of up to twice Pillow's limit without its warning; larger ones are refused by name.

    Filters belong to the whole process, so that this is for the main thread, around those that load.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _one_line(text: str) -> str:
    """`text` with what would move the cursor escaped; bytes of a name that are no UTF-8 stay as they are."""
    plain = (c if c.isprintable() or "\udc80" <= c <= "\udcff" else c.encode("unicode_escape").decode() for c in text)
    return "".join(plain)


def _colour_words(channels: int, background: str, padding: str | None) -> str:
    words = f"{'grey' if channels == 1 else 'rgb'}, transparency shows {background}"
    return words if padding is None else f"{words}, padded with {padding}"
