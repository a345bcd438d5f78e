"""The image sets of the metrics' reference numbers, made by the recipe in the README of the data, not stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]


def image_set(recipe: Mapping[str, Any]) -> Images:
    """The set that an entry of `notes` describes, uint8 `[n, 3, res, res]`, checked against its sha256."""
    assert recipe["recipe"] == "make_images", f"unknown recipe {recipe['recipe']}"
    arguments = {key: recipe[key] for key in ("levels", "amp", "base") if key in recipe}
    images = make_images(recipe["seed"], recipe["n"], recipe["res"], **arguments)
    noise = recipe.get("pair_noise", 0)
    if noise:
        random = np.random.default_rng(recipe["seed"] + 1)
        for j in range(0, len(images), 2):
            changed = images[j] + random.integers(-noise, noise + 1, images[j].shape)
            images[j + 1] = np.clip(changed, 0, 255)
    assert list(images.shape) == list(recipe["shape"])
    assert hashlib.sha256(images.tobytes()).hexdigest() == recipe["sha256"], "the recipe gave other images"
    for name in ("mean", "std"):
        if name in recipe:
            assert abs(float(getattr(images, name)()) - recipe[name]) < 1e-6
    return images


def make_images(
    seed: int,
    n: int,
    res: int,
    levels: Sequence[int] = (4, 8, 16, 32, 64),
    amp: Sequence[int] = (30, 26, 22, 18, 14),
    base: int = 128,
) -> Images:
    """Noise of several scales, smoothed; whole numbers only, so that every machine makes the same images."""
    random = np.random.default_rng(seed)
    total = np.zeros((n, 3, res, res), np.int64)
    for size, amplitude in zip(levels, amp, strict=False):
        if size > res:
            break
        noise = random.integers(-amplitude, amplitude + 1, size=(n, 3, size, size))
        total += noise.repeat(res // size, axis=2).repeat(res // size, axis=3)
        total = (total + np.roll(total, 1, axis=3)) // 2 + (total + np.roll(total, 1, axis=2)) // 2
        total = np.clip(total, -400, 400)
    return np.clip(base + total // 2, 0, 255).astype(np.uint8)
