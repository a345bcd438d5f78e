"""The page in a real browser without a network: it asks for nothing, and its selectors show the right grid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganlab.ablation.report import write_report

from .. import chromium
from .made import make_ablation

pytestmark = pytest.mark.browser
LABELS = ["all", "<b>odd</b> & ünïcode", "none"]
CHOOSE = """
const [element, value, event] = arguments;
element.value = value;
element.dispatchEvent(new Event(event));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_ablation(tmp_path_factory.mktemp("runs") / "stddev", LABELS, [0, 1, 2])
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium at the page, with every name and address but files unreachable."""
    driver = chromium.start(
        tmp_path_factory.mktemp("profile"),
        "window-size=1300,1400",
        "host-resolver-rules=MAP * ~NOTFOUND",
        "proxy-server=127.0.0.1:9",
        **{"goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}},
    )
    driver.get((folder / "report" / "index.html").as_uri())
    yield driver
    driver.quit()


def shown_grids(browser: Any) -> list[str]:
    images = browser.find_elements("css selector", ".moment img")
    assert all(image.get_property("naturalWidth") > 0 for image in images if image.is_displayed())
    return [image.get_attribute("data-source") for image in images if image.is_displayed()]


def test_no_errors_and_no_requests(browser: Any) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked = [it["request"]["url"] for it in sent if it["documentURL"].startswith("file:")]  # not the browser's new tab
    assert asked, "the page itself is a request"
    assert {address.partition(":")[0] for address in asked} <= {"file", "data"}
    assert len([address for address in asked if address.startswith("file:")]) == 1
    assert browser.get_log("browser") == []


def test_the_selectors_show_the_grids_of_their_seed_and_moment(browser: Any, folder: Path) -> None:
    seed = browser.find_element("id", "seed")
    moment = browser.find_element("id", "moment")
    for wanted in ("2", "0", "1"):
        browser.execute_script(CHOOSE, seed, wanted, "change")
        found = shown_grids(browser)
        assert len(found) == len(LABELS)
        assert all(f"-s{wanted}-" in source and source.endswith("/000008000.png") for source in found)
        assert all((folder / source).is_file() for source in found)
    browser.execute_script(CHOOSE, moment, "0", "input")
    assert all("-s1-" in source and source.endswith("/000002000.png") for source in shown_grids(browser))


def test_a_variant_can_be_hidden_in_all_charts(browser: Any) -> None:
    lines = browser.find_elements("css selector", '#curves > .charts > figure > svg g[data-variant="1"]')
    box = browser.find_element("css selector", '#curves .legend input[data-variant="1"]')
    assert len(lines) == 2
    assert all(line.is_displayed() for line in lines)
    browser.execute_script("arguments[0].click()", box)
    assert not any(line.is_displayed() for line in lines)
    browser.execute_script("arguments[0].click()", box)
    assert all(line.is_displayed() for line in lines)


def test_pointing_at_a_chart_reads_it_out(browser: Any) -> None:
    from selenium.webdriver import ActionChains

    figure = browser.find_element("css selector", "#curves figure.curve")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", figure)
    ActionChains(browser).move_to_element(figure.find_element("css selector", "svg")).perform()
    words = figure.find_element("class name", "readout").text
    assert "images shown:" in words
    assert all(label in words for label in LABELS)


def test_nothing_is_wider_than_a_narrow_screen(browser: Any) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
