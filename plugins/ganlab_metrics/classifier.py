"""A small classifier of grey images, trained here on labelled ones, the same each time, and kept on disk.

Three convolutions that halve the size, each with a rectifier, then one linear layer; Adam, whose rate falls to zero.
All draws come from fixed seeds, and torch's own random state is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.cache import cached
from ganlab.errors import GanlabError
from ganlab.interfaces import ImageSet
from ganlab.randomness import generator

from .images import Images
from .torch_features import computed_with

VERSION = 1
"""Part of the key of what is kept; to be raised with any change of this file."""
CHANNELS = (1, 16, 32, 64)
MINIBATCH = 64
LEARNING_RATE = 0.002
ONE_IN = 7
"""Every so many images, one is held out and tested on: of MNIST's 70,000, as many as its own test set has."""
IMAGES_AT_ONCE = 1000


@attrs.frozen
class Classifier:
    """A trained classifier, called with uint8 `[N, R, R]`."""

    weights: Mapping[str, npt.NDArray[np.float32]]
    resolution: int
    classes: int
    accuracy: float
    """Share of the held-out images that it is right about."""
    held_out: int
    data_digest: str

    def __call__(self, images: Images) -> npt.NDArray[np.int64]:
        """The class of each image, `[N]`."""
        parameters = {name: torch.from_numpy(array) for name, array in self.weights.items()}
        return _classified(parameters, images)


def trained_on(images: ImageSet, resolution: int, epochs: int) -> Classifier:
    """The classifier of a labelled grey set. Raises `GanlabError` where the set is not that, or too small."""
    if images.channels != 1 or images.label_size < 2:
        raise GanlabError(
            f"mnist-modes: {images.name}: needs grey images with labels, these have {images.channels} channels and "
            f"{images.label_size} classes; `ganlab data pack torchvision:MNIST` makes such a set"
        )
    if resolution not in images.resolutions:
        raise GanlabError(
            f"mnist-modes: {images.name}: has no images of {resolution} pixels, the finest are of "
            f"{images.resolutions[-1]}; set `resolution` of the metric"
        )
    if images.count < ONE_IN:
        raise GanlabError(f"mnist-modes: {images.name}: {images.count} images are too few to learn from")
    key = {
        "what": "classifier of modes",
        "version": VERSION,
        "data": images.digest,
        "resolution": resolution,
        "epochs": epochs,
        **computed_with(torch.device("cpu")),
    }
    kept = dict(cached(key, lambda: _trained(images, resolution, epochs)))
    accuracy = float(kept.pop("accuracy"))
    weights = {name: array.astype(np.float32, copy=False) for name, array in kept.items()}
    held_out = len(range(ONE_IN - 1, images.count, ONE_IN))
    return Classifier(weights, resolution, images.label_size, accuracy, held_out, images.digest)


def _trained(images: ImageSet, resolution: int, epochs: int) -> Mapping[str, npt.NDArray[np.generic]]:
    """The weights, and the accuracy as a 0-d array."""
    parts = [
        range(start, min(start + IMAGES_AT_ONCE, images.count)) for start in range(0, images.count, IMAGES_AT_ONCE)
    ]
    pixels = np.concatenate([images.images(resolution, part)[:, 0] for part in parts])
    labels = np.concatenate([images.labels(part).argmax(axis=1) for part in parts])
    held_out = np.arange(images.count) % ONE_IN == ONE_IN - 1
    seen = pixels[~held_out]
    steps = -(-len(seen) // MINIBATCH) * epochs
    # A metric may be measured where gradients are off.
    with torch.inference_mode(False), torch.enable_grad():
        answers = torch.from_numpy(labels[~held_out])
        parameters = _initial(resolution, images.label_size)
        for parameter in parameters.values():
            parameter.requires_grad_()
        optimizer = torch.optim.Adam(parameters.values(), lr=LEARNING_RATE)
        step = 0
        for epoch in range(epochs):
            order = generator(0, "classifier of modes/order", epoch).permutation(len(seen))
            for start in range(0, len(order), MINIBATCH):
                chosen = order[start : start + MINIBATCH]
                optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
                optimizer.zero_grad()
                F.cross_entropy(_logits(parameters, seen[chosen]), answers[chosen]).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimizer.step()
                step += 1
    final = {name: parameter.detach() for name, parameter in parameters.items()}
    accuracy = (_classified(final, pixels[held_out]) == labels[held_out]).mean()
    arrays: dict[str, npt.NDArray[Any]] = {name: tensor.numpy() for name, tensor in final.items()}
    return arrays | {"accuracy": np.array(accuracy)}


def _initial(resolution: int, classes: int) -> dict[str, Tensor]:
    """He-normal weights and zero biases."""
    shapes = [(out, channels, 3, 3) for channels, out in pairwise(CHANNELS)]
    layers: list[tuple[int, ...]] = [*shapes, (classes, CHANNELS[-1] * (resolution // 8) ** 2)]
    parameters = {}
    for number, shape in enumerate(layers):
        normal = generator(0, "classifier of modes/weights", number).standard_normal(shape)
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        parameters[f"weight{number}"] = torch.from_numpy((normal * deviation).astype(np.float32))
        parameters[f"bias{number}"] = torch.zeros(shape[0])
    return parameters


def _logits(parameters: Mapping[str, Tensor], images: Images) -> Tensor:
    """`[N, R, R]` -> `[N, classes]`."""
    x = torch.from_numpy(images).float()[:, None] / 127.5 - 1
    last = len(CHANNELS) - 1
    for number in range(last):
        x = F.relu(F.conv2d(x, parameters[f"weight{number}"], parameters[f"bias{number}"], stride=2, padding=1))
    return F.linear(x.flatten(1), parameters[f"weight{last}"], parameters[f"bias{last}"])


def _classified(parameters: Mapping[str, Tensor], images: Images) -> npt.NDArray[np.int64]:
    with torch.no_grad():
        parts = [
            _logits(parameters, images[start : start + IMAGES_AT_ONCE]).argmax(dim=1)
            for start in range(0, len(images), IMAGES_AT_ONCE)
        ]
    found: npt.NDArray[np.int64] = torch.cat(parts).numpy()
    return found
