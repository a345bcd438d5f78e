"""Metrics of the progressive GAN paper: sliced Wasserstein distance and multi-scale structural similarity."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_metrics(register: ganlab.Register) -> None:
    """Offer both metrics."""
    register(
        "swd",
        "ganlab_metrics.components:SlicedWasserstein",
        summary="Sliced Wasserstein distance x 1000 between patches of reals and fakes, by resolution and in the mean",
    )
    register(
        "ms-ssim",
        "ganlab_metrics.components:MultiScaleSimilarity",
        summary="Similarity of pairs of generated images: high where a generator lacks variety",
    )
