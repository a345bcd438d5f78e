"""The examples work: recipes load, plugins register, build and train, and commands print what the pages show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner

import ganlab
from benchmarks.__main__ import main as benchmarks
from ganlab.ablation.plan import holds_ablation, plan_ablation
from ganlab.cli import cli
from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS, ImageShape
from ganlab.track.folder import RunFolder
from ganlab.train.choose import Choice
from ganlab.train.run import run

from . import names
from .examples import catalog_of, install_acme_gan, plugin_files, write_page
from .pages import PAGES, SETTINGS_OF_OTHERS, Command, Page

COMMANDS = [(page, command) for page in PAGES.values() for command in page.commands()]
WITH_PLUGINS = [page for page in PAGES.values() if any(block.is_plugin for block in page.blocks)]
WITH_RECIPES = [page for page in PAGES.values() if any(block.is_recipe for block in page.blocks)]
WITH_SETTINGS = [page for page in PAGES.values() if any(block.file_name in SETTINGS_OF_OTHERS for block in page.blocks)]
OTHER_PYTHON = [
    (page, number)
    for page in PAGES.values()
    for number, block in enumerate(page.blocks)
    if block.language == "python" and not block.is_plugin
]
TINY = ["run.images=200", "run.threads=1", "run.check_memory=false", "track.mlflow=false", "track.samples=4"]


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[command.where for _, command in COMMANDS])
def test_command_lines_parse(page: Page, command: Command) -> None:
    words = command.words
    if words[:3] == ("python", "-m", "benchmarks"):
        parse(benchmarks, list(words[3:]) or ["table"])
    elif words[0] == "torchrun":  # its own options come before
        parse(cli, list(words[words.index("-m") + 2 :]))
    elif command.is_ganlab:
        parse(cli, list(words[1:]))
    else:
        assert words[0] in ("pip", "pytest", "python", "twine"), command.where


def parse(group: click.Group, words: list[str]) -> None:
    """Raises what click would say of a command line."""
    if group is cli:
        found, rest = names.find_command(words)
    else:
        found, rest = group.commands[words[0]], words[1:]
    # click keeps what it makes for the first context, so this one must be as the program's own.
    found.make_context(words[0], list(rest), **group.context_settings).close()


EXECUTED = {"console", "python", "toml"}
NOT_CODE = {"text": "output, folders and signatures, which nothing can execute"}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_block_is_of_a_language_that_the_tests_execute(page: Page) -> None:
    fences = re.findall(r"^[ >]*(?:```|~~~)(.*)$", page.text, re.MULTILINE)
    assert len(fences) == 2 * len(page.blocks), f"{page.path.name}: a block that is not read as one"
    for block in page.blocks:
        assert block.language in EXECUTED | set(NOT_CODE), f"{page.path.name}:{block.line}: {block.language!r}"
        if block.language == "console":
            assert re.match(r"\$ ", block.text), f"{page.path.name}:{block.line}: begins with no command"


@pytest.mark.parametrize("page", WITH_RECIPES, ids=lambda page: page.path.name)
def test_recipes_load(page: Page, tmp_path: Path) -> None:
    files = write_page(page, tmp_path)
    catalog = catalog_of(page, tmp_path)
    for name in (name for name in files if name.endswith(".toml")):
        base = tomllib.loads(files[name].read_text()).get("base", "recipes/pggan.toml")
        if (tmp_path / base).exists():
            check(files[name], (), catalog)
        else:  # of a project that the page makes first; test_commands_run goes through it in order
            assert any(command.words[:2] == ("ganlab", "new-plugin") for command in page.commands()), base


@pytest.mark.parametrize("page", WITH_SETTINGS, ids=lambda page: page.path.name)
def test_settings_of_other_programs_are_toml(page: Page) -> None:
    for block in page.blocks:
        if block.language == "toml" and not block.is_recipe:
            assert tomllib.loads(block.text)


def check(file: Path, overrides: Sequence[str], catalog: ganlab.Catalog) -> None:
    """A recipe or an ablation is right; raises what the command line would say."""
    if holds_ablation(file):
        assert plan_ablation(file, overrides, catalog).trials
    else:
        assert ganlab.load_recipe(file, overrides, catalog).recipe is not None


@pytest.mark.parametrize("page", WITH_PLUGINS, ids=lambda page: page.path.name)
def test_plugins_register_components_that_build(page: Page, tmp_path: Path) -> None:
    write_page(page, tmp_path)
    catalog = catalog_of(page, tmp_path)
    files = plugin_files(page, tmp_path)
    ours = {plugin.name for plugin in names.catalog().plugins}
    theirs = {plugin.name: plugin for plugin in catalog.plugins if plugin.name not in ours}
    assert len(theirs) == len(files)
    assert all(plugin.status == "ok" and plugin.hooks for plugin in theirs.values())
    weight = torch.nn.Parameter(torch.zeros(1))
    arguments: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "layer": ((4,), {}),
        "normalization": ((4,), {"track_statistics": True}),
        "weight-scaling": (((4, 4, 3, 3),), {"fan_in": 36, "gain": 1.0}),
        "network": ((ImageShape(3, 8),), {}),
        "schedule": ((), {"resolution": 8, "total_images": 100, "learning_rate": 0.001}),
        "optimizer": (([weight],), {}),
        "system": ((ImageShape(3, 8),), {}),
        "augmentation": ((ImageShape(3, 8),), {}),
    }
    built = set()
    for kind in KINDS:
        for entry in catalog.registry(kind).entries():
            if entry.plugin in theirs:
                positional, named = arguments.get(kind, ((), {}))
                assert catalog.create(kind, entry.qualified_name).build(*positional, **named) is not None
                built.add(kind)
    if page.path.name == "plugins.md":
        assert built == set(KINDS) - {"executor"}


@pytest.mark.parametrize(
    ("page", "number"),
    OTHER_PYTHON,
    ids=[f"{page.path.name}:{page.blocks[number].line}" for page, number in OTHER_PYTHON],
)
def test_other_python_runs(page: Page, number: int, tmp_path: Path) -> None:
    """Modules of a package are imported, tests are handed to pytest, and everything else is run as a program."""
    files = write_page(page, tmp_path)
    block = page.blocks[number]
    name = block.file_name or f"block{number}.py"
    search = [tmp_path, tmp_path / "src"]
    if block.is_test:
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    elif "/" in name:
        words = [
            "-c",
            f"import {name.removeprefix('src/').removesuffix('.py').removesuffix('/__init__').replace('/', '.')}",
        ]
        if "acme_gan" in name:
            install_acme_gan(page, tmp_path / "site")
            search.insert(0, tmp_path / "site")
    else:
        words = [str(files[name])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, search)), "GANLAB_STRICT_PLUGINS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def train(recipe: Path, overrides: list[str], catalog: ganlab.Catalog, folder: Path) -> RunFolder:
    loaded = ganlab.load_recipe(recipe, [*overrides, *TINY], catalog)
    assert run(loaded, Choice(folder, "start"), say=lambda text: None) == 0
    return RunFolder.open(folder)


def test_all_example_components_train_together(tmp_path: Path) -> None:
    page = PAGES["plugins.md"]
    write_page(page, tmp_path)
    command = next(c for c in page.commands() if "mean_colour.py" in c.words)
    shown = {Path(file).name for file in command.values_of("--plugin")}
    assert shown <= {file.name for file in plugin_files(page, tmp_path)}
    recipe = tmp_path / command.words[2]
    folder = train(recipe, command.values_of("--set"), catalog_of(page, tmp_path), tmp_path / "run")
    assert '"metric/mean-colour"' in (folder.path / "metrics.jsonl").read_text()


def test_the_example_networks_train_with_labels(tmp_path: Path) -> None:
    page = PAGES["plugins.md"]
    write_page(page, tmp_path)
    overrides = ["generator=dense-generator", "discriminator=dense-discriminator", "schedule=fixed"]
    overrides += ["data.name=synthetic", "data.classes=3", "data.labels=true", 'regularizers=["ac-gan"]']
    folder = train(tmp_path / "recipes/pggan.toml", overrides, catalog_of(page, tmp_path), tmp_path / "run")
    status = folder.status()
    assert status is not None
    assert status.state == "finished"


@pytest.mark.parametrize("name", ["tutorial.md", "plugins.md"])
def test_the_example_loss_trains(name: str, tmp_path: Path) -> None:
    write_page(PAGES[name], tmp_path)
    catalog = catalog_of(PAGES[name], tmp_path)
    train(tmp_path / "recipes/pggan.toml", ["loss=ragan", "run.images=50"], catalog, tmp_path / "run")


# -- what commands print -----------------------------------------------------------------------------------------------

CHEAP = ("check", "show", "list", "plugins", "schema")
SHOWN = [(page, c) for page, c in COMMANDS if c.is_ganlab and c.words[1] in CHEAP and c.output]


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with our recipes and `wrong.toml`, in which commands are called."""
    (tmp_path / "wrong.toml").write_text(
        'base = "recipes/pggan.toml"\n[run]\nseed = "3"\n[loss]\ngp_wieght = 5.0\n'
        '[generator]\nnormalization = "pixle"\n[data]\nresolution = 48\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLAB_PLUGINS", "acme-gan")
    return tmp_path


@pytest.mark.parametrize(("page", "command"), SHOWN, ids=[command.where for _, command in SHOWN])
def test_commands_print_what_is_shown(
    page: Page, command: Command, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_page(page, at_home)
    if any("acme-gan:" in line or "acme-gan " in line for line in command.output) and "require" not in str(command):
        site = at_home / "site"
        install_acme_gan(page, site)
        if any("register_losess" in line for line in command.output):
            hooks = site / "acme_gan/__init__.py"
            hooks.write_text(hooks.read_text().replace("register_losses", "register_losess"))
        monkeypatch.syspath_prepend(str(site))
        for module in [name for name in sys.modules if name.partition(".")[0] == "acme_gan"]:
            monkeypatch.delitem(sys.modules, module)
    result = CliRunner().invoke(cli, list(command.words[1:]))
    printed = result.output
    if isinstance(result.exception, GanlabError):
        printed += str(result.exception)
    else:
        assert result.exit_code == 0, result.exception
    for line in command.output:
        assert re.search(pattern(line), printed, re.MULTILINE), f"{command.where}: not printed: {line}\n{printed}"


def pattern(shown: str) -> str:
    """A line as the pages show it: `...` stands for anything; digests and line numbers of our recipes change."""
    escaped = re.escape(shown.rstrip()).replace(re.escape("..."), ".*")
    escaped = re.sub(r"digest\\ [0-9a-f]+", "digest [0-9a-f]+", escaped)
    return "^" + re.sub(r"(recipes/[\w-]+\\.toml):\d+", r"\1:\\d+", escaped) + r"\s*$"


def test_a_changed_output_would_be_noticed() -> None:
    assert not re.search(pattern("schedule"), "  fixed        Train at the full resolution", re.MULTILINE)
    assert re.search(pattern("  ... [ganlab 0.1.0]"), "  fixed  Train  [ganlab 0.1.0]", re.MULTILINE)


def checked_recipes() -> list[tuple[Page, Command]]:
    """Every other command with a recipe of ours: its overrides must be right."""
    return [
        (page, command)
        for page, command in COMMANDS
        if command.is_ganlab
        and any(word.startswith("recipes/") for word in command.words)
        and not command.values_of("--uri")
        and (page, command) not in SHOWN
    ]


@pytest.mark.parametrize(
    ("page", "command"), checked_recipes(), ids=[command.where for _, command in checked_recipes()]
)
def test_overrides_of_shown_commands_are_right(page: Page, command: Command, tmp_path: Path) -> None:
    write_page(page, tmp_path)
    plugins = [tmp_path / file for file in command.values_of("--plugin")]
    recipe = next(word for word in command.words if word.startswith("recipes/"))
    assert all(file.exists() for file in plugins)
    if "loss=ragan" in command.words and not plugins:  # the installed one
        plugins = [tmp_path / "ragan.py"]
    catalog = ganlab.load_plugins(plugins) if plugins else names.catalog()
    check(tmp_path / recipe, command.values_of("--set"), catalog)
