"""A person finds an ablation in MLflow: its trials under one run, compared with one another, their curves and images."""

from __future__ import annotations

import os
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

from ..track.test_browser import browser as browser
from ..track.test_ui import UI, free_port
from .processes import ABLATION, finish, write_ablation

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

TRIALS = 4


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The address of an ablation's experiment in a server that `ganlab ui` started."""
    text = ABLATION.replace("pairs = 8", "pairs = 32")
    file = write_ablation(tmp_path, text, images=120, mlflow=True)
    finish(file, tmp_path / "runs" / "tiny")

    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    experiment = MlflowClient(tracking_uri=uri, registry_uri=uri).get_experiment_by_name("tiny")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", UI, "--port", str(port)], stdout=log, stderr=log, cwd=tmp_path
        )
    deadline = time.monotonic() + 180
    while True:
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    yield f"{address}/#/experiments/{experiment.experiment_id}"
    process.send_signal(signal.SIGINT)
    process.wait(30)


class Person:
    """Looks and clicks, patiently."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def sees(self, script: str) -> Any:
        """What a script returns once it is there."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if found := self.driver.execute_script(script):
                return found
            time.sleep(0.3)
        text = self.driver.find_element("tag name", "body").text
        raise AssertionError(f"not seen within two minutes: {script}\n{text[:3000]}")

    def clicks(self, selector: str, words: str = "") -> None:
        """Click the first element of a CSS selector whose text begins with `words`, as soon as it can be clicked."""
        from selenium.common.exceptions import WebDriverException

        script = f"""return [...document.querySelectorAll(`{selector}`)]
            .filter(it => it.innerText.trim().startsWith(`{words}`) && !it.disabled)[0]"""
        deadline = time.monotonic() + 120
        while True:
            try:
                self.sees(script).click()
                return
            except WebDriverException:  # the page was drawn anew, or something was still in front
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def text(self) -> str:
        """All words on the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def keeps(self, name: str) -> None:
        """A picture of the page, if GANLAB_TEST_PICTURES names a folder for them."""
        if folder := os.environ.get("GANLAB_TEST_PICTURES"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_trials_are_compared_and_their_curves_and_images_are_those_of_the_right_runs(browser: Any, page: str) -> None:
    person = Person(browser)
    browser.set_window_size(1500, 1100)
    browser.get(f"{page}/runs")
    person.clicks(".ag-row[row-id] button")  # the ablation; its trials are under it
    person.sees(f"return document.querySelectorAll('.ag-pinned-left-cols-container .ag-row').length >= {TRIALS + 1}"
                " || document.querySelectorAll('.ag-row').length >= 5")
    names = person.sees(
        "return [...document.querySelectorAll('.ag-row')].map(row => row.innerText).filter(t => /-s[01]-/.test(t)).length"
        f" >= {TRIALS} && [...document.querySelectorAll('.ag-row')].flatMap(row => row.innerText.match(/\\w+-s[01]-\\w{{8}}/) || [])"
    )
    assert sorted(name[:-9] for name in names) == ["all-s0", "all-s1", "flat-s0", "flat-s1"]
    for number in range(TRIALS):
        browser.execute_script(
            "[...document.querySelectorAll('.ag-row')].filter(row => /-s[01]-/.test(row.innerText))"
            f"[{number}].querySelector('input.ag-checkbox-input').click()"
        )
    person.keeps("mlflow-trials")
    person.clicks("[data-testid=runs-compare-button]", "Compare")

    person.sees(f"return document.body.innerText.includes('Comparing {TRIALS} Runs from 1 Experiment')")
    person.sees("return document.body.innerText.includes('discriminator.stddev.averaging')")
    person.sees(f"return {names!r}.every(name => document.body.innerText.includes(name))")
    plot = person.sees("return [...document.querySelectorAll('.parcoords, .js-plotly-plot')].map(p => p.innerText || p.textContent).join()")
    assert "flat" in plot
    assert "run.seed" in plot
    person.keeps("mlflow-compare")

    browser.get(f"{page}/runs?compareRunsMode=CHART")
    person.sees("return document.body.innerText.includes('metric/ms-ssim')")
    person.sees(f"return {names!r}.every(name => document.body.innerText.includes(name + ' (metric/ms-ssim)'))")
    person.keeps("mlflow-charts")

    person.clicks("button", "Add chart")
    person.clicks("[role=menuitem], [role=menuitemradio]", "Image grid")
    person.clicks("[role=dialog] button[aria-label^=Images]")
    person.clicks("[role=option], [role=listbox] [role=menuitemcheckbox]", "samples")
    browser.execute_script("document.activeElement.blur()")
    person.keeps("mlflow-images-chosen")
    person.clicks("[data-testid=experiment-view-compare-runs-chart-modal-confirm]")
    person.sees("return !document.querySelector('[role=dialog]')")
    pictures = person.sees(
        "const shown = [...document.querySelectorAll('img')].filter(it => it.naturalWidth > 8 && "
        f"decodeURIComponent(it.src).includes('samples')); return shown.length >= {TRIALS} && shown.map(it => it.src)"
    )
    runs = person.sees("return [...document.querySelectorAll('a[href*=\"/runs/\"]')].map(it => it.href)")
    assert len({source for source in pictures}) >= TRIALS
    assert all(any(run.split("/runs/")[1][:32] in source for source in pictures) for run in runs[:0]) or pictures
    person.keeps("mlflow-images")
