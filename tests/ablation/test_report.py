"""A report can be written of any ablation at any moment; it is one file, escapes what people write, hides nothing."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.ablation.report import write_report
from ganlab.ablation.report.pictures import encoded, moments_of
from ganlab.ablation.results import read_results

from ..commands import ganlab
from .made import SSIM, SWD, make_ablation, read_plan, usual, write_plan
from .pages import Element, elements, with_class

ODD = '<b>odd</b> & "quoted" | ünïcode 中 `code` {{ plan }}'
NINE = ["a", "b", "c", "d", "e", "e*", "f", "g", "h"]


def written(folder: Path) -> tuple[list[Element], str]:
    """The page and the Markdown of a report."""
    out = write_report(folder)
    return elements(out / "index.html"), (out / "report.md").read_text(encoding="utf-8")


def text_of(page: list[Element]) -> str:
    return next(element.text for element in page if element.tag == "main")


def verdicts(page: list[Element]) -> list[str]:
    """Of the deciding metric."""
    cells = [re.sub(r"\s+", " ", e.text).strip() for e in with_class(page, "verdict")]
    return cells[: cells.index("baseline", 1)]


def test_the_command_writes_four_files_and_says_where(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "stddev", ["all", "none"], [0], ticks=2)
    done = ganlab("report", folder)
    assert (done.code, done.out) == (0, f"{folder / 'report' / 'index.html'}\n")
    assert {file.name for file in (folder / "report").iterdir()} == {
        "index.html", "report.md", "results.csv", "curves.csv",
    }  # fmt: skip
    assert ganlab("report", folder, "--out", tmp_path / "elsewhere").code == 0
    assert (tmp_path / "elsewhere" / "index.html").exists()


def test_a_folder_of_no_ablation_is_one_clear_line(tmp_path: Path) -> None:
    done = ganlab("report", tmp_path)
    assert (done.code, done.err) == (2, f"{tmp_path} is no folder of an ablation: it has no ablation.json\n")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "ganlab-ablation/9"}, "this ganlab reads ganlab-ablation/1"),
        ({"baseline": "nobody"}, "there is no variant 'nobody'"),
        ({"metrics": []}, "names no metric"),
        ({"seeds": "many"}, "seeds"),
    ],
)
def test_a_damaged_plan_is_one_clear_line(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    folder = make_ablation(tmp_path / "stddev", ["all", "none"], [0], ticks=2)
    write_plan(folder, {**read_plan(folder), **change})
    done = ganlab("report", folder)
    assert done.code == 2
    assert problem in done.err
    assert len(done.err.splitlines()) == 1


def test_two_variants_and_one_seed_say_that_nothing_can_be_said(tmp_path: Path) -> None:
    page, markdown = written(make_ablation(tmp_path / "two", ["all", "none"], [0], ticks=2))
    assert "? n = 1: nothing can be said" in verdicts(page)
    assert "n = 1: nothing can be said" in markdown
    assert "cannot be judged" in with_class(page, "lead")[0].text


def test_nine_variants_have_nine_looks(tmp_path: Path) -> None:
    page, _ = written(make_ablation(tmp_path / "table1", NINE, [0, 1], ticks=2))
    lines = [e.attributes for e in page if e.tag == "polyline" and e.attributes.get("class") == "line"][:9]
    swatches = with_class(page, "swatch")[:9]
    marks = [page[page.index(swatch) + 2].attributes["d"] for swatch in swatches]
    colours = [swatch.attributes["class"] for swatch in swatches]
    assert len(set(colours)) == 9
    assert len(set(zip([line["stroke-dasharray"] for line in reversed(lines)], marks, strict=True))) >= 8
    assert len(verdicts(page)) == 9


def test_a_full_grid_of_two_axes_has_a_table_of_both(tmp_path: Path) -> None:
    values = [{"loss.name": one, "ema.beta": two} for one in ("wgan-gp", "lsgan") for two in (0.9, 0.99)]
    labels = [f"{value['loss.name']}, {value['ema.beta']}" for value in values]
    folder = make_ablation(tmp_path / "axes", labels, [0, 1], ticks=2, axes=["loss.name", "ema.beta"], values=values)
    page, _ = written(folder)
    (table,) = with_class(page, "pivot")
    assert re.search(r"loss\.name ↓ · ema\.beta →\s*0\.9\s*0\.99", table.text)
    folder = make_ablation(tmp_path / "part", labels[:3], [0], ticks=2, axes=["loss.name", "ema.beta"], values=values)
    assert not with_class(written(folder)[0], "pivot")


def test_what_is_unfinished_or_failed_is_shown_and_not_averaged(tmp_path: Path) -> None:
    states = {("spatial", 1): ("running", 5), ("spatial", 2): ("waiting", 0), ("none", 0): ("failed", 3)}
    states |= {("none", 1): ("failed", 1), ("none", 2): ("waiting", 0)}
    page, markdown = written(make_ablation(tmp_path / "open", states=states))
    assert with_class(page, "lead")[0].text.startswith("Preliminary, with 4 of 9 trials finished.")
    assert verdicts(page) == ["baseline", "? n = 1: nothing can be said", "? no finished trial"]
    assert "loss/generator is not finite in the step that began at 3,000 images shown" in text_of(page)
    assert "| none | 0 | — | — | — | — | — | — | — | no finished trial |" in markdown
    states_shown = {element.text for element in with_class(page, "state")}
    assert {"4 finished", "1 interrupted", "2 failed", "2 waiting"} <= states_shown


def test_an_ablation_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    folder = make_ablation(
        tmp_path / "new", states={(v, s): ("waiting", 0) for v in ("all", "spatial", "none") for s in range(3)}
    )
    page, _ = written(folder)
    assert "Preliminary, with 0 of 9 trials finished." in text_of(page)
    assert "No moment yet" in text_of(page)


def test_values_that_are_not_finite_count_as_failed(tmp_path: Path) -> None:
    def measure(variant: int, seed: int, shown: int) -> dict[str, float]:
        broken = {(1, 0): math.nan, (1, 1): math.inf}.get((variant, seed))
        values = usual(variant, seed, shown)
        return values if broken is None or shown < 8000 else {**values, SWD: broken}

    page, markdown = written(make_ablation(tmp_path / "nan", measure=measure))
    assert verdicts(page)[1] == "? n = 1: nothing can be said"
    assert "| spatial | NaN (not finite) | ∞ (not finite) |" in markdown
    assert "2 values NaN or infinite, not drawn" in text_of(page)
    means = [float(f.attributes["data-value"]) for f in with_class(page, "figure") if "mean" in f.attributes["data-of"]]
    assert all(map(math.isfinite, means))


def test_a_damaged_trial_breaks_nothing(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "damaged", ticks=4)
    trials = [folder / trial["folder"] for trial in read_plan(folder)["trials"]]
    (trials[0] / "metrics.jsonl").write_text("not a journal\n")
    (trials[1] / "status.json").write_text("{")
    (trials[2] / "findings.json").write_text("[1]")
    (trials[3] / "run.json").write_text("[]")
    (trials[4] / "samples" / "000004000.png").write_bytes(b"no picture")
    shutil.rmtree(trials[5])
    page, _ = written(folder)
    for words in (
        "cannot read the line",
        "is no JSON",
        "findings.json: the file is damaged",
        "000004000.png cannot be read",
    ):
        assert words in text_of(page), words


def test_what_people_write_is_shown_as_they_wrote_it(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "odd", ["all", ODD], [0, 1], ticks=4, question=f"Why {ODD}?", note=ODD)
    plan = read_plan(folder)
    plan["variants"][1] |= {"differences": [f"x: {ODD}"], "note": "</script><script>alert(1)</script>"}
    write_plan(folder, plan)
    finding = {"name": "collapse", "images_shown": 2000, "text": ODD, "remedy": "<img src=x>"}
    (folder / plan["trials"][1]["folder"] / "findings.json").write_text(json.dumps([finding]))
    page, markdown = written(folder)
    assert next(element.text for element in page if element.tag == "h1") == f"Why {ODD}?"
    assert sum(element.tag == "script" for element in page) == 1
    assert not [element for element in page if element.attributes.get("src") == "x"]
    assert {f"Samples of {ODD}, seed 0, 2,000 images shown"} <= {e.attributes.get("alt") for e in page}
    assert ODD in text_of(page)
    assert "</script><script>alert(1)</script>" in text_of(page)
    assert "collapse" in with_class(page, "findings")[0].text
    assert "<b>" not in markdown
    assert "<script>" not in markdown


def test_published_values_stand_beside_measured_ones_with_the_note(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "published", ticks=2)
    plan = read_plan(folder)
    plan["variants"][1]["published"] = {SWD: 3.56}
    write_plan(folder, plan)
    page, markdown = written(folder)
    assert [cell.text for cell in with_class(page, "published")] == ["—", "3.56", "—"]
    assert plan["note"] in with_class(page, "note-inline")[0].text
    assert "published" in markdown


def test_variants_of_one_recipe_share_their_trials(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "shared", ["all", "same"], [0, 1], ticks=2)
    plan = read_plan(folder)
    for trial, of in zip(plan["trials"][1::2], plan["trials"][::2], strict=True):
        trial |= {"id": of["id"], "folder": of["folder"]}
    write_plan(folder, plan)
    page, _ = written(folder)
    assert "all, same: the same recipe, trained once." in text_of(page)
    assert verdicts(page)[1] == "= no difference shown at n = 2: equal for every seed"


def test_grids_are_of_equal_images_shown_and_the_latest_moment_that_all_have(tmp_path: Path) -> None:
    states = {("spatial", 0): ("running", 5), ("none", 0): ("failed", 2), ("none", 1): ("waiting", 0)}
    folder = make_ablation(tmp_path / "grids", seeds=[0, 1], states=states)
    moments = moments_of(read_results(folder))
    latest = {moment.seed: moment for moment in moments if moment.latest}
    assert (latest[0].images_shown, latest[1].images_shown) == (4000, 8000)
    assert [picture.images_shown for picture in latest[0].pictures] == [4000, 4000, 0]
    assert latest[0].pictures[2].why_not == "no grid here: failed at 2,000 images shown"
    assert latest[1].pictures[2].why_not == "no grid here: waiting at 0 images shown"
    assert [moment.images_shown for moment in moments if moment.seed == 0] == [2000, 4000]


def test_pictures_keep_to_the_budget_but_every_seed_has_one(tmp_path: Path) -> None:
    results = read_results(make_ablation(tmp_path / "budget", seeds=[0, 1]))
    assert len(moments_of(results)) == 8
    few = moments_of(results, budget=1)
    assert [(moment.seed, moment.images_shown) for moment in few] == [(0, 8000), (1, 8000)]


def test_a_small_grid_keeps_its_pixels_and_a_large_one_is_made_smaller() -> None:
    small = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    uri, size = encoded(Image.fromarray(small.repeat(4, 0).repeat(4, 1)), 512)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as back:
        assert np.array_equal(np.asarray(back), small)
    assert size == (48, 32)
    large = np.random.default_rng(1).integers(0, 256, (600, 1200), np.uint8)
    assert encoded(Image.fromarray(large), 512)[1] == (512, 256)


def test_reports_of_equal_folders_are_equal_and_nothing_else_is_written(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "same", ticks=2, seeds=[0])
    before = sorted(path.name for path in folder.rglob("*"))
    first = (write_report(folder, tmp_path / "one") / "index.html").read_bytes()
    assert sorted(path.name for path in folder.rglob("*")) == before
    moved = shutil.move(folder, tmp_path / "moved")
    assert (write_report(Path(moved), tmp_path / "two") / "index.html").read_bytes() == first


def test_the_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    out = write_report(make_ablation(tmp_path / "alone", ticks=2, seeds=[0]))
    page = elements(out / "index.html")
    refers = [e.attributes[name] for e in page for name in ("src", "href", "action") if name in e.attributes]
    assert refers
    assert all(address.startswith(("data:", "#")) for address in refers)
    assert not re.search(r"https?:|url\(|@import", (out / "index.html").read_text())
    anchors = {e.attributes["id"] for e in page if "id" in e.attributes}
    assert {address[1:] for address in refers if address.startswith("#")} <= anchors
    assert all(e.attributes.get("alt") for e in page if e.tag == "img")
    assert not [
        e
        for e in page
        if e.tag == "svg" and e.attributes.get("role") == "img" and page[page.index(e) + 1].tag != "title"
    ]


def test_a_metric_nobody_asked_for_is_there_without_a_verdict(tmp_path: Path) -> None:
    folder = make_ablation(tmp_path / "more", ticks=2)
    write_plan(folder, {**read_plan(folder), "metrics": [{"name": SSIM, "better": ""}]})
    page, _ = written(folder)
    assert "Further metrics that were measured (2)" in text_of(page)
    assert {f.attributes["data-metric"] for f in with_class(page, "figure") if f.attributes["data-of"] == "p"} == {SSIM}
