"""What one discriminator says about a minibatch: the critic that losses ask, augmented images, both passes in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganlab.derivatives import brings_its_own, mistrusted
from ganlab.interfaces import Critic, Critique, LossValue, Match
from ganlab.train.draws import Draws
from ganlab.train.players import Pair
from ganlab.train.scaling import gradient_scale

Autocast = Callable[[], AbstractContextManager[object]]


class Level(NamedTuple):
    """Where growth stands: the resolution, and the fade as a 0-d tensor, or None where the level is alone."""

    resolution: int
    fade: Tensor | None
    enlargement: int = 1
    """Full resolution over this one."""
    images_shown: Tensor | int = 0
    """By the updates before this one; a 0-d int64 tensor."""

    def enlargement_of(self, images: Tensor) -> int:
        """Full resolution over that of images, which a system may have at several resolutions at once."""
        return self.enlargement * self.resolution // images.shape[-1]


def make_critic(
    pair: Pair,
    noise: Mapping[str, Sequence[Tensor]],
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None = None,
    *,
    penalized: bool = True,
) -> Critic:
    """The discriminator at this level with this pass's noise, as losses call it; scores come back in float32.

    `penalized` where gradients with respect to images may be part of the loss.
    """
    strength = pair.loss.noise_strength()

    def critic(images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique:
        with nullcontext() if penalized and needs_care(pair.discriminator, images) else autocast():
            critique = pair.discriminator(images, fade=level.fade, noise=noise[draw], noise_strength=strength)
        logits = critique.label_logits
        return Critique(critique.scores.float(), None if logits is None else logits.float())

    if loss_scale is not None:
        critic.gradient_scale = gradient_scale(loss_scale)  # type: ignore[attr-defined]  # a function takes attributes
    return critic


def needs_care(discriminator: nn.Module, images: Tensor) -> bool:
    """Whether a gradient with respect to these images can be asked for, and its own gradient may be wrong."""
    asked = not torch.compiler.is_compiling() and images.requires_grad
    return asked and mistrusted(images) and not brings_its_own(discriminator)


def augmented(pair: Pair, match: Match, draws: Draws) -> Match:
    """What the pair's discriminator is shown of a match."""
    if pair.augmentation is None:
        return match
    changed = (pair.augmentation(getattr(match, name), draws.uniform[name]) for name in ("reals", "fakes"))
    return Match(*changed)


def with_signs(pair: Pair, value: LossValue, real: Critique) -> LossValue:
    """With what an augmentation adapts by, and its own report."""
    if pair.augmentation is None:
        return value
    more = {"signs/real": real.scores.detach().sign(), **pair.augmentation.report()}
    return LossValue(value.per_sample, {**value.report, **more})


def judge_together(
    pair: Pair, reals: Tensor, fakes: Tensor, draws: Draws, level: Level, autocast: Autocast
) -> tuple[Critique, Critique]:
    """Reals and fakes in one pass of twice the size, minibatch statistics apart: fewer and larger kernels."""
    noise = [torch.cat(tensors) for tensors in zip(draws.noise["reals"], draws.noise["fakes"], strict=True)]
    with autocast():
        both = pair.discriminator(
            torch.cat([reals, fakes]),
            fade=level.fade,
            noise=noise,
            noise_strength=pair.loss.noise_strength(),
            passes=2,
        )
    scores = both.scores.float().chunk(2)
    logits = (None, None) if both.label_logits is None else both.label_logits.float().chunk(2)
    return Critique(scores[0], logits[0]), Critique(scores[1], logits[1])
