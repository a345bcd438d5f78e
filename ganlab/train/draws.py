"""The random numbers of a step, drawn on the CPU as pure functions of (seed, purpose, images shown) and handed in.

They are drawn for the whole minibatch, so that they do not depend on the device or on how the batch is divided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.randomness import generator


@attrs.frozen
class Draws:
    """Random tensors of one pass, on the training device."""

    latents: Tensor
    """`[N, latent_size]`, standard normal."""
    mixing_factors: Tensor
    """`[N, 1, 1, 1]`, uniform in [0, 1)."""
    noise: Mapping[str, Sequence[Tensor]]
    """For each evaluation of the discriminator ("reals", "fakes", "mixed"), `[N, channels]` for each noise layer."""


def draw_pass(
    seed: int,
    purpose: str,
    images_shown: int,
    *,
    minibatch: int,
    latent_size: int,
    noise_channels: Sequence[int],
    device: torch.device,
    rows: npt.NDArray[np.int64] | None = None,
) -> Draws:
    """The draws of the pass `purpose` ("discriminator" or "generator") that begins at `images_shown`.

    With `rows` only those of these samples of the minibatch, in that order.
    """
    own = slice(None) if rows is None else rows

    def normal(name: str, width: int) -> npt.NDArray[np.float32]:
        source = generator(seed, f"{purpose}/{name}", images_shown)
        return source.standard_normal((minibatch, width), dtype=np.float32)[own]

    factors = generator(seed, f"{purpose}/mixing", images_shown).random((minibatch, 1, 1, 1), dtype=np.float32)[own]
    noise: dict[str, Sequence[Tensor]] = {}
    for evaluation in ("reals", "fakes", "mixed"):
        if noise_channels:
            values = torch.from_numpy(normal(f"noise/{evaluation}", sum(noise_channels)))
            noise[evaluation] = torch.split(on_device(values, device), list(noise_channels), dim=1)
        else:
            noise[evaluation] = ()
    return Draws(
        latents=on_device(torch.from_numpy(normal("latents", latent_size)), device),
        mixing_factors=on_device(torch.from_numpy(factors), device),
        noise=noise,
    )


def on_device(values: Tensor, device: torch.device) -> Tensor:
    """To the device; to a GPU without waiting for it."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
