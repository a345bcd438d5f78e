"""The programs and recipes that the pages show, written to files as a reader would write them."""

from __future__ import annotations

import shutil
import textwrap
import tomllib
from pathlib import Path

import ganlab
from ganlab.plugins import Catalog

from .pages import ROOT, SETTINGS_OF_OTHERS, Page


def write_page(page: Page, folder: Path) -> dict[str, Path]:
    """Every named Python block and every recipe of a page in `folder`, beside a copy of our recipes; name to file."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    files = {}
    for number, block in enumerate(page.blocks):
        if block.language not in ("python", "toml"):
            continue
        name = block.file_name or f"block{number}.{ {'python': 'py', 'toml': 'toml'}[block.language] }"
        if name in SETTINGS_OF_OTHERS:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        files[name] = path
    return files


def plugin_files(page: Page, folder: Path) -> list[Path]:
    """The single-file plugins among `write_page`'s files."""
    return [folder / str(block.file_name) for block in page.blocks if block.is_plugin]


def catalog_of(page: Page, folder: Path) -> Catalog:
    """Our plugins and the page's, which must all work."""
    return ganlab.load_plugins(plugin_files(page, folder), {"GANLAB_STRICT_PLUGINS": "1", "GANLAB_PLUGINS": ""})


def install_acme_gan(page: Page, folder: Path) -> None:
    """The package that the page on plugins builds up, as pip would leave it in `folder`."""
    blocks = {block.file_name: block.text for block in page.blocks}
    package = folder / "acme_gan"
    package.mkdir(parents=True)
    for name in ("acme_gan/__init__.py", "acme_gan/losses.py"):
        (folder / name).write_text(blocks[name], encoding="utf-8")
    (package / "built.py").write_text(blocks["ragan.py"], encoding="utf-8")
    entry_points = tomllib.loads(blocks["pyproject.toml"])["project"]["entry-points"]["ganlab"]
    metadata = folder / "acme_gan-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text(
        "[ganlab]\n" + "".join(f"{name} = {module}\n" for name, module in entry_points.items())
    )
    (metadata / "METADATA").write_text(
        textwrap.dedent("""\
            Metadata-Version: 2.1
            Name: acme-gan
            Version: 0.1.0
            """)
    )
