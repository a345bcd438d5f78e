"""How a training is doing, measured with each report beside what the steps say: variety, statistics, sizes of weights.

Measuring draws nothing that training draws, changes nothing and needs no gradients, so that a run is the same with and
without. Gradient norms come from the updates themselves; see `reporting.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from ganlab.data.reals import network_reals
from ganlab.errors import DataError
from ganlab.interfaces import ImageSet, ImageShape, Stage
from ganlab.recipe.schema import Recipe
from ganlab.train.critics import Autocast
from ganlab.train.division import comparing_modules
from ganlab.train.domains import inputs_of
from ganlab.train.players import Players
from ganlab.train.reporting import joint_norm
from ganlab.train.samples import sample_labels, sample_latents

SAMPLES = 32
"""Images whose variety is compared: of 32 a standard deviation is known to one part in eight, at every pixel."""
PIXELS_AT_ONCE = 2**15
"""Made at once where a minibatch has fewer: of small images it is the calls that take time."""


def gap(means: Mapping[str, float]) -> dict[str, float]:
    """The mean score of reals minus that of fakes, where a loss reports them."""
    ending = "scores/real"
    pairs = [name.removesuffix(ending) for name in means if name == ending or name.endswith(f"/{ending}")]
    pairs = [pair for pair in pairs if not pair.startswith("generator/") and f"{pair}scores/fake" in means]
    return {f"{pair}scores/gap": means[f"{pair}{ending}"] - means[f"{pair}scores/fake"] for pair in pairs}


@attrs.define(kw_only=True)
class Signs:
    """What is measured at a report."""

    recipe: Recipe
    images: ImageShape
    source: ImageSet
    players: Players
    device: torch.device
    autocast: Autocast
    _pixels: tuple[int, Tensor] | None = attrs.field(init=False, default=None)
    """The real images to compare with, uint8, and their resolution."""
    _spread: tuple[int, float, float] | None = attrs.field(init=False, default=None)
    """Of the reals, at a resolution and fade."""

    @torch.no_grad()
    def measure(self, stage: Stage, reals: Tensor) -> dict[str, float]:
        """All signs by name; `reals` `[N, C, R, R]` are the last whole minibatch."""
        values = {f"weight_norm/{player}": self._weight_norm(player) for player in ("generator", "discriminator")}
        for pair in self.players.pairs:
            strength = pair.loss.noise_strength()
            if strength is not None:
                values[pair.named("noise/strength")] = float(strength)
        fade = None if stage.fade >= 1 else torch.tensor(stage.fade, dtype=torch.float32, device=self.device)
        appending = self._appending()
        with evaluating(self.players.generator, self.players.discriminator):
            fakes = self._fakes(stage, fade, max(SAMPLES, len(reals) if appending else 0))
            kept: list[Tensor] = []
            fake_spread = spread(clamped(_keeping(fakes, kept, len(reals) if appending else 0), SAMPLES))
            if appending:
                whole = torch.cat(kept)[: len(reals)]
                for kind, images in (("reals", reals), ("fakes", whole)):
                    found = self._appended(appending, images, fade)
                    values.update({f"{name}/{kind}": value for name, value in found.items()})
        real_spread = self._real_spread(stage, fade)
        if real_spread:
            values["diversity"] = fake_spread / real_spread
        return values

    def _weight_norm(self, player: str) -> float:
        return float(joint_norm([parameter.detach() for parameter in self.players.lists[player].parameters]))

    def _fakes(self, stage: Stage, fade: Tensor | None, count: int) -> Iterator[Tensor]:
        """The training generator's images of the first `count` latents of a fixed row, some at a time."""
        network = self.players.generator
        latents = sample_latents(self.recipe.run.seed, count, network.latent_size, "signs")
        labels = sample_labels(count, self.images.label_size)
        inputs = inputs_of(self.players.system, self.source, stage.resolution, stage.fade, self.recipe.data.blend)
        at_once = max(stage.minibatch, PIXELS_AT_ONCE // stage.resolution**2)
        for start in range(0, count, at_once):
            part = slice(start, start + at_once)
            own_labels = None if labels is None else labels[part].to(self.device)
            with self.autocast():
                reals = None if inputs is None else inputs(start, start + len(latents[part])).to(self.device)
                some = latents[part].to(self.device)
                made = self.players.system.sample(
                    network, some, own_labels, reals, resolution=stage.resolution, fade=fade
                )
            yield made.float()

    def _real_spread(self, stage: Stage, fade: Tensor | None) -> float | None:
        """The spread of as many reals, spread evenly over the data set; None where one of them cannot be read."""
        if self._spread is None or self._spread[:2] != (stage.resolution, stage.fade):
            if self._pixels is None or self._pixels[0] != stage.resolution:
                indices = np.linspace(0, self.source.count - 1, SAMPLES).astype(np.int64)
                try:
                    self._pixels = (stage.resolution, torch.tensor(self.source.images(stage.resolution, indices)))
                except DataError:  # training says so when, and if, it comes to that image
                    return None
            self._spread = (stage.resolution, stage.fade, spread(self._reals(stage, fade)))
        return self._spread[2]

    def _reals(self, stage: Stage, fade: Tensor | None) -> Iterator[Tensor]:
        assert self._pixels is not None
        mirror = torch.arange(SAMPLES) % 2 == 1 if self.recipe.data.mirror else torch.zeros(SAMPLES, dtype=torch.bool)
        for start in range(0, SAMPLES, stage.minibatch):
            part = slice(start, start + stage.minibatch)
            pixels, flips = self._pixels[1][part].to(self.device), mirror[part].to(self.device)
            yield network_reals(pixels, mirror=flips, fade=fade, blend=self.recipe.data.blend)

    def _appending(self) -> dict[str, list[nn.Module]]:
        """Modules of the discriminator that compare samples and append what they find, by their name in it.

        None where discriminators are shown something else than the minibatch as it comes.
        """
        if not self.players.plain:
            return {}
        found: dict[str, list[nn.Module]] = {}
        for path, module in comparing_modules(self.players).items():
            if path.startswith("discriminator.") and hasattr(module, "out_channels"):
                name = path.rpartition(".")[2]
                found.setdefault(name if name.isidentifier() else "stddev", []).append(module)
        return found

    def _appended(
        self, appending: Mapping[str, Sequence[nn.Module]], images: Tensor, fade: Tensor | None
    ) -> dict[str, float]:
        """The mean of what each appends for a minibatch."""
        with ExitStack() as undo, self.autocast():
            heard = {name: [undo.enter_context(_hearing(it)) for it in its] for name, its in appending.items()}
            self.players.discriminator(images, fade=fade)
        means = {name: [part.float().mean() for parts in lists for part in parts] for name, lists in heard.items()}
        return {name: float(torch.stack(found).mean()) for name, found in means.items() if found}


def spread(images: Iterable[Tensor]) -> float:
    """The standard deviation of each number over all samples, `[n, ...]` at a time, in the mean over the numbers.

    Differences from the first sample are summed, so that equal samples give 0 exactly.
    """
    count = 0
    for part in images:
        if count == 0:
            first = part[:1]
            sums, squares = torch.zeros_like(first), torch.zeros_like(first)
        different = part - first
        sums += different.sum(0, keepdim=True)
        squares += different.square().sum(0, keepdim=True)
        count += len(part)
    return float((squares / count - (sums / count).square()).clamp(min=0).sqrt().mean())


def clamped(images: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    """The first `count` images, cut off at -1 and 1 as a picture of them is."""
    for part in images:
        if count > 0:
            yield part[:count].clamp(-1, 1)
        count -= len(part)


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """In evaluation mode nothing in a network changes when it is called; each module gets its own mode back."""
    trained = [module for network in networks for module in network.modules() if module.training]
    for module in trained:
        module.training = False
    try:
        yield
    finally:
        for module in trained:
            module.training = True


def _keeping(images: Iterable[Tensor], kept: list[Tensor], count: int) -> Iterator[Tensor]:
    """All of the images; the first `count`, at least, are kept as well."""
    for part in images:
        if count > 0:
            kept.append(part)
        count -= len(part)
        yield part


@contextmanager
def _hearing(module: Any) -> Iterator[list[Tensor]]:
    """What a module appends to its input while inside, as often as it is called.

    One with a method `statistics` may be asked by that alone, as for statistics of the images themselves.
    """
    heard: list[Tensor] = []
    if hasattr(module, "statistics"):
        original = module.statistics

        def statistics(x: Tensor) -> Tensor:
            heard.append(original(x))
            return heard[-1]

        module.statistics = statistics
        try:
            yield heard
        finally:
            del module.statistics
        return

    def called(owner: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.shape[1] > inputs[0].shape[1]:
            heard.append(output[:, inputs[0].shape[1] :])

    handle = module.register_forward_hook(called)
    try:
        yield heard
    finally:
        handle.remove()
