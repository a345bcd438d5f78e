"""Metrics of generated images, and the networks that some of them look through."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_metrics(register: ganlab.Register) -> None:
    """Offer what the progressive GAN paper measures, and distances between features."""
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
    register(
        "frechet-distance",
        "ganlab_metrics.feature_components:FrechetDistance",
        summary="Distance of two Gaussians fitted to the features of reals and fakes; FID with inception-v3",
    )
    register(
        "kid",
        "ganlab_metrics.feature_components:KernelDistance",
        summary="Kernel distance of the features of reals and fakes, unbiased for any number of images",
    )
    register(
        "precision-recall",
        "ganlab_metrics.feature_components:PrecisionRecall",
        summary="Share of fakes that look real, and of reals that the generator reaches, by nearest neighbours",
    )
    register(
        "inception-score",
        "ganlab_metrics.feature_components:InceptionScore",
        summary="How sure a classifier is of each fake, and how varied its answers are; reals are not looked at",
    )
    register(
        "mnist-modes",
        "ganlab_metrics.mode_components:MnistModes",
        summary="How many of 10 digits, or of 1000 stacked triples, are generated, and how unevenly",
    )


@ganlab.hookimpl
def register_feature_networks(register: ganlab.Register) -> None:
    """Offer networks trained on photographs."""
    register(
        "inception-v3",
        "ganlab_metrics.feature_networks:InceptionV3",
        summary="The network of published FIDs, 2048 features; needs ganlab[fidelity] and a file of weights",
    )
    register(
        "efficientnet-lite0",
        "ganlab_metrics.feature_networks:EfficientNetLite0",
        summary="A small network, 1280 features, whose weights come with ganlab[efficientnet]; works offline",
    )
