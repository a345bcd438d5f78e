"""Memory that one step frees stays with the process for the next.

The C library of Linux gives large blocks back to the system the moment they are freed. A training step then asks for
the same activations anew each time, and the system clears every page of them: over 100,000 page faults a step with
128 channels at 64x64, about a tenth of its time.
"""

from __future__ import annotations

import ctypes
import sys

_SETTINGS = {-3: 1 << 30, -1: (1 << 31) - 1, -2: 64 << 20}
"""M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of mallopt(3), in bytes."""


def keep_freed_memory() -> None:
    """Ask glibc to keep what is freed; elsewhere this does nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        for setting, value in _SETTINGS.items():
            mallopt(setting, value)
