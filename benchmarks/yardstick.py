"""A Progressive GAN step in plain PyTorch, written as the popular ports write it: what ganlab's speed is measured by.

NCHW, eager; weights are scaled in each forward; doubling and halving are operations of their own; the penalty takes
`autograd.grad(create_graph=True)`; optimizers and the averaged generator go through the parameters one by one. It
computes the same numbers as ganlab (a test holds it to that), from weights that are copied in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cases import Case

SLOPE = 0.2
GAIN = math.sqrt(2)
GROUP = 4
"""Samples whose standard deviation is taken together."""

Convert = Callable[[Tensor], Tensor]


class EqualizedConv(nn.Module):
    """A convolution whose stored weight is multiplied by a constant each time."""

    def __init__(self, inputs: int, outputs: int, kernel: int, padding: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel**2)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class PixelNorm(nn.Module):
    """Each pixel's features to length sqrt(C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class Generator(nn.Module):
    """Latents `[N, width]` to images at `resolution`, blended with those of the level below."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width, levels = case.width, case.levels
        self.first = EqualizedConv(width, width, 4, 3)
        self.conv = EqualizedConv(width, width, 3, 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualizedConv(width, width, 3, 1), EqualizedConv(width, width, 3, 1)])
            for _ in range(levels - 1)
        )
        self.to_rgb = nn.ModuleList(EqualizedConv(width, 3, 1, 0, gain=1.0) for _ in range(levels))
        self.norm = PixelNorm()

    def forward(self, latents: Tensor, fade: float) -> Tensor:
        x = self.norm(latents).unsqueeze(2).unsqueeze(3)
        x = self.norm(F.leaky_relu(self.first(x), SLOPE))
        x = self.norm(F.leaky_relu(self.conv(x), SLOPE))
        previous = x
        for block in self.blocks:
            previous = x
            x = F.interpolate(x, scale_factor=2)
            for conv in block:  # type: ignore[attr-defined]  # a ModuleList, which torch types as a Module here
                x = self.norm(F.leaky_relu(conv(x), SLOPE))
        images: Tensor = self.to_rgb[-1](x)
        if len(self.to_rgb) == 1:
            return images
        coarse = F.interpolate(self.to_rgb[-2](previous), scale_factor=2)
        return (1 - fade) * coarse + fade * images


class Discriminator(nn.Module):
    """Images to scores `[N]`.

    Blocks halve after their activation, or with `halve_first` before, as ganlab's with `fused_scale` do.
    """

    def __init__(self, case: Case, *, halve_first: bool = False) -> None:
        super().__init__()
        self.halve_first = halve_first
        width, levels = case.width, case.levels
        self.from_rgb = nn.ModuleList(EqualizedConv(3, width, 1, 0) for _ in range(levels))
        self.blocks = nn.ModuleList(
            nn.ModuleList([EqualizedConv(width, width, 3, 1), EqualizedConv(width, width, 3, 1)])
            for _ in range(levels - 1)
        )
        self.last = EqualizedConv(width + 1, width, 3, 1)
        self.dense = EqualizedConv(width, width, 4, 0)
        self.out = EqualizedConv(width, 1, 1, 0, gain=1.0)

    def forward(self, images: Tensor, fade: float) -> Tensor:
        x = F.leaky_relu(self.from_rgb[-1](images), SLOPE)
        for number, block in enumerate(reversed(self.blocks)):
            convs: Any = block
            conv0, conv1 = convs
            x = conv1(F.leaky_relu(conv0(x), SLOPE))
            x = F.leaky_relu(F.avg_pool2d(x, 2), SLOPE) if self.halve_first else F.avg_pool2d(F.leaky_relu(x, SLOPE), 2)
            if number == 0:
                coarse = F.leaky_relu(self.from_rgb[-2](F.avg_pool2d(images, 2)), SLOPE)
                x = (1 - fade) * coarse + fade * x
        x = torch.cat([x, self._stddev(x)], 1)
        x = F.leaky_relu(self.last(x), SLOPE)
        x = F.leaky_relu(self.dense(x), SLOPE)
        scores: Tensor = self.out(x).view(-1)
        return scores

    def _stddev(self, x: Tensor) -> Tensor:
        group = min(GROUP, x.shape[0])
        y = x.reshape(group, -1, *x.shape[1:])
        y = torch.sqrt(((y - y.mean(0)) ** 2).mean(0) + 1e-8).mean(dim=(1, 2, 3), keepdim=True)
        return y.repeat(group, 1, 1, 1).expand(x.shape[0], 1, *x.shape[2:])


class Yardstick:
    """One D and G step after another on the same real images."""

    def __init__(
        self,
        case: Case,
        reals: Tensor,
        *,
        learning_rate: float = 0.001,
        fade: float = 0.5,
        halve_first: bool = False,
    ) -> None:
        device = reals.device
        self.case = case
        self.reals = reals.contiguous()
        self.fade = fade
        self.generator = Generator(case).to(device)
        self.discriminator = Discriminator(case, halve_first=halve_first).to(device)
        self.averaged = Generator(case).to(device)
        self.averaged.load_state_dict(self.generator.state_dict())
        self.optimizers = [
            torch.optim.Adam(network.parameters(), learning_rate, (0.0, 0.99), foreach=False, fused=False)
            for network in (self.discriminator, self.generator)
        ]

    def step(self) -> None:
        """One discriminator update, the average, one generator update."""
        count, device = self.reals.shape[0], self.reals.device
        latents = torch.randn(count, self.case.width, device=device)
        loss = self.discriminator_loss(latents, torch.rand(count, 1, 1, 1, device=device))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.optimizers[0].step()
        with torch.no_grad():
            for average, parameter in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                average.mul_(0.999).add_(parameter, alpha=0.001)
        loss = self.generator_loss(torch.randn(count, self.case.width, device=device))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        self.optimizers[1].step()

    def discriminator_loss(self, latents: Tensor, factors: Tensor) -> Tensor:
        """WGAN-GP with drift; `factors` `[N, 1, 1, 1]` mix reals (0) and fakes (1)."""
        self.optimizers[0].zero_grad()
        with torch.no_grad():
            fakes = self.generator(latents, self.fade)
        real = self.discriminator(self.reals, self.fade)
        fake = self.discriminator(fakes, self.fade)
        mixed = (self.reals + (fakes - self.reals) * factors).requires_grad_()
        scores = self.discriminator(mixed, self.fade).sum()
        (gradients,) = torch.autograd.grad(scores, mixed, create_graph=True)
        penalty = (gradients.view(len(gradients), -1).norm(2, dim=1) - 1) ** 2
        loss: Tensor = (fake - real + 10 * penalty + 0.001 * real**2).mean()
        return loss

    def generator_loss(self, latents: Tensor) -> Tensor:
        """Minus the mean score of fakes."""
        self.optimizers[1].zero_grad()
        loss: Tensor = -self.discriminator(self.generator(latents, self.fade), self.fade).mean()
        return loss


def generator_pairs(ours: Generator, theirs: Any) -> Iterator[tuple[nn.Parameter, nn.Parameter, Convert]]:
    """(parameter of the yardstick, ganlab's, how ganlab's tensor becomes the yardstick's) of the generators."""
    first = theirs.blocks["4x4"]

    def spread(weight: Tensor) -> Tensor:  # rows C, H, W of a matrix, as a kernel over one pixel with padding 3
        return weight.view(-1, 4, 4, weight.shape[1]).permute(0, 3, 1, 2).flip(2, 3)

    yield ours.first.weight, first.dense.weight, spread
    yield ours.first.bias, first.dense.bias, _same
    yield from _both(ours.conv, first.conv)
    yield from _levels(ours, theirs, theirs.to_rgb, ours.to_rgb)


def discriminator_pairs(ours: Discriminator, theirs: Any) -> Iterator[tuple[nn.Parameter, nn.Parameter, Convert]]:
    """The same of the discriminators."""
    last = theirs.blocks["4x4"]
    yield from _both(ours.last, last.conv)
    yield ours.dense.weight, last.dense.weight, lambda weight: weight.view(weight.shape[0], -1, 4, 4)
    yield ours.dense.bias, last.dense.bias, _same
    yield ours.out.weight, last.scores.weight, lambda weight: weight.view(1, -1, 1, 1)
    yield ours.out.bias, last.scores.bias, _same
    yield from _levels(ours, theirs, theirs.from_rgb, ours.from_rgb)


def _levels(ours: Any, theirs: Any, their_rgb: Any, our_rgb: Any) -> Iterator[tuple[Any, Any, Convert]]:
    for number, rgb in enumerate(our_rgb):
        yield from _both(rgb, their_rgb[f"{4 << number}x{4 << number}"])
    for number, (conv0, conv1) in enumerate(ours.blocks):
        block = theirs.blocks[f"{8 << number}x{8 << number}"]
        yield from _both(conv0, block.conv0)
        yield from _both(conv1, block.conv1)


def _both(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any, Convert]]:
    yield ours.weight, theirs.weight, _same
    yield ours.bias, theirs.bias, _same


def _same(tensor: Tensor) -> Tensor:
    return tensor


@torch.no_grad()
def copy_weights(yardstick: Yardstick, generator: nn.Module, discriminator: nn.Module) -> None:
    """Give the yardstick the weights of ganlab's networks."""
    for ours, theirs, convert in generator_pairs(yardstick.generator, generator):
        ours.copy_(convert(theirs))
    for ours, theirs, convert in discriminator_pairs(yardstick.discriminator, discriminator):
        ours.copy_(convert(theirs))
    yardstick.averaged.load_state_dict(yardstick.generator.state_dict())
