"""Gradients of scores with respect to images, which gradient penalties are made of.

The inner gradient is taken with `torch.func.grad`, which torch.compile can follow, and everything is differentiable
once more. What comes out is float32 at least, whatever autocast does inside the critic.
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


def mixed_images(reals: Tensor, fakes: Tensor, factors: Tensor) -> Tensor:
    """Images on the lines from reals (factor 0) to fakes (factor 1): `[N, C, R, R]` with factors `[N, 1, 1, 1]`."""
    reals, fakes = full_precision(reals), full_precision(fakes)
    return reals + (fakes - reals) * factors


def score_gradients(critic: Critic, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> tuple[Tensor, Tensor]:
    """Gradient `[N, C, R, R]` of the **sum** of the batch's scores with respect to the images, and the scores `[N]`.

    Where samples act on each other (minibatch statistics) the gradient of a sample includes its effect on the
    others' scores. `draw` says which noise the critic uses.
    """

    def total(inputs: Tensor) -> tuple[Tensor, Tensor]:
        scores = full_precision(critic(inputs, draw).scores)
        return scores.sum(), scores

    gradients: Tensor
    scores: Tensor
    gradients, scores = torch.func.grad(total, has_aux=True)(full_precision(images))
    return gradients, scores


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
