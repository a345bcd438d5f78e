"""Settings for all tests: nothing is measured by the clock, and one thread each, because machines are shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; processes that tests start inherit it

pytest_plugins = ("pytester",)  # only the first conftest may name plugins

settings.register_profile("ganlab", deadline=None)
settings.load_profile("ganlab")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """Headless Chromium."""
    from . import chromium

    driver = chromium.start(tmp_path / "profile")
    yield driver
    driver.quit()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster of two machines with one CPU each."""
    pytest.importorskip("ray")
    from .clusters import two_machines

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with two_machines() as made:
        yield made
