"""What the losses and regularizers of a pair say about a pass, and what it adds up to."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.train.lane_choice import calls_critic
from ganlab.train.players import Pair


def of_discriminator(pair: Pair, batch: DiscriminatorPass) -> LossValue:
    """The discriminator's terms together. Those that call the critic are asked first: others may wait for scores."""
    terms: list[Any] = [pair.loss, *pair.regularizers]
    said = {id(term): term.discriminator(batch) for term in sorted(terms, key=calls_critic, reverse=True)}
    return summed(
        _values([(term, said[id(term)]) for term in terms if term is pair.loss or said[id(term)] is not None])
    )


def of_generator(pair: Pair, batch: GeneratorPass) -> LossValue:
    """The generator's terms together."""
    terms: list[tuple[object, LossValue]] = [(pair.loss, pair.loss.generator(batch))]
    terms += [(it, value) for it in pair.regularizers if (value := it.generator(batch)) is not None]
    return summed(_values(terms))


def summed(terms: Sequence[LossValue]) -> LossValue:
    """The sum of mean losses, 0-d, and all reports."""
    total = terms[0].per_sample.mean()
    for term in terms[1:]:
        total = total + term.per_sample.mean()
    return LossValue(total, {name: value for term in terms for name, value in term.report.items()})


def means(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each, those of one shape together."""
    found = {name: tensor.detach().float() for name, tensor in tensors.items()}
    if len(found) > 1 and len({tensor.shape for tensor in found.values()}) == 1:
        means = torch.stack(list(found.values())).reshape(len(found), -1).mean(1).unbind()
        return dict(zip(found, means, strict=True))
    return {name: tensor.mean() for name, tensor in found.items()}


def _values(terms: Sequence[tuple[object, LossValue]]) -> list[LossValue]:
    """The second of each; raises `GanlabError` where it is not a loss's value, and says whose it is."""
    for owner, value in terms:
        if not isinstance(value, LossValue):
            kind = type(owner)
            place = getattr(sys.modules.get(kind.__module__), "__file__", None) or kind.__module__
            raise GanlabError(
                f"{kind.__qualname__} in {place} returned {type(value).__name__}; "
                "expected ganlab.interfaces.LossValue(per_sample, report)"
            )
    return [value for _, value in terms]
