"""Classes of a conditional generator: which one a person means, and the grid that shows a class in each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.registry import suggestion
from ganlab.train.samples import sample_latents

LISTED = 40
"""Most classes that a message lists."""


def label_names(source: Any, label_size: int) -> tuple[str, ...]:
    """The names of the `label_size` classes of an `ImageSet`; empty where it has no names."""
    names = tuple(map(str, getattr(source, "label_names", ())))
    return names if len(names) == label_size else ()


def class_number(text: str, names: Sequence[str], label_size: int) -> int:
    """The class that `text` names: by its name, by its name in other case if only one has it, or by its number.

    `names` may be empty. Raises `GanlabError` that lists the classes.
    """
    if text in names:
        return names.index(text)
    alike = [number for number, name in enumerate(names) if name.casefold() == text.casefold()]
    if len(alike) == 1:
        return alike[0]
    if text.isdecimal() and int(text) < label_size:
        return int(text)
    if not names:
        raise GanlabError(
            f"no class {text!r}: the generator has {label_size} classes without names, 0 to {label_size - 1}"
        )
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names[:LISTED]))
    more = f", ... {label_size - 1} {names[-1]}" if label_size > LISTED else ""
    raise GanlabError(f"no class {text!r}{suggestion(text, names)}; there are {listed}{more}")


def class_grid(
    seed: int, count: int, latent_size: int, label_size: int, purpose: str = "samples"
) -> tuple[Tensor, Tensor | None, int | None]:
    """Latents `[n, latent_size]`, one-hot labels `[n, label_size]` and columns of a grid of at most `count` images.

    Each row is a class, and each column has the same latents, so that a grid shows what the label changes and what the
    latents do. Where there are too many classes for two images each, as many as fit into a square are shown, evenly
    spread over all. Without labels: all latents, None, and None for a grid as square as can be.
    """
    if not label_size:
        return sample_latents(seed, count, latent_size, purpose), None, None
    rows = label_size if 2 * label_size <= count else min(max(1, math.isqrt(count)), label_size)
    columns = max(1, count // rows)
    shown = torch.arange(rows) * label_size // rows
    labels = torch.eye(label_size)[shown.repeat_interleave(columns)]
    return sample_latents(seed, columns, latent_size, purpose).repeat(rows, 1), labels, columns
