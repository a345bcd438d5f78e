"""Pictures from a generator: always the same latents for a seed, so that grids of different moments can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ganlab.data.grid import image_grid
from ganlab.data.reals import to_bytes
from ganlab.interfaces import BuiltSystem
from ganlab.randomness import generator as random_generator
from ganlab.track.files import replacing
from ganlab.train.domains import Inputs

BATCH = 32
VIEW_PIXELS = 512
"""Grids smaller than this are enlarged by whole factors, so that a 4x4 image can be seen at all."""


def sample_latents(seed: int, count: int, latent_size: int, purpose: str = "samples", start: int = 0) -> Tensor:
    """`[count, latent_size]`, standard normal, from sample number `start` on; number i is always the same."""
    rows = [
        random_generator(seed, purpose, number).standard_normal(latent_size, dtype=np.float32)
        for number in range(start, start + count)
    ]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, latent_size)


def truncated(latents: Tensor, limit: float) -> Tensor:
    """Standard normal draws mapped, in order, to the normal distribution cut off at +-`limit` (Brock et al. 2019)."""
    edge = torch.special.ndtr(torch.tensor(limit, dtype=torch.float64))
    uniform = torch.special.ndtr(latents.double())
    mapped = torch.special.ndtri((1 - edge) + uniform * (2 * edge - 1))
    inside: Tensor = mapped.clamp(-limit, limit).to(latents.dtype)
    return inside


def sample_labels(count: int, label_size: int) -> Tensor | None:
    """One-hot `[count, label_size]`, going round the classes; None without labels."""
    if not label_size:
        return None
    return torch.eye(label_size)[torch.arange(count) % label_size]


@torch.no_grad()
def generate(
    network: Any,
    latents: Tensor,
    labels: Tensor | None,
    *,
    resolution: int,
    fade: float,
    system: BuiltSystem | None = None,
    inputs: Inputs | None = None,
    first: int = 0,
) -> npt.NDArray[np.uint8]:
    """uint8 `[N, C, resolution, resolution]` from `latents`, in small batches, on the network's device.

    A system's samples are made by it, where it asks for real images from those that `inputs` gives for the numbers of
    the samples, of which the first is `first`.
    """
    sample = _generating(network) if system is None else partial(system.sample, network)
    return np.concatenate(list(_made(sample, network, latents, labels, resolution, fade, inputs, first)))


@torch.no_grad()
def pictures(
    network: Any,
    latents: Tensor,
    labels: Tensor | None,
    *,
    resolution: int,
    fade: float,
    system: BuiltSystem,
    inputs: Inputs | None,
) -> tuple[npt.NDArray[np.uint8], int]:
    """What a grid of a run shows: uint8 `[N * K, C, R, R]`, and K, the pictures of one sample."""
    show = getattr(system, "show", None)
    if show is None:
        images = generate(network, latents, labels, resolution=resolution, fade=fade, system=system, inputs=inputs)
        return images, 1
    made = np.concatenate(list(_made(partial(show, network), network, latents, labels, resolution, fade, inputs, 0)))
    return made.reshape(-1, *made.shape[2:]), made.shape[1]


def _generating(network: Any) -> Callable[..., Tensor]:
    def sample(latents: Tensor, labels: Tensor | None, reals: Tensor | None, **at: Any) -> Tensor:
        images: Tensor = network(latents, labels, **at)
        return images

    return sample


def _made(
    sample: Callable[..., Tensor],
    network: Any,
    latents: Tensor,
    labels: Tensor | None,
    resolution: int,
    fade: float,
    inputs: Inputs | None,
    first: int,
) -> Iterator[npt.NDArray[np.uint8]]:
    parameter = next(network.parameters())
    weight = None if fade >= 1 else torch.tensor(fade, dtype=torch.float32, device=parameter.device)
    for start in range(0, len(latents), BATCH):
        part = slice(start, start + BATCH)
        some = latents[part].to(parameter.device)
        own_labels = None if labels is None else labels[part].to(parameter.device)
        reals = None if inputs is None else inputs(first + start, first + start + len(some)).to(parameter.device)
        out = sample(some, own_labels, reals, resolution=resolution, fade=weight)
        yield bytes_of(out).cpu().numpy()


def bytes_of(images: Tensor) -> Tensor:
    """Network values of any shape `[..., C, H, W]` as uint8."""
    return to_bytes(images.flatten(0, -4)).view(images.shape)


def enlarge(images: npt.NDArray[np.uint8], resolution: int) -> npt.NDArray[np.uint8]:
    """Pixels repeated up to `resolution`, as the authors save images of coarser levels."""
    factor = max(1, resolution // images.shape[-1])
    return images.repeat(factor, axis=-1).repeat(factor, axis=-2)


def save_grid(images: npt.NDArray[np.uint8], path: Path, *, columns: int | None = None) -> None:
    """Save uint8 `[N, C, H, W]` as one PNG, enlarged by a whole factor where it would be tiny."""
    sheet = image_grid(images, columns=columns)
    factor = max(1, VIEW_PIXELS // max(sheet.shape[1:]))
    save_png(sheet.repeat(factor, axis=1).repeat(factor, axis=2), path)


def save_png(image: npt.NDArray[np.uint8], path: Path) -> None:
    """Save uint8 `[C, H, W]`, grey or RGB, as a PNG that is whole or not there."""
    picture = Image.fromarray(image[0] if image.shape[0] == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")
