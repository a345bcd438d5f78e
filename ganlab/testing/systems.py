"""The suite of systems, which are given networks of a few numbers in the place of a recipe's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Match
from ganlab.testing.contract import Contract, NotApplicable, building, expect, while_doing
from ganlab.testing.images import CHANNELS, COUNT, image_shape
from ganlab.testing.modules import contracts_of
from ganlab.testing.players import SmallNetwork
from ganlab.testing.randomness import no_draws
from ganlab.testing.tensors import Tensors, built, changed, finite, normal, state_of, uniform
from ganlab.testing.use import Use


class Playing(nn.Module):
    """A built system with its networks."""

    def __init__(self, component: Any) -> None:
        super().__init__()
        images = image_shape(component, labels=False)
        with building():
            self.system = component.build(images)
            try:
                self.networks = self.system.generators(SmallNetwork(component.generator_role, latent_size=4))
            except GanlabError:  # it draws no latents
                self.networks = self.system.generators(SmallNetwork(component.generator_role))
            self.discriminators = self.system.discriminators(SmallNetwork("discriminator"))
        self.resolution = images.resolution

    def inputs(self, component: Any) -> dict[str, Tensor]:
        """Latents and reals of all domains."""
        size = self.resolution
        reals = 2 * uniform(COUNT, component.domains * CHANNELS, size, size, seed=1) - 1
        return {"latents": normal(COUNT, self.networks.latent_size, seed=2), "reals": reals}

    def play(self, inputs: Tensors, *, learning: bool) -> Any:
        """A minibatch."""
        return self.system.play(
            self.networks,
            inputs["latents"],
            None,
            inputs["reals"],
            resolution=self.resolution,
            fade=None,
            learning=learning,
        )

    def sample(self, inputs: Tensors, *, show: bool = False) -> Any:
        """Images to look at."""
        ask = self.system.show if show else self.system.sample
        reals = inputs["reals"] if self.system.samples_from_reals else None
        return ask(self.networks, inputs["latents"], None, reals, resolution=self.resolution, fade=None)

    def outputs(self, inputs: Tensors) -> Tensors:
        """All images that it makes, by name."""
        play = self.play(inputs, learning=True)
        images = {
            f"{pair} {side}": getattr(play.matches[pair], side) for pair in play.matches for side in Match._fields
        }
        terms = {} if play.terms is None else {"terms": play.terms.per_sample}
        return {**images, **terms, "sample": self.sample(inputs)}

    def remember(self, inputs: Tensors) -> None:
        """What happens before a discriminator's update."""
        if getattr(self.system, "chances", 0):
            self.remembered(inputs, seed=int(1000 * float(inputs["reals"].abs().sum())) % 1000)

    def remembered(self, inputs: Tensors, seed: int) -> Mapping[str, Match]:
        """The matches that are judged instead."""
        matches = self.play(inputs, learning=False).matches
        found: Mapping[str, Match] = self.system.remember(matches, uniform(COUNT, self.system.chances, seed=seed))
        return found


def _uses(component: Any) -> Sequence[Use]:
    playing = built(lambda: Playing(component), 0)
    return [
        Use(
            what="",
            make=lambda: Playing(component),
            inputs=playing.inputs(component),
            call=lambda each, inputs: each.outputs(inputs),
            learns_from=("reals",),
            per_sample=("latents", "reals"),
            advance=lambda each, inputs: each.remember(inputs),
        )
    ]


def _shapes(component: Any) -> None:
    roles = ("generator", "translator")
    expect(
        component.generator_role in roles,
        f"`generator_role` is {component.generator_role!r}",
        f"let it be one of {', '.join(roles)}",
    )
    expect(isinstance(component.domains, int) and component.domains >= 1, f"`domains` is {component.domains!r}")
    playing: Any = built(lambda: Playing(component), 0)
    system, inputs = playing.system, playing.inputs(component)
    pairs = list(system.pairs)
    unique = pairs == [""] or (all(pairs) and len(set(pairs)) == len(pairs))
    expect(bool(pairs) and unique, f"`pairs` are {pairs}", 'name each pair, or the only one ""')
    for pair in pairs:
        found = system.discriminator(playing.discriminators, pair)
        inside = any(found is part for part in playing.discriminators.modules())
        expect(inside, f"discriminator(..., {pair!r}) is no part of what discriminators() built")
    for learning in (True, False):
        play = playing.play(inputs, learning=learning)
        expect(set(play.matches) == set(pairs), f"play() has matches {sorted(play.matches)}, its pairs are {pairs}")
        for pair, match in play.matches.items():
            for side, images in zip(Match._fields, match, strict=True):
                shape = list(images.shape)
                fits = images.ndim == 4 and shape[:2] == [COUNT, CHANNELS] and shape[2] == shape[3]
                expect(fits, f"{side} of pair {pair!r} are {shape}, expected [{COUNT}, {CHANNELS}, R, R]")
            expect(match.reals.shape == match.fakes.shape, f"reals and fakes of pair {pair!r} have other shapes")
    sample, size = playing.sample(inputs), playing.resolution
    expected = (COUNT, CHANNELS, size, size)
    expect(tuple(sample.shape) == expected, f"sample() returns {list(sample.shape)}, expected {list(expected)}")
    if hasattr(system, "show"):
        shown = playing.sample(inputs, show=True)
        fits = shown.ndim == 5 and (shown.shape[0], *shown.shape[2:]) == expected
        expect(fits, f"show() returns {list(shown.shape)}, expected [{COUNT}, K, {CHANNELS}, {size}, {size}]")


def _gradients(component: Any) -> None:
    playing: Any = built(lambda: Playing(component), 0)
    play = playing.play(playing.inputs(component), learning=True)
    parameters = dict(playing.networks.named_parameters())
    reached: set[str] = set()
    totals = {f"fakes of pair {pair!r}": match.fakes.square().sum() for pair, match in play.matches.items()}
    if play.terms is not None:
        totals["terms"] = play.terms.per_sample.mean()
    for what, total in totals.items():
        expect(total.requires_grad, f"no gradient of the {what} reaches a generator", "do not detach() fakes in play()")
        found: Sequence[Tensor | None] = torch.autograd.grad(
            total, list(parameters.values()), allow_unused=True, retain_graph=True
        )
        gradients = {name: g for name, g in zip(parameters, found, strict=True) if g is not None}
        finite(gradients, f"gradient of the {what} for")
        reached |= set(gradients)
    missing = sorted(set(parameters) - reached)
    expect(
        not missing, f"nothing that is learned reaches {', '.join(missing)}", "show every generator's fakes in a pair"
    )


def _remembers(component: Any) -> None:
    one: Any = built(lambda: Playing(component), 0)
    chances = getattr(one.system, "chances", 0)
    if not chances:
        raise NotApplicable("it has no `chances`")
    inputs = one.inputs(component)
    twin: Any = built(lambda: Playing(component), 0)
    with torch.no_grad():
        for seed in range(4):
            given = {**inputs, "reals": inputs["reals"].roll(seed, 0)}
            with no_draws("remember()"):
                found, again = one.remembered(given, seed), twin.remembered(given, seed)
            matches = one.play(given, learning=False).matches
            for pair, match in found.items():
                with while_doing(f"remember(), pair {pair!r}"):
                    shapes = [tuple(images.shape) for images in match]
                    expect(shapes == [tuple(images.shape) for images in matches[pair]], "it returns other shapes")
                    same = all(torch.equal(a, b) for a, b in zip(match, again[pair], strict=True))
                    expect(same, "the same matches and draws give other ones the second time")
            expect(set(found) == set(matches), f"remember() returns pairs {sorted(found)}")
        restored: Any = built(lambda: Playing(component), 7)
        restored.load_state_dict(state_of(one))
        found, again = one.remembered(inputs, 9), restored.remembered(inputs, 9)
        for pair, match in found.items():
            same = all(torch.equal(a, b) for a, b in zip(match, again[pair], strict=True))
            expect(same, "saved and restored, it remembers other fakes", "keep earlier fakes in buffers")
        twin.remembered(inputs, 9)
    differing = changed(state_of(one), state_of(twin))
    expect(not differing, f"the same matches and draws leave another state: {', '.join(differing)}")


SYSTEM = (
    Contract(
        "shapes",
        "`play` has a match for each of the `pairs`, reals and fakes alike; `sample` and `show` make images",
        "return Play({pair: Match(reals, fakes)}) with every pair of `pairs`; see ganlab.SystemBase",
        _shapes,
    ),
    Contract(
        "generators learn",
        "gradients of fakes and terms are finite, and reach every parameter of the generators",
        "let every generator make fakes of some pair while `learning` is true",
        _gradients,
    ),
    *contracts_of(_uses, "inputs unchanged", "repeatable", "state", "compiles", "devices"),
    Contract(
        "memory",
        "`remember` follows from matches and draws alone, and keeps shapes",
        "keep earlier fakes in buffers, and decide by the uniform draws that are handed in",
        _remembers,
    ),
)
