"""The random numbers of a step, drawn on the CPU as pure functions of (seed, purpose, images shown) and handed in.

They are drawn for the whole minibatch, so that they do not depend on the device or on how the batch is divided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.randomness import Streams


@attrs.frozen
class Draws:
    """Random tensors of one pass, on the training device."""

    latents: Tensor
    """`[N, latent_size]`, standard normal."""
    noise: Mapping[str, Sequence[Tensor]]
    """For each evaluation of the discriminator ("reals", "fakes", "mixed"), `[N, channels]` for each noise layer."""
    uniform: Mapping[str, Tensor] = attrs.field(factory=dict)
    """In [0, 1): "mixing", `[N, 1, 1, 1]`, where discriminators learn; where needed, `[N, k]` for the augmentation of
    "reals" and "fakes", and the system's "chances"."""
    others: Mapping[str, Draws] = attrs.field(factory=dict)
    """Where there are several pairs, those of each by its name, without latents."""

    def of(self, pair: str) -> Draws:
        """Those of a pair."""
        return self.others.get(pair, self)

    def each(self, change: Callable[[Tensor], Tensor]) -> Draws:
        """With every tensor replaced."""
        return Draws(
            latents=change(self.latents),
            noise={name: [change(values) for values in tensors] for name, tensors in self.noise.items()},
            uniform={name: change(values) for name, values in self.uniform.items()},
            others={name: draws.each(change) for name, draws in self.others.items()},
        )

    def tensors(self) -> list[Tensor]:
        """All of them, in a fixed order."""
        noise = [values for tensors in self.noise.values() for values in tensors]
        others = [values for draws in self.others.values() for values in draws.tensors()]
        return [self.latents, *noise, *self.uniform.values(), *others]


@attrs.frozen
class Wanted:
    """How many random numbers a pair needs for each sample."""

    noise_channels: Sequence[int] = ()
    augmentation: int = 0


def draw_pass(
    streams: Streams,
    purpose: str,
    images_shown: int,
    *,
    minibatch: int,
    latent_size: int,
    noise_channels: Sequence[int],
    device: torch.device,
    rows: npt.NDArray[np.int64] | None = None,
    augmentation: int = 0,
    chances: int = 0,
) -> Draws:
    """The draws of the pass `purpose` ("discriminator" or "generator", or "PLAYER/PAIR") that begins at `images_shown`.

    With `rows` only those of these samples of the minibatch, in that order.
    """
    own = slice(None) if rows is None else rows

    def normal(name: str, width: int) -> npt.NDArray[np.float32]:
        source = streams.at(f"{purpose}/{name}", images_shown)
        return source.standard_normal((minibatch, width), dtype=np.float32)[own]

    def uniform(name: str, *shape: int) -> Tensor:
        source = streams.at(f"{purpose}/{name}", images_shown)
        return on_device(torch.from_numpy(source.random((minibatch, *shape), dtype=np.float32)[own]), device)

    uniforms = {name: uniform(f"augmentation/{name}", augmentation) for name in ("reals", "fakes") if augmentation}
    if chances:
        uniforms["chances"] = uniform("chances", chances)
    if purpose.startswith("discriminator"):
        uniforms["mixing"] = uniform("mixing", 1, 1, 1)
    noise: dict[str, Sequence[Tensor]] = {}
    for evaluation in ("reals", "fakes", "mixed"):
        if noise_channels:
            values = torch.from_numpy(normal(f"noise/{evaluation}", sum(noise_channels)))
            noise[evaluation] = torch.split(on_device(values, device), list(noise_channels), dim=1)
        else:
            noise[evaluation] = ()
    return Draws(
        latents=on_device(torch.from_numpy(normal("latents", latent_size)), device),
        noise=noise,
        uniform=uniforms,
    )


def draw_pairs(
    streams: Streams,
    purpose: str,
    images_shown: int,
    *,
    minibatch: int,
    latent_size: int,
    chances: int,
    wanted: Mapping[str, Wanted],
    device: torch.device,
    rows: npt.NDArray[np.int64] | None = None,
) -> Draws:
    """The draws of a pass for every pair, by its name; a single one has the name ""."""
    drawn = {}
    for pair, numbers in {**({} if "" in wanted else {"": Wanted()}), **wanted}.items():
        drawn[pair] = draw_pass(
            streams,
            f"{purpose}/{pair}".rstrip("/"),
            images_shown,
            minibatch=minibatch,
            latent_size=0 if pair else latent_size,
            noise_channels=numbers.noise_channels,
            device=device,
            rows=rows,
            augmentation=numbers.augmentation,
            chances=0 if pair else chances,
        )
    common = drawn.pop("")
    return attrs.evolve(common, others=drawn) if drawn else common


def on_device(values: Tensor, device: torch.device) -> Tensor:
    """To the device; to a GPU without waiting for it."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
