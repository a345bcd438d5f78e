"""How long CPU threads wait busily for each other, which must be settled before torch is imported."""

from __future__ import annotations

import os

SPINS = "10000"


def spin_briefly() -> None:
    """Let idle OpenMP threads sleep soon, unless the environment says otherwise; see docs/decisions/0006."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS
