"""A person who opens `ganlab ui` in a browser finds the run: its curves, its samples, its recipe."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlab.recipe.tracking import TrackSettings
from ganlab.track.folder import RunFolder
from ganlab.track.mlflow.delivery import Delivery

from .conftest import train
from .test_ui import UI, free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def page(folder: RunFolder, uri: str, project: Path, arrived: Any) -> Iterator[str]:
    """The address of a run in a server that `ganlab ui` started."""
    train(folder, 1, 11)
    for _ in range(2):
        Delivery(folder, TrackSettings(), uri, say=print).deliver()
    there = arrived(uri)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with open(project / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-c", UI, "--port", str(port)], stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, (project / "log").read_text()
        assert time.monotonic() < deadline, (project / "log").read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    yield f"{address}/#/experiments/{there.run.info.experiment_id}/runs/{there.run_id}"
    process.send_signal(signal.SIGINT)
    process.wait(30)


def text_with(browser: Any, *words: str) -> str:
    """The page's text once it holds all the words."""
    deadline = time.monotonic() + 90
    text = ""
    while time.monotonic() < deadline:
        text = browser.find_element("tag name", "body").text
        if all(word in text for word in words):
            return text
        time.sleep(0.5)
    raise AssertionError(f"{[word for word in words if word not in text]} not on the page: {text[:2000]}")


def test_the_run_is_there_with_parameters_curves_and_samples(browser: Any, page: str) -> None:
    browser.get(page)
    text_with(browser, "faces", "ganlab.recipe_digest", "loss/generator")
    browser.get(f"{page}/model-metrics")
    text_with(browser, "loss", "Step", "10k")
    browser.get(f"{page}/artifacts")
    text_with(browser, "images", "recipe.toml")
