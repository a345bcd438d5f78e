"""What feature networks that are torch modules have in common: batches, precision, device and digest.

Images go through a network in batches of one fixed size, the last one filled up, with the same kernels each time, so
that an image's features do not depend on what else was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Features

from .images import Images, as_rgb

Compute: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""uint8 `[B, 3, H, W]` -> features `[B, feature_size]`, logits `[B, classes]`."""

IMAGES_AT_ONCE = 32


class TorchExtractor:
    """A `FeatureExtractor` around a module whose weights are loaded."""

    def __init__(
        self, module: nn.Module, compute: Compute, *, device: torch.device, feature_size: int, facts: Mapping[str, Any]
    ) -> None:
        self._module = module.eval().requires_grad_(False).to(device, torch.float32)
        self._compute = compute
        self._device = device
        self.feature_size = feature_size
        self._facts = dict(facts)
        self.digest = _digest(module, self._facts)

    def facts(self) -> Mapping[str, Any]:
        return self._facts | {"feature_size": self.feature_size, "digest": self.digest}

    def computed_with(self) -> Mapping[str, Any]:
        """What may change the last digits of features: torch, the device, and the number of CPU threads."""
        return computed_with(self._device)

    def __call__(self, images: Images) -> Features:
        """Features and logits in float32. Raises `GanlabError` for images that are neither grey nor RGB."""
        rgb = as_rgb(images)
        features = np.empty((len(rgb), self.feature_size), np.float32)
        logits: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        for start in range(0, len(rgb), IMAGES_AT_ONCE):
            part = rgb[start : start + IMAGES_AT_ONCE]
            filled = np.zeros((IMAGES_AT_ONCE, *rgb.shape[1:]), np.uint8)
            filled[: len(part)] = part
            found, scores = self._computed(torch.from_numpy(filled))
            features[start : start + len(part)] = found[: len(part)].cpu().numpy()
            logits.append(scores[: len(part)].cpu().numpy())
        classes = logits[0].shape[1] if logits else 0
        return Features(features, np.concatenate(logits) if logits else np.empty((0, classes), np.float32))

    def _computed(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        kernels = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False), kernels:
            return self._compute(batch.to(self._device))


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`. Raises `GanlabError` if it is not there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise GanlabError(f"device: torch {torch.__version__} sees no CUDA device; use 'auto' or 'cpu'")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def computed_with(device: torch.device) -> Mapping[str, Any]:
    """What may change the last digits of a result, as plain data, for keys of `ganlab.cache`."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": str(torch.__version__), "device": hardware, "threads": torch.get_num_threads()}


def _digest(module: nn.Module, facts: Mapping[str, Any]) -> str:
    """SHA-256 of the facts and of every tensor's name, type, shape and bytes, in the order of names."""
    found = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode())
    for name, tensor in sorted(module.state_dict().items()):
        array = tensor.cpu().contiguous().numpy()
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
