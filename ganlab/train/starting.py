"""Discriminators that begin with what the data is like are shown it before they learn (some minibatch features)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.interfaces import Play
from ganlab.train.players import Players
from ganlab.train.sharing import Sharing


@torch.no_grad()
def start_from_data(
    players: Players,
    sharing: Sharing,
    reals: Tensor,
    labels: Tensor | None,
    play: Callable[[Tensor, Tensor | None], Play],
) -> None:
    """Show discriminators that ask for it their whole first minibatch, in its order, on every rank.

    `reals` and `labels` are this rank's; `play` says what a system of several pairs shows each of them.
    """
    pairs = [pair for pair in players.pairs if hasattr(pair.discriminator, "start_from")]
    if not pairs:
        return
    whole = sharing.whole(reals)
    shown = {"": whole}
    with sharing.whole_seen():
        if not players.plain:
            labels = None if labels is None else sharing.whole(labels)
            shown = {name: match.reals for name, match in play(whole, labels).matches.items()}
        for pair in pairs:
            pair.discriminator.start_from(shown[pair.name])
