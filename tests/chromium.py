"""Headless Chromium with a fresh profile, for tests that look at pages as a person does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def start(profile: Path, *flags: str, **capabilities: Any) -> Any:
    """A selenium driver; skips the test where selenium is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    usual = ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1500,1400")
    for flag in (*usual, *flags):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    for name, value in capabilities.items():
        options.set_capability(name, value)
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
