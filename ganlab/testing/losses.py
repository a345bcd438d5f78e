"""Suites of losses and regularizers, which are given a small smooth discriminator and made-up images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.interfaces import LossValue
from ganlab.testing.contract import Contract, expect, while_doing
from ganlab.testing.judged import COUNT, Judged, uses
from ganlab.testing.modules import contracts_of
from ganlab.testing.tensors import (
    Tensors,
    addresses,
    changed,
    derivative_is_wrong,
    far,
    finite,
    in_place,
)
from ganlab.testing.use import Use

LARGE = (20, 100)
"""Scores at which float32 rounds 1 - sigmoid(x) to 0, and at which sigmoid(-x) is all but 0."""


def _shapes(component: Any, *, both: bool) -> None:
    for use in uses(component):
        with while_doing(use.what):
            judged = use.fresh()
            values = judged.values(use.inputs)
            players = ("discriminator", "generator")
            expect(
                bool(values) and (not both or set(values) == set(players)),
                f"it returns None for {' and '.join(player for player in players if player not in values)}",
                "return a LossValue for each player; a regularizer for at least one",
            )
            for player, value in values.items():
                _one_value(player, value)
            strength = getattr(judged.term, "noise_strength", lambda: None)()
            expect(
                strength is None or (isinstance(strength, Tensor) and strength.ndim == 0),
                f"noise_strength() returns {strength!r}",
                "return a 0-d tensor, or None",
            )


def _one_value(player: str, value: Any) -> None:
    expect(isinstance(value, LossValue), f"{player}() returns {type(value).__name__} and no LossValue")
    expect(
        isinstance(value.per_sample, Tensor),
        f"{player}() returns per_sample {value.per_sample!r}, which is no tensor",
        "return the tensor that gradients go through, without .item() and float()",
    )
    shape = tuple(value.per_sample.shape)
    expect(shape in ((COUNT,), ()), f"{player}() returns per_sample {list(shape)}, expected [{COUNT}] or 0-d")
    finite({"per_sample": value.per_sample}, f"of {player}(),")
    for name, tensor in value.report.items():
        expect(
            isinstance(name, str) and isinstance(tensor, Tensor),
            f"{player}() reports {name!r}: {type(tensor).__name__}",
            "report tensors by name; their means are logged",
        )


def _loss_shapes(component: Any) -> None:
    _shapes(component, both=True)


def _regularizer_shapes(component: Any) -> None:
    _shapes(component, both=False)


def _gradients(component: Any, *, both: bool) -> None:
    for use in uses(component):
        with while_doing(use.what):
            judged = use.fresh()
            weights = list(judged.critic.parameters())
            for scale, largest in ((1.0, 0), (0.0, 0), (50.0, 0), *((1.0, size) for size in LARGE)):
                given = {name: value.clone() for name, value in use.inputs.items()}
                for name in ("reals", "fakes"):
                    given[name] = (given[name] * scale).requires_grad_()
                judged.critic.enlarged = largest / _largest(use) if largest else 1.0
                where = f"for images of size {scale:g}" if scale != 1 else ""
                with while_doing(f"for scores of {largest} and -{largest}" if largest else where):
                    for player, value in judged.values(given).items():
                        targets = weights if player == "discriminator" else [given["fakes"]]
                        _reaches(player, value, targets, needed=both and scale == 1 and not largest)


@torch.no_grad()
def _largest(use: Use) -> float:
    """The smallest of the largest scores above and below 0, of reals and fakes: enlarged, all four are large."""
    critic = use.fresh().critic
    scores = [critic(use.inputs[name]).scores for name in ("reals", "fakes")]
    return float(torch.stack([edge for each in scores for edge in (each.max(), -each.min())]).min())


def _reaches(player: str, value: LossValue, targets: Sequence[Tensor], *, needed: bool) -> None:
    if not value.per_sample.requires_grad:
        expect(not needed, f"{player}()'s loss has no gradient", "do not detach() the scores that it is made of")
        return
    found: Sequence[Tensor | None] = torch.autograd.grad(
        value.per_sample.mean(), targets, allow_unused=True, retain_graph=True
    )
    gradients = [gradient for gradient in found if gradient is not None]
    finite({f"{player}'s loss": torch.stack([g.abs().sum() for g in gradients] or [torch.zeros(())])}, "gradient of")
    if needed:
        moved = any(bool(gradient.any()) for gradient in gradients)
        whose = "the discriminator's weights" if player == "discriminator" else "the fakes"
        expect(moved, f"no gradient of {player}()'s loss reaches {whose}", "do not detach() what it is made of")


def _loss_gradients(component: Any) -> None:
    _gradients(component, both=True)


def _regularizer_gradients(component: Any) -> None:
    _gradients(component, both=False)


def _second_order(component: Any) -> None:
    """The gradients of a loss with a penalty in it are right only if the penalty is differentiated again."""
    for use in uses(component):
        judged = use.fresh().double()
        inputs = {name: value.double() for name, value in use.inputs.items()}
        for player in judged.values(inputs):
            loss = _Player(judged, player, inputs)
            # Fakes may stand detached in the discriminator's loss: it learns from weights alone.
            value, at = (loss.of_weights, loss.weights) if player == "discriminator" else (loss.of_fakes, loss.fakes)
            wrong = derivative_is_wrong(value, at)
            with while_doing(use.what):
                expect(wrong is None, f"the gradient of {player}()'s loss is wrong: {wrong}")


class _Player(nn.Module):
    """One player's mean loss as a function of what that player learns from."""

    def __init__(self, judged: Judged, player: str, inputs: Tensors) -> None:
        super().__init__()
        self.judged = judged
        self.player = player
        self.inputs = inputs
        named = {f"judged.critic.{name}": value.detach() for name, value in judged.critic.named_parameters()}
        self.names, self.weights = list(named), list(named.values())
        self.fakes = [inputs["fakes"]]

    def forward(self, inputs: Tensors) -> Tensor:
        return self.judged.values(inputs)[self.player].per_sample.mean()

    def of_weights(self, weights: Sequence[Tensor]) -> Tensor:
        """For other weights of the discriminator."""
        given = dict(zip(self.names, weights, strict=True))
        loss: Tensor = torch.func.functional_call(self, given, (self.inputs,))
        return loss

    def of_fakes(self, fakes: Sequence[Tensor]) -> Tensor:
        """For other fakes."""
        return self.forward({**self.inputs, "fakes": fakes[0]})


def _patches(component: Any) -> None:
    for use in uses(component):
        with while_doing(use.what):
            whole, parted = use.fresh(), use.fresh()
            parted.critic.patches = 3
            expected, found = whole.values(use.inputs), parted.values(use.inputs)
            for player, value in expected.items():
                off = far(value.per_sample.mean(), found[player].per_sample.mean(), 1e-4)
                expect(off is None, f"for scores of three equal patches {player}()'s loss differs by {off}")


def _bfloat16(component: Any) -> None:
    for use in uses(component):
        with while_doing(use.what):
            exact, judged = use.fresh(), use.fresh()
            judged.critic.low = True
            expected, found = exact.values(use.inputs), judged.values(use.inputs)
            weights = list(judged.critic.parameters())
            for player, value in found.items():
                loss = value.per_sample
                expect(
                    loss.dtype == torch.float32,
                    f"for a discriminator in bfloat16 {player}()'s loss is in {str(loss.dtype).removeprefix('torch.')}",
                )
                finite({"per_sample": loss}, f"for a discriminator in bfloat16, {player}()'s")
                off = far(expected[player].per_sample, loss, 0.2)
                expect(off is None, f"for a discriminator in bfloat16 {player}()'s loss is off by {off}")
                if loss.requires_grad:
                    found_gradients: Sequence[Tensor | None] = torch.autograd.grad(
                        loss.mean(), weights, allow_unused=True, retain_graph=True
                    )
                    kept = {str(n): each for n, each in enumerate(found_gradients) if each is not None}
                    finite(kept, f"for a discriminator in bfloat16, gradient of {player}()'s loss for parameter")


def _parts(component: Any) -> None:
    """Half of the minibatch at a time, the mean is the same, unless `sample_groups` says what belongs together."""
    for use in uses(component):
        judged = use.fresh()
        if any(hasattr(part, "sample_groups") for part in (judged.term, *judged.modules())):
            continue
        with torch.no_grad(), while_doing(use.what):
            whole = judged.values(use.inputs)
            halves = [
                judged.values({name: value[rows] for name, value in use.inputs.items()})
                for rows in (slice(None, COUNT // 2), slice(COUNT // 2, None))
            ]
            for player, value in whole.items():
                mean = torch.stack([half[player].per_sample.mean() for half in halves]).mean()
                off = far(value.per_sample.mean(), mean, 1e-4)
                expect(off is None, f"{player}()'s loss of a minibatch differs from that of its halves, by {off}")


def _constrains(component: Any) -> None:
    judged = uses(component)[0].fresh()
    before = {name: value.detach().clone() for name, value in judged.critic.named_parameters()}
    places = addresses(judged.critic)
    with torch.no_grad():
        judged.term.constrain(judged.critic)
    after: Mapping[str, Tensor] = dict(judged.critic.named_parameters())
    in_place(places, judged.critic, "constrain()", "parameter.clamp_(...)")
    finite(after, "after constrain(), the weight")
    for name in changed(before, after):
        expect(
            bool(after[name].requires_grad), f"after constrain() '{name}' no longer learns", "change only its values"
        )


_PARTS = Contract(
    "samples",
    "the loss of a minibatch is the mean over its parts, unless `sample_groups` says which samples belong together",
    "give the built module sample_groups(count) and `exchange` where it compares samples; see ganlab.interfaces.Layer",
    _parts,
)
_BFLOAT16 = Contract(
    "bfloat16",
    "losses stay in float32 where the discriminator computes in bfloat16, and gradients are finite",
    "compute from the scores as they come, which are float32; do not narrow them",
    _bfloat16,
)
_PATCHES = Contract(
    "patches",
    "scores `[N, P]` of equal patches give the loss that `[N]` give: it is a mean over both",
    "take means, not sums, over all but the samples, and the gradient of each image's mean score for a penalty",
    _patches,
)
_SECOND_ORDER = Contract(
    "second-order gradients",
    "gradients are right, those of a penalty through `batch.critic` too",
    "take the inner gradient by torch.func.grad of the sum of the scores, and do not detach() it",
    _second_order,
)
_SHAPES = "`discriminator` and `generator` return a `LossValue` with `per_sample` `[N]` or 0-d, finite"
_GRADIENTS = "gradients are finite, for large and equal scores too, and reach the player"
_FINITE = "use softplus and its kin instead of log(sigmoid(x)), and add an epsilon under roots"
_COMMON = ("inputs unchanged", "repeatable", "state", "compiles", "devices")

LOSS = (
    Contract("shapes", _SHAPES, "return LossValue(per_sample, report)", _loss_shapes),
    Contract("finite gradients", _GRADIENTS, _FINITE, _loss_gradients),
    _SECOND_ORDER,
    *contracts_of(uses, *_COMMON),
    _BFLOAT16,
    _PATCHES,
    _PARTS,
    Contract(
        "constraint",
        "`constrain` changes weights in place only, and leaves them finite and learning",
        "subclass ganlab.AdversarialLossBase, whose constrain() does nothing, or change weights in place",
        _constrains,
    ),
)
REGULARIZER = (
    Contract("shapes", _SHAPES + ", or None from one of them", "return LossValue or None", _regularizer_shapes),
    Contract("finite gradients", _GRADIENTS, _FINITE, _regularizer_gradients),
    _SECOND_ORDER,
    *contracts_of(uses, *_COMMON),
    _BFLOAT16,
    _PATCHES,
    _PARTS,
)
