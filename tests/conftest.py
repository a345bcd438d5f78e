"""Settings for all tests: hypothesis measures nothing by the clock, because machines are shared."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ganlab", deadline=None)
settings.load_profile("ganlab")
