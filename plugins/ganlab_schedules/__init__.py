"""How training grows: progressive (stabilize, then fade), fade-first, and fixed schedules."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_schedules(register: ganlab.Register) -> None:
    """Offer the three growth schedules."""
    register(
        "progressive",
        "ganlab_schedules.progressive:Progressive",
        summary="Train each level, then fade in the next one (Karras et al. 2018)",
    )
    register(
        "fade-first",
        "ganlab_schedules.fade_first:FadeFirst",
        summary="Fade each level in as it starts, then train it (as popular ports do)",
    )
    register("fixed", "ganlab_schedules.fixed:Fixed", summary="Train at the full resolution from the start; no growth")
