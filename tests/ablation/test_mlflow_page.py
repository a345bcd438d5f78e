"""A person finds an ablation in MLflow: its trials under one run, compared, with their curves and images."""

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

from ..track.test_ui import UI, free_port
from .processes import ABLATION, finish, write_ablation

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]

IMAGES = 120


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of an ablation's experiment in a server that `ganlab ui` started, and the trials' names and ids."""
    text = ABLATION.replace("every_images = 200", "every_images = 40")  # one value alone would be a bar
    file = write_ablation(tmp_path, text, images=IMAGES, mlflow=True)
    finish(file, tmp_path / "runs" / "tiny")

    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    trials = {run.info.run_name: run.info.run_id for run in runs if "mlflow.parentRunId" in run.data.tags}
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
    yield f"{address}/#/experiments/{experiment.experiment_id}", trials
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
                found = self.sees(script)
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
                found.click()
                return
            except WebDriverException:  # the page was drawn anew, or something was still in front
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def reads(self, *texts: str) -> None:
        """Wait for all of these on the page."""
        self.sees(f"const page = document.body.innerText; return {list(texts)!r}.every(text => page.includes(text))")

    def opens_section(self, name: str) -> None:
        """Of the charts, scroll to a section and open it; charts are drawn only where they can be seen."""
        header = "document.querySelectorAll('[data-testid=experiment-view-compare-runs-section-header]')"
        self.sees(
            f"const it = [...{header}].filter(it => it.innerText.trim().split(/\\s/)[0] === '{name}')[0];"
            "if (!it) return false; const button = it.closest('[role=button]');"
            "if (button.getAttribute('aria-expanded') === 'false') button.click();"
            "it.scrollIntoView(); return true"
        )

    def keeps(self, name: str) -> None:
        """A picture of the page, if GANLAB_TEST_PICTURES names a folder for them."""
        if folder := os.environ.get("GANLAB_TEST_PICTURES"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_trials_are_compared_and_their_curves_and_images_are_those_of_the_right_runs(
    browser: Any, page: tuple[str, dict[str, str]]
) -> None:
    address, trials = page
    person = Person(browser)
    browser.set_window_size(1500, 1100)
    browser.get(f"{address}/runs")
    person.clicks(".ag-row[row-id] button")  # the ablation; its trials are under it
    rows = "[...document.querySelectorAll('.ag-row')].filter(row => /-s[01]-/.test(row.innerText))"
    person.sees(f"return {rows}.length >= {len(trials)}")
    named = person.sees(rf"return {rows}.flatMap(row => row.innerText.match(/\w+-s[01]-\w{{8}}/) || [])")
    assert sorted(named) == sorted(trials)
    for number in range(len(trials)):
        browser.execute_script(f"{rows}[{number}].querySelector('input.ag-checkbox-input').click()")
    person.keeps("mlflow-trials")
    person.clicks("[data-testid=runs-compare-button]", "Compare")

    person.reads(f"Comparing {len(trials)} Runs from 1 Experiment", "discriminator.stddev.averaging", *trials)
    plot = person.sees("return [...document.querySelectorAll('.js-plotly-plot')].map(it => it.textContent).join()")
    assert all(word in plot for word in ("ablation.variant", "flat", "all"))
    person.keeps("mlflow-compare")

    browser.get(f"{address}/runs?compareRunsMode=CHART")
    person.opens_section("metric")
    person.reads(*(f"{name} (metric/ms-ssim)" for name in trials))
    person.keeps("mlflow-charts")

    person.clicks("button", "Add chart")
    person.clicks("[role=menuitem], [role=menuitemradio]", "Image grid")
    person.clicks("[role=dialog] [role=combobox][aria-label^=Images]")
    person.clicks("[role=option]", "samples")
    browser.execute_script("document.querySelector('[role=dialog] [role=switch]').click()")  # without parameters
    from selenium.webdriver.common.keys import Keys

    step = person.sees("return document.querySelector('[role=dialog] input[type=number]')")
    step.send_keys(Keys.CONTROL, "a")
    step.send_keys(str(IMAGES), Keys.TAB)
    person.keeps("mlflow-images-chosen")
    person.sees(f"return [...document.querySelectorAll('[role=dialog] img')].length >= {len(trials)}")
    browser.execute_script(
        "document.querySelector('[data-testid=experiment-view-compare-runs-chart-modal-confirm]').click()"
    )
    person.sees("return !document.querySelector('[role=dialog]')")
    shown = person.sees(
        "const it = [...document.querySelectorAll('img')]"
        ".filter(it => it.src.includes('run_uuid') && it.naturalWidth > 8);"
        f" return it.length >= {len(trials)} && it.map(it => decodeURIComponent(it.src))"
    )
    for name, run_id in trials.items():
        own = [source for source in shown if run_id in source]
        assert len(own) == 1, f"{name}: {own}"
        assert f"samples+step+{IMAGES}+" in own[0]
    person.keeps("mlflow-images")
