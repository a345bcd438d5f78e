"""Settings for all tests: nothing is measured by the clock, and one thread each, because machines are shared."""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; processes that tests start inherit it

settings.register_profile("ganlab", deadline=None)
settings.load_profile("ganlab")
