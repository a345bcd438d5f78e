"""Hidden randomness: draws from generators that everybody shares, which a run could neither repeat nor resume."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np

from ganlab.testing.contract import expect

REMEDY = "draw nothing itself: take noise that is handed in, or make a generator of its own from the seed it is given"


@contextlib.contextmanager
def no_draws(where: str, *, torch_too: bool = True) -> Iterator[None]:
    """Raise `Broken` if the global generators of Python, NumPy or torch are drawn from or seeded within.

    They are put back as they were. Without `torch_too`, as when networks are built, ganlab seeds torch's itself.
    """
    import torch

    python, numpy, torchs = random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()
    try:
        yield
        moved = []
        if random.getstate() != python:
            moved.append("Python's `random`")
        if str(np.random.get_state(legacy=False)) != str(numpy):
            moved.append("`numpy.random`")
        if torch_too and not torch.equal(torch.get_rng_state(), torchs):
            moved.append("torch's global generator")
        expect(not moved, f"{where} draws from or seeds {' and '.join(moved)}", REMEDY)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torchs)
