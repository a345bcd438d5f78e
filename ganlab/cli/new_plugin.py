"""`ganlab new-plugin`: a project of one's own that works as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlab.cli.common import catalog_with_warnings, complete_kind
from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.plugins import Catalog
    from ganlab.scaffold import Project


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    default=("loss",),
    show_default=True,
    shell_complete=complete_kind,
    help="What the plugin offers: loss, layer, network, ... (repeatable; `ganlab list` has all kinds).",
)
@click.option("--component", metavar="NAME", help="What recipes call it; by default the project's name and what it is.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder of the project; default ./NAME.")
@click.option("--license", "license_", default="Apache-2.0", show_default=True, help="Apache-2.0, or none.")
def new_plugin(name: str, kinds: tuple[str, ...], component: str | None, folder: Path | None, license_: str) -> None:
    """Write the project of a new plugin called NAME.

    It can be installed as it is, its tests pass, and a recipe in it uses the component at once. Change what it
    computes.

    \b
    ganlab new-plugin acme-gan --kind loss
    ganlab new-plugin acme-gan --kind layer --component soft-contrast --dir ~/acme
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.scaffold import Project, write_project
    from ganlab.scaffold.names import taken

    catalog = catalog_with_warnings()
    for kind in kinds:
        catalog.registry(kind)
    project = Project(name, kinds, component, license_)
    _refuse_names_of_others(project, catalog)
    installed = taken(project.name, project.package)
    folder = folder or Path(name)
    written = write_project(project, folder)
    if installed:
        click.echo(f"ganlab: warning: {installed}, and cannot be used beside this one", err=True)
    _tell(project, folder, len(written))


def _refuse_names_of_others(project: Project, catalog: Catalog) -> None:
    """Raise `GanlabError` for a component that another plugin offers: its recipe would have to say which one it means.

    One of an installed distribution of the project's own name is no other's.
    """
    for part in project.parts:
        for entry in catalog.registry(part.kind).entries():
            if {entry.name, *entry.aliases} & set(part.targets) and entry.distribution != project.distribution:
                raise GanlabError(
                    f"{part.kind} '{entry.name}' is offered by {entry.distribution} already; "
                    "choose another name with --component"
                )


def _tell(project: Project, folder: Path, count: int) -> None:
    """What there is now, and what to do with it."""
    click.echo(f"{folder}: a plugin in {count} files")
    for part in project.parts:
        for name in part.targets:
            click.echo(f"  {part.kind} '{name}': {part.example.summary}")
    click.echo("Now:")
    click.echo(f"  cd {folder}")
    click.echo("  pip install -e '.[dev]'")
    click.echo("  pytest")
    for part in project.parts:
        click.echo(f"  ganlab {part.example.command} {part.recipe}")
    built = f"/{project.parts[0].built}" if len(project.parts) == 1 else ""
    click.echo(f"Then change what it computes in src/{project.package}{built}; README.md has the rest.")
