"""Pictures from a generator: always the same latents for a seed, so that grids of different moments can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ganlab.data.grid import image_grid
from ganlab.data.reals import to_bytes
from ganlab.randomness import generator as random_generator
from ganlab.track.files import replacing

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
    network: Any, latents: Tensor, labels: Tensor | None, *, resolution: int, fade: float
) -> npt.NDArray[np.uint8]:
    """uint8 `[N, C, resolution, resolution]` from `latents`, in small batches, on the network's device."""
    parameter = next(network.parameters())
    weight = None if fade >= 1 else torch.tensor(fade, dtype=torch.float32, device=parameter.device)
    images = []
    for start in range(0, len(latents), BATCH):
        part = slice(start, start + BATCH)
        some_labels = None if labels is None else labels[part].to(parameter.device)
        out = network(latents[part].to(parameter.device), some_labels, resolution=resolution, fade=weight)
        images.append(to_bytes(out).cpu().numpy())
    return np.concatenate(images)


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
