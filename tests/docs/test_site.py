"""The pages build into a site without a warning, and the site fetches nothing from anywhere else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from .pages import DOCS, PAGES


def build(pages: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{out}.cache"]
    return subprocess.run([*words, str(pages), str(out)], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "html"
    done = build(DOCS, out)
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    navigation = start.partition('class="sphinxsidebar"')[2]
    pages = [name.removesuffix(".md") for name in PAGES if name != "index.md"]
    pages += [f"decisions/{path.stem}" for path in (DOCS / "decisions").glob("*.md")]
    for page in pages:
        assert (site / f"{page}.html").exists()
        assert f'href="{page}.html"' in navigation, page


def test_pictures_are_part_of_the_site(site: Path) -> None:
    shown = {name for page in PAGES.values() for name in re.findall(r"!\[[^\]]*\]\(images/([^)]+)\)", page.text)}
    assert shown
    assert shown <= {path.name for path in (site / "_images").iterdir()}


class Fetched(HTMLParser):
    """What a browser gets by itself when it shows a page: all but the links that a reader follows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data") and value]


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        fetched = Fetched()
        fetched.feed(path.read_text(encoding="utf-8"))
        assert fetched.found
        foreign = [where for where in fetched.found if re.match(r"(\w+:)?//", where)]
        assert not foreign, f"{path.name}: {foreign}"
    for path in site.rglob("*.css"):
        assert not re.search(r"""(@import|url\()\s*["']?(\w+:)?//""", path.read_text(encoding="utf-8")), path.name


MISTAKES = {
    "page": "[gone](gone.md)",
    "heading": "[gone](right.md#gone)",
    "picture": "![gone](images/gone.png)",
    "language": "```no-such-language\nx\n```",
}


def test_mistakes_on_a_page_are_warnings(tmp_path: Path) -> None:
    """So that the strict build above says something."""
    pages = tmp_path / "docs"
    pages.mkdir()
    shutil.copy(DOCS / "conf.py", pages)
    (pages / "right.md").write_text("# Right\n\n## A heading\n\n[here](right.md#a-heading)\n\n```toml\na = 3\n```\n")
    for name, mistake in MISTAKES.items():
        (pages / f"{name}.md").write_text(f"# Page\n\n{mistake}\n")
    links = " ".join(f"[{name}]({name}.md)" for name in ("right", *MISTAKES))
    (pages / "index.md").write_text(f"# Start\n\n{links}\n")
    done = build(pages, tmp_path / "html")
    assert done.returncode != 0
    assert sorted(re.findall(r"/(\w+)\.md:\d+: WARNING", done.stderr)) == sorted(MISTAKES)
