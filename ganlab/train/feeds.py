"""The feeds that a recipe asks for: one for each domain of its data, in the memory that the host can spare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ganlab.data.feed import Feed
from ganlab.randomness import derived_seed
from ganlab.train.domains import domains_of
from ganlab.train.memory import free_bytes

if TYPE_CHECKING:
    from ganlab.interfaces import ImageSet
    from ganlab.recipe.schema import Recipe

HOST_SHARE = 0.5
"""`cache = "auto"` takes at most this part of the memory that is free on the host at the start."""


def open_feeds(recipe: Recipe, source: ImageSet, device: torch.device) -> list[Feed]:
    """The feed of every domain that is shown side by side; of the set itself where it has none."""
    domains = domains_of(source)
    return [open_feed(recipe, domain, device, number, len(domains)) for number, domain in enumerate(domains)]


def open_feed(recipe: Recipe, source: ImageSet, device: torch.device, number: int = 0, count: int = 1) -> Feed:
    """The feed that a recipe asks for; of the domain with this number, of so many that share the memory."""
    data = recipe.data
    cache_bytes = 0 if data.cache == "none" else int(data.cache_gigabytes * 1e9)
    free = free_bytes(torch.device("cpu"))
    if data.cache == "auto" and free is not None:
        cache_bytes = min(cache_bytes, int(free * HOST_SHARE))
    return Feed(
        source,
        seed=recipe.run.seed if number == 0 else derived_seed(recipe.run.seed, f"domain/{number}"),
        workers=data.workers,
        cache_bytes=cache_bytes // count,
        pinned=device.type == "cuda",
    )
