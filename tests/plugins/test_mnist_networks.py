from __future__ import annotations

from typing import Any

import pytest
import torch

from ganlab.errors import GanlabError
from ganlab_layers.components import Empty, MinibatchStddev
from ganlab_layers.resampling import downscale, upscale
from ganlab_networks.mnist import MnistDiscriminator, MnistGenerator
from ganlab_normalizations.components import Batch
from ganlab_normalizations.scaling_components import NoScaling

from .networks import build, normal


def generator(**changes: Any) -> MnistGenerator:
    return MnistGenerator(**{"normalization": Batch(), "weight_scaling": NoScaling()} | changes)


def discriminator(**changes: Any) -> MnistDiscriminator:
    return MnistDiscriminator(**{"normalization": Batch(), "weight_scaling": NoScaling(), "stddev": Empty()} | changes)


@pytest.mark.parametrize("resolution", [4, 8, 16, 32])
def test_images_of_every_level_are_made_and_judged(resolution: int) -> None:
    g, d = build(generator(), resolution=32), build(discriminator(stddev=MinibatchStddev()), resolution=32)
    images = g(normal(4, 64), resolution=resolution, fade=torch.tensor(0.5))
    assert images.shape == (4, 3, resolution, resolution)
    assert images.abs().max() < 1
    gradient = torch.func.grad(lambda x: d(x, fade=torch.tensor(0.5)).scores.sum())(images)
    assert torch.isfinite(gradient).all()
    assert d(images).label_logits is None
    assert list(d.noise_channels(resolution)) == []


def test_a_fade_runs_between_levels() -> None:
    g, d = build(generator(), resolution=16).eval(), build(discriminator(), resolution=16)
    latents = normal(4, 64)
    zero = torch.tensor(0.0)
    images = g(latents, resolution=16, fade=zero)
    torch.testing.assert_close(images, upscale(g(latents, resolution=8)))
    torch.testing.assert_close(d(images, fade=zero).scores, d(downscale(images)).scores)


def test_the_discriminator_shrinks_with_its_divisor() -> None:
    counts = [
        sum(p.numel() for p in build(discriminator(width_divisor=k), resolution=32).parameters()) for k in (1, 2, 4)
    ]
    assert counts == sorted(counts, reverse=True)
    assert build(discriminator(width_divisor=4), resolution=32).blocks["32x32"].out_channels == 64 // 8 // 4


def test_without_growth_only_the_full_resolution_is_there() -> None:
    g, d = (
        build(generator(progressive=False), resolution=16),
        build(discriminator(progressive=False), resolution=16),
    )
    grown = build(generator(), resolution=16)
    grown.load_state_dict(g.state_dict(), strict=False)
    latents = normal(4, 64)
    images = g(latents, resolution=16)
    torch.testing.assert_close(images, grown(latents, resolution=16))
    assert list(g.to_rgb) == ["16x16"]
    assert list(d.from_rgb) == []
    assert d(images).scores.shape == (4,)
    with pytest.raises(GanlabError, match="16x16 only"):
        g(latents, resolution=8)
    with pytest.raises(GanlabError, match="16x16 only"):
        d(images, fade=torch.tensor(0.5))


def test_labels_and_too_small_images_are_refused() -> None:
    for component in (generator(), discriminator()):
        with pytest.raises(GanlabError, match="no labels"):
            build(component, label_size=3)
    with pytest.raises(GanlabError, match="8x8 or more"):
        build(discriminator(), resolution=4)
    with pytest.raises(GanlabError, match="no features for stage 3"):
        build(generator(fmap_base=4), resolution=32)
