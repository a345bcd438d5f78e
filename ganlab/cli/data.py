"""`ganlab data`: pack images into a data set, look at one, and check one."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganlab.data.pack import Report

SHOWN_PROBLEMS = 50


@click.group()
def data() -> None:
    """Prepare and check data sets.

    A data set is a folder of WebDataset shards, one set of shards for each resolution from 4x4 up. Recipes use it
    with: data.name = "shards", data.path = "...".
    """


@data.command()
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
@click.option("--resolution", type=int, required=True, help="Width and height of the finest images: 4, 8, ... 4096.")
@click.option("--name", help="Name of the data set.  [default: the name of DST]")
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad", "stretch", "exact"]),
    default="crop",
    show_default=True,
    help="How an image becomes square: centred crop, padding around it, stretching, or only images of the exact size.",
)
@click.option("--padding", default="black", show_default=True, help="Colour of the border with --fit pad.")
@click.option("--background", default="white", show_default=True, help="Colour seen through transparent parts.")
@click.option("--upscale", is_flag=True, help="Enlarge images that are too small instead of skipping them.")
@click.option(
    "--colour",
    type=click.Choice(["auto", "grey", "rgb"]),
    default="auto",
    show_default=True,
    help="Colour mode; auto is rgb if any image has colour.",
)
@click.option(
    "--labels",
    default="auto",
    show_default=True,
    help="Classes: auto (those in an .npz, IDX or torchvision source), none, folders (names of the sub-folders), "
    'or a JSON file of {"sub/file.png": "class"}.',
)
@click.option(
    "--class-names", help="Names of the classes 0, 1, ..., separated by commas, where the source has numbers only."
)
@click.option(
    "--format", type=click.Choice(["png", "webp"]), default="png", show_default=True, help="Both are lossless."
)
@click.option("--gzip", "compressed", is_flag=True, help="Compress the shards; for small sets, read whole into memory.")
@click.option(
    "--finest-only", is_flag=True, help="Store only the finest images; coarser ones are averaged on reading (slower)."
)
@click.option("--limit", type=int, help="Stop after so many images.")
@click.option("--workers", type=int, help="Threads.  [default: one for each core]")
@click.option("--shard-size", type=float, default=256.0, show_default=True, help="MiB at which a shard is full.")
@click.option("--origin", metavar="TEXT", help="Where the images come from, to be recorded.")
@click.option("--licence", metavar="TEXT", default="unknown", show_default=True, help="Licence, to be recorded.")
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of torchvision's files.  [default: data/downloads]"
)
@click.option("--download", is_flag=True, help="Let torchvision download what is missing.")
@click.option("--force", is_flag=True, help="Replace DST if it exists.")
def pack(
    *,
    source: str,
    destination: Path,
    resolution: int,
    name: str | None,
    fit: str,
    padding: str,
    background: str,
    upscale: bool,
    colour: str,
    labels: str,
    class_names: str | None,
    format: str,
    compressed: bool,
    finest_only: bool,
    limit: int | None,
    workers: int | None,
    shard_size: float,
    origin: str | None,
    licence: str,
    root: Path | None,
    download: bool,
    force: bool,
) -> None:
    """Pack the images of SRC into the data set DST.

    \b
    SRC is one of
      a folder       all images in it and its sub-folders, of any size and mode
      FILE.npz       the array x (or the only one of images), uint8; labels from y
      an IDX file    such as train-images-idx3-ubyte.gz; labels from the file beside it
      torchvision:NAME[:SPLIT]
                     MNIST, FashionMNIST, CIFAR10, CelebA, LSUN:bedroom_train, ...

    What cannot be used is skipped and named with the reason.

    \b
    Examples
      ganlab data pack ~/photos data/photos --resolution 128
      ganlab data pack ~/animals data/animals --resolution 64 --labels folders
      ganlab data pack train-images-idx3-ubyte.gz data/shoes --resolution 32 --class-names sandal,sneaker,boot
      ganlab data pack torchvision:MNIST data/mnist --resolution 32 --fit pad --download
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.data.pack import pack as pack_images
    from ganlab.errors import DataError

    if not math.isfinite(shard_size):
        raise DataError(f"shard size {shard_size}: must be a number of MiB, such as 256")
    with _progress("packing") as progress:
        report = pack_images(
            source,
            destination,
            resolution=resolution,
            name=name,
            fit=fit,  # type: ignore[arg-type] # click has checked the choice
            colour=colour,  # type: ignore[arg-type] # click has checked the choice
            background=background,
            padding=padding,
            upscale=upscale,
            format=format,  # type: ignore[arg-type] # click has checked the choice
            compressed=compressed,
            pyramid=not finest_only,
            labels=labels,
            class_names=None if class_names is None else [name.strip() for name in class_names.split(",")],
            limit=limit,
            workers=workers,
            shard_bytes=round(shard_size * 2**20),
            origin=origin,
            licence=licence,
            root=root,
            download=download,
            force=force,
            progress=progress,
        )
    _print_report(report)


@data.command()
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
def info(destination: Path) -> None:
    """Say what the data set DST holds."""
    from ganlab.data.shards import ShardSet, resolution_folder

    images = ShardSet(destination)
    description = images.description
    finest = images.index(description.resolutions[-1])
    facts = {
        "name": description.name,
        "source": description.source,
        "licence": description.licence,
        "images": f"{description.count:,}",
        "colour": description.colour,
        "fit": f"{description.fit}, {description.filter}",
        "digest": description.digest,
        "written by": f"ganlab {description.ganlab}",
    }
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
    for resolution in description.resolutions:
        folder = resolution_folder(destination, resolution)
        stored = sum(file.stat().st_size for file in folder.iterdir())
        shards = len(images.index(resolution).shards)
        size = f"{resolution}x{resolution}"
        click.echo(
            f"{size:<12}{shards} {'shard' if shards == 1 else 'shards'} of {description.extension}, {_bytes(stored)}"
        )
    derived = [resolution for resolution in images.resolutions if resolution not in description.resolutions]
    if derived:
        click.echo(f"{'derived':<12}{', '.join(f'{resolution}x{resolution}' for resolution in derived)}, on reading")
    for number, class_name in enumerate(description.classes):
        assert finest.labels is not None
        click.echo(f"{f'class {number}':<12}{class_name}: {int((finest.labels == number).sum()):,} images")


@data.command()
@click.argument("destination", metavar="DST", type=click.Path(path_type=Path))
def verify(destination: Path) -> None:
    """Check every sample of the data set DST.

    Each image must be there, be unchanged since it was packed (sha256), and have its size; keys and labels must be the
    same at every resolution. Ends with exit code 2 and a line for each problem otherwise.
    """
    from ganlab.data.verify import problems
    from ganlab.errors import DataError

    with _progress("verifying") as progress:
        found = list(problems(destination, progress))
    if found:
        more = len(found) - SHOWN_PROBLEMS
        raise DataError(
            "\n".join(found[:SHOWN_PROBLEMS] + ([f"{destination}: {more} more problems"] if more > 0 else []))
        )
    click.echo(f"{destination}: sound")


def _print_report(report: Report) -> None:
    """What was packed to standard output, what was skipped to standard error."""
    for name, reason in report.skipped[:SHOWN_PROBLEMS]:
        click.echo(f"skipped {name}: {reason}", err=True)
    more = len(report.skipped) - SHOWN_PROBLEMS
    if more > 0:
        click.echo(f"skipped {more} more; all are listed in {report.destination / 'skipped.txt'}", err=True)
    description = report.description
    mode = "grey" if description.channels == 1 else "rgb"
    classes = f", {len(description.classes)} classes" if description.classes else ""
    finest = description.resolutions[-1]
    click.echo(
        f"{report.destination}: packed {report.packed:,} {mode} images of {finest}x{finest}{classes}; "
        f"skipped {len(report.skipped):,}"
    )


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
