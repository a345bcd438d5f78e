"""`ganlab generate`: images from a trained generator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlab.cli.common import catalog_with_warnings, plugin_option
from ganlab.errors import GanlabError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ganlab.plugins import Catalog
    from ganlab.train.domains import Inputs
    from ganlab.train.export import SavedGenerator


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the PNGs (made if needed).")
@click.option("--num", type=click.IntRange(min=1), help="How many images; default: 64, or all that --from has.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Equal seeds give equal images.")
@click.option(
    "--truncation",
    type=click.FloatRange(min=0, min_open=True),
    help="Draw latents within this many standard deviations.",
)
@click.option(
    "--grid",
    is_flag=True,
    help="One picture with all images, instead of one each; a class in each row, where the generator has labels.",
)
@click.option(
    "--class",
    "wanted",
    metavar="NAME_OR_NUMBER",
    help="Class of all images, where the generator has labels; default: all classes in turn.",
)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of images to make samples from, where the generator translates; default: the run's own data set.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@plugin_option
def generate(
    run: Path,
    out: Path,
    num: int | None,
    seed: int,
    truncation: float | None,
    grid: bool,
    wanted: str | None,
    folder: Path | None,
    device: str,
    plugin_files: tuple[Path, ...],
) -> None:
    """Write images of a trained generator.

    RUN is a run folder, whose averaged generator is taken, or a generator.safetensors.

    \b
    ganlab generate runs/pggan/20261121-120000 --out images --num 64
    ganlab generate runs/pggan/20261121-120000 --out images --num 100 --grid --seed 7
    ganlab generate runs/fashion/20261121-120000 --out shirts --class shirt
    ganlab generate runs/cyclegan/20261121-120000 --out translated --from photographs
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    if truncation is not None and not math.isfinite(truncation):
        raise GanlabError(f"--truncation {truncation}: expected a number of standard deviations, such as 0.7")
    catalog = catalog_with_warnings(plugin_files)
    if not run.exists():
        raise GanlabError(f"{run}: no such run folder or file")
    path = run / "generator.safetensors" if run.is_dir() else run

    from torch import nn

    from ganlab.track.files import naming
    from ganlab.train import samples
    from ganlab.train.export import read_generator

    place = _device(device)
    saved = read_generator(path, catalog)
    inputs = None
    if saved.system.samples_from_reals:
        inputs, available = _reals(run, saved, folder, catalog)
        num = min(num or available or 64, available or num or 64)
    elif folder is not None:
        raise GanlabError(f"--from {folder}: this generator makes images from latents alone; leave --from out")
    num = num or 64
    network = saved.network.to(place)
    if isinstance(saved.system, nn.Module):
        saved.system.to(place)
    latents, labels, columns = _inputs(saved, seed, num, wanted=wanted, rows_of_classes=grid)
    if truncation is not None:
        latents = samples.truncated(latents, truncation)
    images = samples.generate(
        network, latents, labels, resolution=saved.resolution, fade=saved.fade, system=saved.system, inputs=inputs
    )
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    if grid:
        samples.save_grid(images, out / "grid.png", columns=columns)
        click.echo(f"{out / 'grid.png'}: {len(images)} images of {saved.resolution}x{saved.resolution}")
        return
    for number, image in enumerate(images):
        samples.save_png(image, out / f"{number:06d}.png")
    click.echo(f"{out}: {num} images of {saved.resolution}x{saved.resolution}, {0:06d}.png to {num - 1:06d}.png")


def _inputs(
    saved: SavedGenerator, seed: int, num: int, *, wanted: str | None, rows_of_classes: bool
) -> tuple[Tensor, Tensor | None, int | None]:
    """Latents and labels of the images asked for, and the columns of a grid of them. Raises `GanlabError`."""
    import torch

    from ganlab.train import samples
    from ganlab.train.classes import class_grid, class_number

    label_size = saved.images.label_size
    if wanted is not None and not label_size:
        raise GanlabError(f"--class {wanted}: the generator was trained without classes; leave --class out")
    if wanted is None and rows_of_classes:
        return class_grid(seed, num, saved.network.latent_size, label_size, "generate")
    labels = samples.sample_labels(num, label_size)
    if wanted is not None:
        try:
            number = class_number(wanted, saved.label_names, label_size)
        except GanlabError as error:
            raise GanlabError(f"--class {wanted}: {error}") from None
        labels = torch.eye(label_size)[[number] * num]
    return samples.sample_latents(seed, num, saved.network.latent_size, "generate"), labels, None


def _reals(run: Path, saved: SavedGenerator, folder: Path | None, catalog: Catalog) -> tuple[Inputs, int | None]:
    """The real images that samples are made from, and how many there are; None for the run's data, which begin anew.

    Raises `GanlabError` where there are none.
    """
    import torch

    from ganlab.data.folder import folder_images
    from ganlab.data.reals import network_reals
    from ganlab.recipe import load_recipe
    from ganlab.train.domains import SampledReals, domains_of

    if folder is not None:
        images = torch.from_numpy(folder_images(folder, saved.images.channels, saved.resolution))

        def from_folder(start: int, stop: int) -> Tensor:
            # Every domain is given: which one a sample is made from is the system's own affair.
            fade = None if saved.fade >= 1 else torch.tensor(saved.fade)
            return network_reals(images[start:stop], fade=fade).repeat(1, saved.domains, 1, 1)

        return from_folder, len(images)
    if not run.is_dir():
        raise GanlabError(f"{run}: it makes images from real ones; name a run folder, or give a folder with --from")
    recipe = load_recipe(run / "recipe.toml", (), catalog).recipe
    domains = domains_of(recipe.data.source.build())
    return SampledReals(domains, saved.resolution, saved.fade, recipe.data.blend), None


def _device(name: str) -> torch.device:
    """The device of --device, which takes what `run.device` takes. Raises `GanlabError`."""
    from ganlab.recipe.schema import RunTable
    from ganlab.train.devices import choose_device

    try:
        return choose_device(RunTable(images=1, device=name).device)
    except (GanlabError, ValueError) as error:
        raise GanlabError(f"--device: {str(error).removeprefix('run.').removeprefix('device: ')}") from error
