"""Every random draw is a pure function of (seed, purpose, position), so nothing about randomness needs saving.

Position is usually the number of images shown. Resuming, other worker counts and other devices then see the same draws.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def generator(seed: int, purpose: str, position: int = 0) -> np.random.Generator:
    """A fresh numpy generator (Philox, 128-bit key); equal arguments, equal draws."""
    return np.random.Generator(np.random.Philox(key=_key(seed, purpose, position)))


class Streams:
    """What `generator` gives, for one purpose after another, several times as fast: its Philox is only given new keys.

    A new one asks the system for entropy first, and never uses it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._bits = np.random.Philox(0)
        self._generator = np.random.Generator(self._bits)
        self._zeros = np.zeros(4, np.uint64)

    def at(self, purpose: str, position: int = 0) -> np.random.Generator:
        """Draws as `generator(seed, purpose, position)` does, until this is called again."""
        # As at the start: counting from 0, with nothing left over of what was drawn in fours and in 64 bits.
        self._bits.state = {
            "bit_generator": "Philox",
            "state": {"counter": self._zeros, "key": _key(self.seed, purpose, position)},
            "buffer": self._zeros,
            "buffer_pos": len(self._zeros),
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator


def derived_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for a library that wants a number of its own."""
    return int(generator(seed, purpose).integers(0, 2**63 - 1))


def _key(seed: int, purpose: str, position: int) -> npt.NDArray[np.uint64]:
    """128 bits, lower half first."""
    text = f"ganlab/{seed}/{purpose}/{position}".encode()
    return np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), "<u8").astype(np.uint64)
