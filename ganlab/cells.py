"""A number that the host sets between updates and their operations read: a tensor that stays in place.

After an update the processor's caches hold the networks, and each torch operation that Python calls then takes ten
times as long as in a loop. Where the host shares the device's memory it writes there itself.
"""

from __future__ import annotations

import torch


class Cell:
    """One number, 0 at first. Not to be copied: what it writes to is its own tensor's memory."""

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.tensor = torch.zeros((), dtype=dtype, device=device)
        """0-d, for operations to read."""
        self._memory = self.tensor.numpy() if device.type == "cpu" else None

    def set(self, number: float) -> None:
        """What operations read from now on."""
        if self._memory is None:
            self.tensor.fill_(number)
        else:
            self._memory[...] = number
