"""Every layer's output under its TensorFlow name, all levels computed and blended as in that program's "linear" graph.

Our networks leave out the levels that a fade does not need; here their modules are put together the other way.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab_layers.fade import fade_in
from ganlab_layers.resampling import downscale, upscale
from ganlab_networks.features import level_name
from ganlab_networks.tf_names import tf_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganlab_networks.discriminator import Discriminator
    from ganlab_networks.generator import Generator


def generator_layers(generator: Generator, latents: Tensor, labels: Tensor, lod: float) -> dict[str, Tensor]:
    """Layer name to output, in the order of the program."""
    outputs: dict[str, Tensor] = {"latents_in": latents, "labels_in": labels}
    images = latents
    with _recorded(generator, outputs):
        x = generator.condition(latents, labels)
        if generator.latent_normalization is not None:
            outputs["4x4/PixelNorm"] = x
        for number, resolution in enumerate(generator.resolutions):
            scope = level_name(resolution)
            if number and not generator.blocks[scope].conv0.fused:
                outputs[f"{scope}/Upscale2D"] = upscale(x)
            x = generator.blocks[scope](x)
            fine = generator.to_rgb[scope](x)
            if number:
                k = len(generator.resolutions) - 1 - number
                images = outputs["Upscale2D" + (f"_{number - 1}" if number > 1 else "")] = upscale(images)
                images = outputs[f"Grow_lod{k}"] = fade_in(fine, images, torch.tensor(min(max(lod - k, 0.0), 1.0)))
            else:
                images = fine
    return {**outputs, "images_out": images}


def discriminator_layers(discriminator: Discriminator, images: Tensor, lod: float) -> dict[str, Tensor]:
    """Layer name to output, in the order of the program."""
    outputs: dict[str, Tensor] = {"images_in": images}
    with _recorded(discriminator, outputs):
        resolutions = list(reversed(discriminator.resolutions))
        x = discriminator.from_rgb[level_name(resolutions[0])](images)
        for k, resolution in enumerate(resolutions[:-1]):
            scope = level_name(resolution)
            x = discriminator.blocks[scope](x, None, None)
            if not discriminator.blocks[scope].fused:
                outputs[f"{scope}/Downscale2D"] = x
            images = outputs["Downscale2D" + (f"_{k}" if k else "")] = downscale(images)
            coarse = discriminator.from_rgb[level_name(resolution // 2)](images)
            x = outputs[f"Grow_lod{k}"] = fade_in(x, coarse, torch.tensor(min(max(lod - k, 0.0), 1.0)))
        last = discriminator.blocks["4x4"]
        with_statistics = last.stddev(x)
        if with_statistics.shape[1] > x.shape[1]:
            outputs["4x4/MinibatchStddev"] = with_statistics[:, x.shape[1] :]
        critique = last(x, images, None, None)
    scores = critique.scores.unsqueeze(1)
    logits = scores[:, :0] if critique.label_logits is None else critique.label_logits
    return {**outputs, "4x4/Dense1": torch.cat([scores, logits], 1), "scores_out": scores, "labels_out": logits}


@contextmanager
def _recorded(network: nn.Module, outputs: dict[str, Tensor]) -> Iterator[None]:
    """Collects what each layer with a TensorFlow name returns."""

    def recorder(name: str) -> object:
        def record(_: nn.Module, __: object, output: Tensor) -> None:
            outputs[name] = output

        return record

    handles = [layer.modules[0].register_forward_hook(recorder(name)) for name, layer in tf_layers(network).items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
