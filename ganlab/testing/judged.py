"""A loss or regularizer with the small discriminator and the made-up images that its suite gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.testing.contract import building
from ganlab.testing.critic import CHANNELS, SIZE, SmallCritic
from ganlab.testing.tensors import Tensors, normal, one_hot, uniform
from ganlab.testing.use import Use

COUNT, CLASSES = 8, 3


class Judged(nn.Module):
    """A loss or regularizer with the discriminator that it asks for scores."""

    def __init__(self, term: Any, label_size: int) -> None:
        super().__init__()
        self.term: Any = term
        self.critic = SmallCritic(label_size)

    def batch(self, inputs: Tensors) -> DiscriminatorPass:
        """A discriminator's pass."""
        labels = inputs.get("labels")
        return DiscriminatorPass(
            critic=self.critic,
            reals=inputs["reals"],
            fakes=inputs["fakes"],
            real=self.critic(inputs["reals"], "reals"),
            fake=self.critic(inputs["fakes"], "fakes"),
            mixing_factors=inputs["mixing_factors"],
            labels=labels,
            fake_labels=labels,
            enlargement=2,
            images_shown=torch.full((), 1000, device=inputs["reals"].device),
        )

    def values(self, inputs: Tensors) -> dict[str, LossValue]:
        """What it says to both players, where it says something."""
        batch = self.batch(inputs)
        generated = GeneratorPass(
            critic=batch.critic,
            fakes=batch.fakes,
            fake=batch.fake,
            fake_labels=batch.fake_labels,
            reals=batch.reals,
            images_shown=batch.images_shown,
        )
        found = {"discriminator": self.term.discriminator(batch), "generator": self.term.generator(generated)}
        return {player: value for player, value in found.items() if value is not None}

    def observe(self, inputs: Tensors) -> None:
        """What happens after a discriminator's update; the loss is told other numbers each time."""
        if not hasattr(self.term, "observe"):
            return
        value = self.values(inputs).get("discriminator", LossValue(torch.zeros(())))
        report = {name: tensor.detach().float().mean() for name, tensor in value.report.items()}
        self.term.observe(value.per_sample.detach().mean(), report)


def inputs_for(labels: bool) -> dict[str, Tensor]:
    """Images, and labels where they are wanted."""
    return {
        "reals": normal(COUNT, CHANNELS, SIZE, SIZE, seed=1),
        "fakes": normal(COUNT, CHANNELS, SIZE, SIZE, seed=2),
        "mixing_factors": uniform(COUNT, 1, 1, 1, seed=3),
        **({"labels": one_hot(COUNT, CLASSES)} if labels else {}),
    }


def uses(component: Any) -> Sequence[Use]:
    """With labels and without, as far as the component takes both."""

    def make(label_size: int) -> Callable[[], Judged]:
        def build() -> Judged:
            with building():
                return Judged(component.build(), label_size)

        return build

    def call(judged: Any, inputs: Tensors) -> Tensors:
        return {player: value.per_sample for player, value in judged.values(inputs).items()}

    labelled = (True,) if getattr(component, "needs_labels", False) else (False, True)
    return [
        Use(
            what="with labels" if labels else "",
            make=make(CLASSES if labels else 0),
            inputs=inputs_for(labels),
            call=call,
            learns_from=("fakes",) if not labels else ("reals", "fakes"),
            per_sample=("reals", "fakes", "mixing_factors"),
            again=labels and not getattr(component, "needs_labels", False),
            advance=lambda judged, inputs: judged.observe(inputs),
        )
        for labels in labelled
    ]
