"""Gradients of scores with respect to images, which gradient penalties are made of.

Everything is differentiable once more. What comes out is float32 at least, whatever autocast does inside the critic;
where that is float16, scores are scaled on the way in and gradients on the way out, by a power of two, and so exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ganlab.interfaces import Critic


def full_precision(values: Tensor) -> Tensor:
    """`values` in float32 where they came in half precision; float32 and float64 stay as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def of_images(values: Tensor) -> Tensor:
    """`[N]` as it is; `[N, P]`, one for each patch of an image, as the mean of each image, `[N]`."""
    return values if values.ndim < 2 else values.flatten(1).mean(1)


def mixed_images(reals: Tensor, fakes: Tensor, factors: Tensor) -> Tensor:
    """Images on the lines from reals (factor 0) to fakes (factor 1): `[N, C, R, R]` with factors `[N, 1, 1, 1]`."""
    reals, fakes = full_precision(reals), full_precision(fakes)
    return torch.lerp(reals, fakes, factors.to(reals.dtype))


def score_gradients(critic: Critic, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> tuple[Tensor, Tensor]:
    """Gradient `[N, C, R, R]` of the **sum** of the batch's scores with respect to the images, and the scores `[N]`.

    Where a discriminator judges patches, the score of an image is their mean.

    Where samples act on each other (minibatch statistics) the gradient of a sample includes its effect on the
    others' scores. `draw` says which noise the critic uses.
    """
    scale: Tensor | None = getattr(critic, "gradient_scale", None)

    def total(inputs: Tensor) -> tuple[Tensor, Tensor]:
        scores = of_images(full_precision(critic(inputs, draw).scores))
        return scores.sum() if scale is None else scores.sum() * scale, scores

    inputs = full_precision(images)
    gradients: Tensor
    scores: Tensor
    if torch.compiler.is_compiling():  # torch.compile follows torch.func.grad alone, which costs more when not compiled
        gradients, scores = torch.func.grad(total, has_aux=True)(inputs)
    else:
        with torch.enable_grad():
            inputs = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
            summed, scores = total(inputs)
            (gradients,) = torch.autograd.grad(summed, inputs, create_graph=True)
    return gradients if scale is None else gradients / scale, scores


def squared_norms(gradients: Tensor) -> Tensor:
    """Squared Euclidean norm of each sample: `[N, ...]` -> `[N]`."""
    return gradients.square().flatten(start_dim=1).sum(dim=1)


def norms(gradients: Tensor) -> Tensor:
    """Euclidean norm of each sample, `[N, ...]` -> `[N]`, exact everywhere and with a derivative of 0 at 0.

    The root's own derivative is infinite at 0 and would turn into NaN; an epsilon under it would change every norm.
    """
    squares = squared_norms(gradients)
    positive = squares > 0
    roots = torch.where(positive, squares, torch.ones_like(squares)).sqrt()
    return torch.where(positive, roots, torch.zeros_like(roots))
