"""Every random draw is a pure function of (seed, purpose, position), so nothing about randomness needs saving.

Position is usually the number of images shown. Resuming, other worker counts and other devices then see the same draws.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str, position: int = 0) -> np.random.Generator:
    """A fresh numpy generator (Philox, 128-bit key); equal arguments, equal draws."""
    text = f"ganlab/{seed}/{purpose}/{position}".encode()
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for a library that wants a number of its own."""
    return int(generator(seed, purpose).integers(0, 2**63 - 1))
