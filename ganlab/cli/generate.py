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


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the PNGs (made if needed).")
@click.option("--num", default=64, show_default=True, type=click.IntRange(min=1), help="How many images.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Equal seeds give equal images.")
@click.option(
    "--truncation",
    type=click.FloatRange(min=0, min_open=True),
    help="Draw latents within this many standard deviations.",
)
@click.option("--grid", is_flag=True, help="One picture with all images, instead of one each.")
@click.option(
    "--label",
    type=click.IntRange(min=0),
    help="Class of all images, where the generator has labels; default: all in turn.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@plugin_option
def generate(
    run: Path,
    out: Path,
    num: int,
    seed: int,
    truncation: float | None,
    grid: bool,
    label: int | None,
    device: str,
    plugin_files: tuple[Path, ...],
) -> None:
    """Write images of a trained generator.

    RUN is a run folder, whose averaged generator is taken, or a generator.safetensors.

    \b
    ganlab generate runs/pggan/20261121-120000 --out images --num 64
    ganlab generate runs/pggan/20261121-120000 --out images --num 100 --grid --seed 7
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    if truncation is not None and not math.isfinite(truncation):
        raise GanlabError(f"--truncation {truncation}: expected a number of standard deviations, such as 0.7")
    catalog = catalog_with_warnings(plugin_files)
    if not run.exists():
        raise GanlabError(f"{run}: no such run folder or file")
    path = run / "generator.safetensors" if run.is_dir() else run

    from ganlab.track.files import naming
    from ganlab.train import samples
    from ganlab.train.export import read_generator

    place = _device(device)
    saved = read_generator(path, catalog)
    network = saved.network.to(place)
    latents = samples.sample_latents(seed, num, network.latent_size, "generate")
    if truncation is not None:
        latents = samples.truncated(latents, truncation)
    labels = samples.sample_labels(num, saved.images.label_size)
    if label is not None:
        if not saved.images.label_size:
            raise GanlabError(f"--label {label}: the generator was trained without classes; leave --label out")
        if label >= saved.images.label_size:
            raise GanlabError(f"--label {label}: the generator has {saved.images.label_size} classes, counted from 0")
        assert labels is not None
        labels = labels[[label] * num]
    images = samples.generate(network, latents, labels, resolution=saved.resolution, fade=saved.fade)
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    if grid:
        samples.save_grid(images, out / "grid.png")
        click.echo(f"{out / 'grid.png'}: {num} images of {saved.resolution}x{saved.resolution}")
        return
    for number, image in enumerate(images):
        samples.save_png(image, out / f"{number:06d}.png")
    click.echo(f"{out}: {num} images of {saved.resolution}x{saved.resolution}, {0:06d}.png to {num - 1:06d}.png")


def _device(name: str) -> torch.device:
    """The device of --device, which takes what `run.device` takes. Raises `GanlabError`."""
    from ganlab.recipe.schema import RunTable
    from ganlab.train.devices import choose_device

    try:
        return choose_device(RunTable(images=1, device=name).device)
    except (GanlabError, ValueError) as error:
        raise GanlabError(f"--device: {str(error).removeprefix('run.device: ')}") from error
