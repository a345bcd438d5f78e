"""Between bytes and network values: range conversion, mirroring and the fade of real images, on their own device.

Images travel as uint8 and are turned into floats here, by pure functions that never wait for the device, so that a
training step that includes them can be compiled and captured.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Blend = Literal["float", "bytes", "none"]

MIRRORED = 0.5
"""A sample is mirrored where its uniform draw is so much or more."""


def network_reals(
    images_u8: Tensor, *, mirror: Tensor | None = None, fade: Tensor | None = None, blend: Blend = "float"
) -> Tensor:
    """uint8 `[N, C, R, R]` -> float32 of the same shape in [-1, 1], as the discriminator expects at resolution R.

    The memory format is kept: channels-last images give channels-last reals.
    `mirror`, `[N]` (or anything with N elements), flips sample i left to right where it is true, or where it is a
    uniform draw of 0.5 or more; None flips nothing. `fade` in [0, 1], 0-d or `[N]`, is the weight of the images
    against their own 2x2-averaged and doubled copy, so that reals gain detail as the networks do; None means 1.
    `blend` says how: "float" after the range conversion (the authors' TensorFlow program), "bytes" before it with
    truncation to whole bytes (their Theano program), "none" not at all (the common ports).
    """
    if mirror is not None:
        flips = mirror if mirror.dtype == torch.bool else mirror >= MIRRORED
        images_u8 = torch.where(flips.reshape(-1, 1, 1, 1), images_u8.flip(-1), images_u8)
    if blend == "bytes" and fade is not None:
        images_u8 = faded_bytes(images_u8, fade)
    reals = images_u8.to(torch.float32).mul_(2.0 / 255.0).sub_(1.0)
    if blend == "float" and fade is not None:
        # Sums and products by themselves round alike wherever a sample stands, which lerp does not promise.
        blocks, weight = _blocks(reals), _each(1.0 - fade).to(reals.dtype)
        means = _means(blocks)
        for rows in (blocks[:, :, :, :1], blocks[:, :, :, 1:]):  # longer loops than over both
            rows.add_((means - rows).mul_(weight))
    return reals


def faded_bytes(images_u8: Tensor, fade: Tensor) -> Tensor:
    """uint8 `[N, C, R, R]` blended with its 2x2-averaged and doubled copy, truncated to uint8; `fade` 0-d or `[N]`.

    In float64 the blend of bytes is exact before the truncation. Apple's devices have none, and float32 may there
    give a byte one lower.
    """
    precise = torch.float32 if images_u8.device.type == "mps" else torch.float64
    faded = images_u8.to(precise)
    blocks = _blocks(faded)
    blocks += (_means(blocks) - blocks) * _each(1.0 - fade.to(precise))
    return faded.to(torch.uint8)


def to_bytes(images: Tensor, *, shrink: int = 1) -> Tensor:
    """Network output `[N, C, H, W]`, about [-1, 1], -> uint8 by x * 127.5 + 127.5, half to even, saturated.

    `shrink` averages blocks of so many pixels on a side before rounding.
    """
    images = images.to(torch.float32)
    if shrink > 1:
        images = F.avg_pool2d(images, shrink)
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def _blocks(images: Tensor) -> Tensor:
    """A view `[N, C, H / 2, 2, W / 2, 2]` of `[N, C, H, W]`, whatever its memory format."""
    count, channels, height, width = images.shape
    return images.view(count, channels, height // 2, 2, width // 2, 2)


def _each(weights: Tensor) -> Tensor:
    """Weights of samples, as blocks are multiplied by them; a single weight as it is."""
    return weights.reshape(-1, 1, 1, 1, 1, 1) if weights.ndim else weights


def _means(blocks: Tensor) -> Tensor:
    """The mean of each block at both its columns, `[N, C, H / 2, 1, W / 2, 2]`.

    Plain sums: pooling wakes up threads, which for a few small images takes longer than the work.
    """
    means = blocks[:, :, :, :1] + blocks[:, :, :, 1:]
    left, right = means[..., :1], means[..., 1:]
    left.add_(right).mul_(0.25)
    right.copy_(left)
    return means
