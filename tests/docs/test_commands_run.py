"""Every command of every page is run as a reader would: in the order of the page, in one folder, only smaller."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..commands import ganlab
from .examples import install_acme_gan, write_page
from .home import (
    ENDS,
    NOT_RUN,
    begins_anew,
    check_of,
    install,
    lacks_data,
    make_home,
    reason_not_to_run,
    run_that_is_not_there,
    small,
)
from .pages import PAGES, Command, Page

WITH_COMMANDS = [page for page in PAGES.values() if any(True for _ in page.commands())]


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    """The list above stays short: an entry that no page needs any more must go."""
    lines = [" ".join(command.words) for page in PAGES.values() for command in page.commands()]
    for pattern in NOT_RUN:
        assert any(re.match(pattern, line) for line in lines), pattern
    for part in ENDS:
        assert any(part in line for line in lines), part


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GANLAB_PLUGINS", "")
        patch.setenv("OMP_NUM_THREADS", "1")
        make_home(folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.path.name)
def test_the_commands_of_a_page_run(page: Page, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    shutil.copytree(home, folder)
    shutil.rmtree(folder / "recipes")
    write_page(page, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GANLAB_PLUGINS")
    site = folder / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    checked_only, begun = False, set[Path]()
    for command in page.commands():
        if command.words[:2] == ("pip", "install") and installed(command, page, site):
            importlib.invalidate_caches()
        elif reason_not_to_run(command) is not None or (checked_only and run_that_is_not_there(command)):
            continue
        elif command.is_ganlab and lacks_data(command):
            checked_only = True
            ended = ganlab(*check_of(command))
            assert ended.code == 0, f"{command.where}\n{ended.err}"
        else:
            for run in begins_anew(command) if command.is_ganlab else ():
                if run not in begun:
                    shutil.rmtree(run, ignore_errors=True)
                begun.add(run)
            run_one(command)
    for name, module in list(sys.modules.items()):
        if str(site) in str(getattr(module, "__file__", "")):
            monkeypatch.delitem(sys.modules, name)


def installed(command: Command, page: Page, site: Path) -> bool:
    """Whether a package of the page itself was asked for; it is then installed, as pip would."""
    for word in (word.partition("[")[0] for word in command.words[2:]):
        if Path(word, "pyproject.toml").exists() and word != ".":
            for block in page.blocks:  # files of the project that the page has the reader change
                if block.file_name and Path(word, block.file_name).exists():
                    Path(word, block.file_name).write_text(block.text, encoding="utf-8")
            install(Path(word), site)
            return True
        if word == "acme-gan" and page.path.name == "plugins.md":
            if not (site / "acme_gan").exists():
                install_acme_gan(page, site)
            return True
    return False


def run_one(command: Command) -> None:
    line = " ".join(command.words)
    expected = next((code for part, code in ENDS.items() if part in line), 0)
    if command.is_ganlab:
        ended = ganlab(*small(command))
        assert ended.code == expected, f"{command.where}\n{ended.out}\n{ended.err}"
        assert "Traceback" not in ended.err
    else:
        words = [sys.executable, *command.words[1:]] if command.words[0] == "python" else list(command.words)
        ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == expected, f"{command.where}\n{ran.stderr}"
