"""Every figure of the page is what the journal lines it names come to, worked out here without ganlab's own code."""

from __future__ import annotations

import csv
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ganlab.ablation.report import write_report

from .made import SSIM, SWD, journal_value, make_ablation
from .pages import Element, elements, with_class


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation in the middle of things, with its report."""
    folder = make_ablation(
        tmp_path_factory.mktemp("runs") / "stddev",
        ["all", "spatial", "gpool", "none"],
        [0, 1, 2],
        states={("gpool", 1): ("running", 5), ("none", 2): ("failed", 3)},
    )
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> list[Element]:
    return elements(folder / "report" / "index.html")


def values_of(folder: Path, element: Element, which: str = "data-source") -> list[float]:
    sources = element.attributes[which].split("\n") if element.attributes[which] else []
    return [journal_value(folder, source, element.attributes["data-metric"]) for source in sources]


def recomputed(of: str, values: list[float], baseline: list[float]) -> float:
    differences = [one - two for one, two in zip(values, baseline, strict=bool(baseline))]
    made = {
        "last": lambda: values[0],
        "best": lambda: values[0],
        "mean of last": lambda: statistics.fmean(values),
        "mean of best": lambda: statistics.fmean(values),
        "standard deviation of last": lambda: statistics.stdev(values),
        "difference": lambda: statistics.fmean(differences),
        "bootstrap low": lambda: min(differences),  # exact at n = 2 and 3
        "bootstrap high": lambda: max(differences),
        "t low": lambda: t_interval(differences)[0],
        "t high": lambda: t_interval(differences)[1],
        "p": lambda: float(stats.ttest_rel(values, baseline).pvalue),
    }
    return float(made[of]())


def t_interval(differences: list[float]) -> tuple[float, float]:
    n = len(differences)
    reach = stats.t.ppf(0.975, n - 1) * statistics.stdev(differences) / math.sqrt(n)
    return statistics.fmean(differences) - reach, statistics.fmean(differences) + reach


def shown(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", "").removeprefix("< "))


def test_every_figure_follows_from_the_lines_it_names(folder: Path, page: list[Element]) -> None:
    figures = with_class(page, "figure")
    kinds = set()
    for figure in figures:
        attributes = figure.attributes
        kinds.add(attributes["data-of"])
        expected = recomputed(
            attributes["data-of"], values_of(folder, figure), values_of(folder, figure, "data-baseline")
        )
        value = float(attributes["data-value"])
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12), attributes
        decimals = len(figure.text.partition(".")[2])
        assert shown(figure.text) == pytest.approx(value, abs=0.5001 * 10.0**-decimals + 1e-9 * abs(value)), figure.text
        for source in attributes["data-source"].split("\n"):
            assert source in attributes["title"]
    assert len(figures) >= 100
    assert kinds == {
        "last", "best", "mean of last", "mean of best", "standard deviation of last", "difference",
        "bootstrap low", "bootstrap high", "t low", "t high", "p",
    }  # fmt: skip


def test_a_pair_is_one_seed(page: list[Element]) -> None:
    pairs = [figure.attributes for figure in with_class(page, "figure") if figure.attributes["data-baseline"]]
    for pair in pairs:
        seeds = [
            [source.split("-s")[1][0] for source in pair[which].split("\n")]
            for which in ("data-source", "data-baseline")
        ]
        assert seeds[0] == seeds[1] == sorted(set(seeds[0]))


def test_adjusted_p_values_are_holms_over_their_family(page: list[Element]) -> None:
    raw = [float(f.attributes["data-value"]) for f in with_class(page, "figure") if f.attributes["data-of"] == "p"]
    holm = with_class(page, "holm")
    families = [element.attributes["data-family"] for element in holm]
    assert families == ["deciding"] * 3 + ["other"] * 3
    for first in (0, 3):
        family = raw[first : first + 3]
        order = np.argsort(family)
        expected = np.maximum.accumulate([min(1.0, (3 - rank) * family[i]) for rank, i in enumerate(order)])
        found = [float(holm[first + i].attributes["data-value"]) for i in order]
        assert found == pytest.approx(expected)


def test_every_point_of_every_curve_is_the_mean_of_the_lines_it_names(folder: Path, page: list[Element]) -> None:
    points = charts = 0
    title = folders = ""
    for i, element in enumerate(page):
        if element.tag == "svg" and element.attributes.get("class") == "chart":
            title, charts = page[i + 1].text.removesuffix(" over images shown"), charts + 1
        if "data-folders" in element.attributes:
            folders = element.attributes["data-folders"]
        if "data-lines" not in element.attributes:
            continue
        lines = zip(folders.split("\n"), element.attributes["data-lines"].split(" "), strict=True)
        values = [journal_value(folder, f"{run}/metrics.jsonl:{line}", title) for run, line in lines if line != "-"]
        assert float(element.attributes["data-mean"]) == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-12)
        points += 1
    assert charts == 6  # three metrics, two losses and a score; what is constant has none
    assert points > 100


def test_results_csv_names_lines_that_hold_its_values(folder: Path) -> None:
    with open(folder / "report" / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3 * 3
    for row in rows:
        for value, line in ((row["last"], row["line"]), (row["best"], row["best_line"])):
            if value:
                source = f"{row['folder']}/metrics.jsonl:{line}"
                assert float(value) == journal_value(folder, source, row["metric"])
    swd = {(row["variant"], row["seed"]): row for row in rows if row["metric"] == SWD}
    assert swd["gpool", "1"]["counted"] == swd["gpool", "1"]["state"] == "interrupted"
    assert swd["none", "2"]["counted"] == "failed"
    assert swd["all", "0"]["counted"] == "yes"
    assert all(not row["best"] for row in rows if row["metric"] == SSIM), "neither direction of MS-SSIM is better"


def test_curves_csv_holds_all_of_the_journals(folder: Path) -> None:
    with open(folder / "report" / "curves.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = sum(len(journal.read_text().splitlines()) for journal in folder.glob("*/metrics.jsonl"))
    assert len({(row["folder"], row["line"]) for row in rows}) == lines
    for row in rows[:: max(1, len(rows) // 50)]:
        assert float(row["value"]) == journal_value(folder, f"{row['folder']}/metrics.jsonl:{row['line']}", row["name"])
