"""The averaged generator as a file of its own, and back: what `ganlab generate` and MLflow's model are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from ganlab.errors import RunError
from ganlab.interfaces import BuiltSystem, ImageShape
from ganlab.plugins import Catalog, load_plugins
from ganlab.train.tensors import read_header, read_tensors, write_tensors

FORMAT = "ganlab-generator/1"


@attrs.frozen
class SavedGenerator:
    """A generator read from a file, and the level at which its training stood."""

    network: Any
    """All generators of the system, in evaluation mode; in one of one pair a `ganlab.interfaces.Generator`."""
    system: BuiltSystem
    domains: int
    """Data sets that are shown side by side."""
    images: ImageShape
    resolution: int
    fade: float
    images_shown: int
    label_names: tuple[str, ...] = ()
    """Of the classes 0, 1, ...; empty where they have none."""


def save_generator(
    path: Path,
    network: nn.Module,
    tables: Mapping[str, Any],
    images: ImageShape,
    *,
    resolution: int,
    fade: float,
    images_shown: int,
    label_names: Sequence[str] = (),
) -> None:
    """Write weights (safetensors) with, in the header, the recipe's tables `generator` and `system` that rebuild it."""
    header = {
        "format": FORMAT,
        "generator": tables["generator"],
        "system": tables["system"],
        "images": attrs.asdict(images),
        "resolution": resolution,
        "fade": fade,
        "images_shown": images_shown,
        "label_names": list(label_names),
    }
    write_tensors(path, network.state_dict(), header)


def read_generator(path: Path, catalog: Catalog | None = None) -> SavedGenerator:
    """Rebuild a generator from `save_generator`'s file. Raises `RunError` naming the file, or `RecipeError`."""
    header, weights = read_header(path, FORMAT), read_tensors(path)
    images = ImageShape(**header["images"])
    catalog = load_plugins() if catalog is None else catalog
    component = catalog.create("system", header.get("system", "pair"))  # files of before there were systems name none
    system = component.build(images)
    network = system.generators(catalog.create("network", header["generator"]))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{path} does not fit its own network: {str(error).splitlines()[-1].strip()}") from error
    network.eval().requires_grad_(False)
    return SavedGenerator(
        network=network,
        system=system,
        domains=component.domains,
        images=images,
        resolution=header["resolution"],
        fade=header["fade"],
        images_shown=header["images_shown"],
        label_names=tuple(header.get("label_names", ())),
    )


class _AtLevel(nn.Module):
    """A system's generators fixed at a level, so that they need inputs only and can be exported as a graph."""

    fade: Tensor | None

    def __init__(self, saved: SavedGenerator) -> None:
        super().__init__()
        self.network = saved.network
        self.system = saved.system
        self.resolution = saved.resolution
        self.register_buffer("fade", None if saved.fade >= 1 else torch.tensor(saved.fade))

    def sample(self, latents: Tensor, labels: Tensor | None, reals: Tensor | None) -> Tensor:
        return self.system.sample(self.network, latents, labels, reals, resolution=self.resolution, fade=self.fade)


class _FromLatents(_AtLevel):
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.sample(latents, labels, None)


class _FromImages(_AtLevel):
    def forward(self, reals: Tensor, latents: Tensor | None = None) -> Tensor:
        if latents is None:
            latents = reals.new_zeros(reals.shape[0], self.network.latent_size)
        return self.sample(latents, None, reals)


def load_generator(folder: Path, catalog: Catalog | None = None) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A run's generator as a module `latents (, labels) -> images` `[N, C, R, R]`, and example inputs for it.

    Where a system makes samples from real images the module is `reals (, latents) -> images`.
    """
    saved = read_generator(Path(folder) / "generator.safetensors", catalog)
    if saved.system.samples_from_reals:
        side = saved.resolution
        return _FromImages(saved).eval(), (torch.zeros(2, saved.domains * saved.images.channels, side, side),)
    latents = torch.zeros(2, saved.network.latent_size)
    labels = (torch.eye(saved.images.label_size)[[0, 0]],) if saved.images.label_size else ()
    return _FromLatents(saved).eval(), (latents, *labels)
