"""Sample grids for the page: all variants of one seed beside each other, small enough to be part of one file."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import attrs
import numpy as np
from PIL import Image, UnidentifiedImageError, features

from ganlab.ablation.results import Results, Trial

BUDGET_BYTES = 10_000_000
"""Of all pictures together; a third more as text."""
LARGEST_SIDE = 512
"""Pixels of a grid's longer side."""
MOST_MOMENTS = 6
TOLERANCE = 0.01
"""Schedules with other minibatches report at slightly other moments; grids so close count as equally far."""


@attrs.frozen
class Picture:
    """A variant's grid, or the reason why there is none."""

    variant: int
    label: str
    uri: str
    """`data:image/...`; empty if there is none."""
    images_shown: int
    width: int
    height: int
    source: str
    """File below the ablation's folder."""
    why_not: str = ""


@attrs.frozen
class Moment:
    """All variants' grids of one seed at equal images shown."""

    seed: int
    images_shown: int
    latest: bool
    """Whether it is the last moment that all have."""
    pictures: tuple[Picture, ...]


def moments_of(results: Results, budget: int = BUDGET_BYTES) -> tuple[Moment, ...]:
    """For every seed the moments for which all its trials have a grid, ascending, as many as the budget allows.

    Trials that failed or have not begun hold up nobody: they show what they have. The last moment of every seed comes
    first out of the budget; grids are made smaller rather than left out.
    """
    steps = {seed: _common_steps(results, seed) for seed in results.plan.seeds}
    per_moment = max(1, len(results.plan.variants))
    side = LARGEST_SIDE if per_moment * len(steps) <= 40 else LARGEST_SIDE // 2
    found: dict[tuple[int, int], Moment] = {}
    left = budget
    for rank in range(MOST_MOMENTS):
        for seed, all_steps in steps.items():
            chosen = _spread(all_steps, MOST_MOMENTS)[::-1]
            if rank < len(chosen) and (rank == 0 or left > 0):
                moment = _moment(results, seed, chosen[rank], side, latest=rank == 0)
                left -= sum(len(picture.uri) * 3 // 4 for picture in moment.pictures)
                if rank == 0 or left >= 0:
                    found[seed, chosen[rank]] = moment
    return tuple(found[key] for key in sorted(found))


def _common_steps(results: Results, seed: int) -> list[int]:
    trials = [trial for trial in results.trials if trial.planned.seed == seed and trial.grids]
    trials = [trial for trial in trials if trial.state != "failed"] or trials
    if not trials:
        return []
    return [step for step in trials[0].grids if all(_nearest(trial, step) is not None for trial in trials)]


def _nearest(trial: Trial, step: int) -> int | None:
    """The trial's grid that is as far as `step`."""
    nearest = min(trial.grids, key=lambda shown: abs(shown - step), default=None)
    return nearest if nearest is not None and abs(nearest - step) <= TOLERANCE * step else None


def _spread(steps: Sequence[int], most: int) -> list[int]:
    """At most so many, evenly, the last one among them."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (most - 1))] for i in range(most)]


def _moment(results: Results, seed: int, step: int, side: int, *, latest: bool) -> Moment:
    pictures = []
    for number, variant in enumerate(results.plan.variants):
        trial = next((trial for trial in results.of(variant) if trial.planned.seed == seed), None)
        pictures.append(_picture(number, variant.label, trial, step, side))
    return Moment(seed, step, latest, tuple(pictures))


def _picture(number: int, label: str, trial: Trial | None, step: int, side: int) -> Picture:
    nothing = Picture(number, label, "", 0, 0, 0, "")
    if trial is None:
        return attrs.evolve(nothing, why_not="not planned")
    shown = _nearest(trial, step)
    if shown is None:
        return attrs.evolve(nothing, why_not=f"no grid here: {trial.state} at {trial.images_shown:,} images shown")
    file = f"samples/{shown:09d}.png"
    try:
        with Image.open(trial.path / file) as opened:
            uri, size = encoded(opened, side)
    except (OSError, UnidentifiedImageError, ValueError):
        return attrs.evolve(nothing, why_not=f"{file} cannot be read")
    return Picture(number, label, uri, shown, *size, f"{trial.planned.folder}/{file}")


def encoded(image: Image.Image, side: int) -> tuple[str, tuple[int, int]]:
    """A `data:` address and its width and height, of the pixels themselves where repeated ones are told once."""
    image = image.convert("L" if image.mode in ("L", "1") else "RGB")
    small = _without_repeats(image)
    exact = max(small.size) <= side
    kind = "png" if exact or not features.check("webp") else "webp"
    if not exact:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    small.save(memory, kind, quality=90)
    return f"data:image/{kind};base64,{base64.b64encode(memory.getvalue()).decode()}", small.size


def _without_repeats(image: Image.Image) -> Image.Image:
    """Small grids are saved with every pixel repeated by a whole factor; this undoes it."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    rows = np.flatnonzero((pixels[1:] != pixels[:-1]).any(axis=(1, 2))) + 1
    columns = np.flatnonzero((pixels[:, 1:] != pixels[:, :-1]).any(axis=(0, 2))) + 1
    factor = math.gcd(image.width, image.height, *rows.tolist(), *columns.tolist())
    return Image.fromarray(np.ascontiguousarray(np.asarray(image)[::factor, ::factor]))
