"""What the tests of losses and regularizers hand them: a small critic and passes over random images."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.interfaces import Critique, DiscriminatorPass, GeneratorPass


class SmallCritic(nn.Module):
    """A discriminator of two layers whose samples act on each other, and which remembers what it was asked to draw."""

    def __init__(self, *, label_size: int = 0, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.convolution = nn.Conv2d(2, 5, 3, padding=1)
        self.dense = nn.Linear(5 * 16 + 1, 1 + label_size)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)
        self.draws: list[str] = []

    def forward(self, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique:
        self.draws.append(draw)
        features = nn.functional.leaky_relu(self.convolution(images), 0.2).flatten(1)
        spread = (features.float().var(dim=0, unbiased=False) + 1e-8).sqrt().mean().expand(len(features), 1)
        outputs = self.dense(torch.cat([features, spread.to(features.dtype)], dim=1))
        return Critique(outputs[:, 0], outputs[:, 1:] if outputs.shape[1] > 1 else None)


def images(count: int = 4, *, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random images `[count, 2, 4, 4]`."""
    return torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def discriminator_pass(critic: nn.Module, *, labels: Tensor | None = None) -> DiscriminatorPass:
    """A discriminator's pass of `critic` over four random reals and fakes."""
    dtype = next(critic.parameters()).dtype
    reals, fakes = images(seed=1, dtype=dtype), images(seed=2, dtype=dtype)
    factors = torch.rand(4, 1, 1, 1, generator=torch.Generator().manual_seed(3), dtype=dtype)
    return DiscriminatorPass(
        critic=critic,
        reals=reals,
        fakes=fakes,
        real=critic(reals, "reals"),
        fake=critic(fakes, "fakes"),
        mixing_factors=factors,
        labels=labels,
        fake_labels=labels,
    )


def scored(real: list[float], fake: list[float]) -> DiscriminatorPass:
    """A discriminator's pass of which only the scores matter."""

    def no_critic(images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique:
        raise AssertionError("this loss should not ask for more scores")

    empty = torch.empty(len(real), 1, 4, 4)
    return DiscriminatorPass(
        critic=no_critic,
        reals=empty,
        fakes=empty,
        real=Critique(torch.tensor(real), None),
        fake=Critique(torch.tensor(fake), None),
        mixing_factors=torch.empty(len(real), 1, 1, 1),
        labels=None,
        fake_labels=None,
    )


def generated(batch: DiscriminatorPass) -> GeneratorPass:
    """The generator's pass over the fakes of `batch`."""
    return GeneratorPass(
        critic=batch.critic, fakes=batch.fakes, fake=batch.fake, fake_labels=batch.fake_labels, reals=batch.reals
    )
