"""Where the trials of an ablation run: on this machine, or on a Ray cluster."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_executors(register: ganlab.Register) -> None:
    """Offer both executors."""
    register(
        "local",
        "ganlab_executors.components:Local",
        summary="Processes on this machine, several at once, with a list of GPUs as slots",
    )
    register(
        "ray",
        "ganlab_executors.components:Ray",
        summary="Processes on the machines of a Ray cluster, there already or started here",
    )
