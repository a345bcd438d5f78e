"""Inception-v3 through torch-fidelity, whose network equals the TensorFlow one behind published figures.

torch-fidelity would download missing weights, and would unpickle whatever a file holds. Here a file is found and read
first, as plain tensors, and torch-fidelity is given those only.
"""

from __future__ import annotations

import importlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import GanlabError

from .torch_features import TorchExtractor, choose_device

FILE = "weights-inception-2015-12-05-6726825d.pth"
HOW_TO_GET = (
    "nothing is downloaded here: let torch-fidelity fetch them once where there is a network (it is a release file "
    "of that project), and copy the file, or set `weights` to where it is"
)


def load(weights: Path | None, device: str) -> TorchExtractor:
    """The network with these weights (None: torch-fidelity's own file). Raises `GanlabError` naming what is missing."""
    place = choose_device(device)
    try:
        network = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise GanlabError(
            f"inception-v3: needs torch-fidelity, which cannot be imported ({error}): pip install 'ganlab[fidelity]'"
        ) from None
    file = weights if weights is not None else Path(torch.hub.get_dir(), "checkpoints", FILE)
    if not file.is_file():
        raise GanlabError(f"inception-v3: {file}: there are no weights; {HOW_TO_GET}")
    plain = io.BytesIO()
    torch.save(_tensors(file), plain)
    plain.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # its layers draw initial weights before they are given these
            module = network.FeatureExtractorInceptionV3(
                "ganlab", ["2048", "logits_unbiased"], feature_extractor_weights_path=plain
            )
    except RuntimeError as error:
        first = str(error).strip().splitlines()
        raise GanlabError(f"inception-v3: {file}: not torch-fidelity's weights ({' '.join(first[:2])})") from None

    def compute(images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = module(images)
        return features, logits

    facts = {
        "name": "inception-v3",
        "input_size": int(module.INPUT_IMAGE_SIZE),
        "resize_filter": "bilinear of TensorFlow 1, not antialiased",
    }
    return TorchExtractor(module, compute, device=place, feature_size=2048, facts=facts)


def _tensors(file: Path) -> dict[str, Tensor]:
    """The state in a file, which is refused unless it is tensors by name."""
    try:
        state: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise GanlabError(f"inception-v3: {file}: cannot be read as weights ({' '.join(reason)})") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise GanlabError(f"inception-v3: {file}: does not hold tensors by name")
    return state
