"""The averaged generator as a file of its own, and back: what `ganlab generate` and MLflow's model are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from ganlab.errors import RunError
from ganlab.interfaces import ImageShape
from ganlab.plugins import Catalog, load_plugins
from ganlab.train.tensors import read_header, read_tensors, write_tensors

FORMAT = "ganlab-generator/1"


@attrs.frozen
class SavedGenerator:
    """A generator read from a file, and the level at which its training stood."""

    network: Any
    """An `nn.Module` called as `ganlab.interfaces.Generator`, in evaluation mode."""
    images: ImageShape
    resolution: int
    fade: float
    images_shown: int


def save_generator(
    path: Path,
    network: nn.Module,
    component: dict[str, Any],
    images: ImageShape,
    *,
    resolution: int,
    fade: float,
    images_shown: int,
) -> None:
    """Write weights (safetensors) with, in the header, the recipe's table that rebuilds the network."""
    header = {
        "format": FORMAT,
        "generator": component,
        "images": attrs.asdict(images),
        "resolution": resolution,
        "fade": fade,
        "images_shown": images_shown,
    }
    write_tensors(path, network.state_dict(), header)


def read_generator(path: Path, catalog: Catalog | None = None) -> SavedGenerator:
    """Rebuild a generator from `save_generator`'s file. Raises `RunError` naming the file, or `RecipeError`."""
    header, weights = read_header(path, FORMAT), read_tensors(path)
    images = ImageShape(**header["images"])
    catalog = load_plugins() if catalog is None else catalog
    network = catalog.create("network", header["generator"]).build(images)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(f"{path} does not fit its own network: {str(error).splitlines()[-1].strip()}") from error
    network.eval().requires_grad_(False)
    return SavedGenerator(network, images, header["resolution"], header["fade"], header["images_shown"])


class _AtLevel(nn.Module):
    """A generator fixed at a level, so that it needs latents only and can be exported as a graph."""

    def __init__(self, saved: SavedGenerator) -> None:
        super().__init__()
        self.network = saved.network
        self.resolution = saved.resolution
        self.register_buffer("fade", None if saved.fade >= 1 else torch.tensor(saved.fade))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.network(latents, labels, resolution=self.resolution, fade=self.fade)
        return images


def load_generator(folder: Path, catalog: Catalog | None = None) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A run's generator as a module `latents (, labels) -> images` `[N, C, R, R]`, and example inputs for it."""
    saved = read_generator(Path(folder) / "generator.safetensors", catalog)
    latents = torch.zeros(2, saved.network.latent_size)
    labels = (torch.eye(saved.images.label_size)[[0, 0]],) if saved.images.label_size else ()
    return _AtLevel(saved).eval(), (latents, *labels)
