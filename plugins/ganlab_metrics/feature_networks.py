"""The parameters of the feature networks. torch and the networks are imported only when they are built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.parameters import parameter

if TYPE_CHECKING:
    from ganlab.interfaces import FeatureExtractor

Device = Literal["auto", "cpu", "cuda"]
DEVICE_HELP = "Where it computes: auto takes CUDA where there is some, else the CPU."


@attrs.frozen
class InceptionV3:
    """The Inception-v3 of published FIDs: the TensorFlow network of 2015-12-05 in torch-fidelity's conversion.

    Features `[N, 2048]` are the last average pooling; logits `[N, 1008]` are without bias, as in published inception
    scores. Images are resized to 299x299 by TensorFlow 1's bilinear filter, which is not antialiased and takes pixel
    corners for their centres. Nothing is downloaded. Sources: Szegedy et al. 2016; Heusel et al. 2017; Parmar et al.
    2022 on what the filter does to results.
    """

    weights: Path | None = parameter(
        None,
        help="File with torch-fidelity's weights; by default the one that torch-fidelity keeps among torch hub's "
        "checkpoints.",
    )
    device: Device = parameter("auto", help=DEVICE_HELP)

    def build(self) -> FeatureExtractor:
        """Loads the weights; raises `GanlabError` where torch-fidelity or the file is missing or does not fit."""
        from .inception import load

        return load(self.weights, self.device)


@attrs.frozen
class EfficientNetLite0:
    """EfficientNet-Lite0, trained on ImageNet: features `[N, 1280]` of the last average pooling, logits `[N, 1000]`.

    Both code and weights are packages, so that it works offline; its distances are comparable with each other only,
    not with FIDs. Images are resized to 224x224 by an antialiased bicubic filter. Source: Tan & Le 2019, and the Lite
    variants of its authors' program.
    """

    device: Device = parameter("auto", help=DEVICE_HELP)

    def build(self) -> FeatureExtractor:
        """Loads the weights; raises `GanlabError` where the packages are missing."""
        from .efficientnet import load

        return load(self.device)
