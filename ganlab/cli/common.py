"""What several commands share: options, the catalog with its warnings on one line each, and errors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from ganlab.errors import GanlabError
from ganlab.plugins import Catalog, PluginWarning, load_plugins

Command = TypeVar("Command", bound=Callable[..., Any])


def plugin_option(command: Command) -> Command:
    """`--plugin FILE`, for trying a plugin that is not packaged yet."""
    option = click.option(
        "--plugin",
        "plugin_files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Also load this Python file as a plugin (repeatable).",
    )
    return option(command)


def recipe_options(command: Command) -> Command:
    """The recipe argument with `--set` and `--plugin`."""
    command = plugin_option(command)
    command = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one value of the recipe, such as loss=lsgan or run.images=2000 (repeatable; VALUE is TOML).",
    )(command)
    return click.argument("recipe", type=click.Path(path_type=Path))(command)


def catalog_with_warnings(files: tuple[Path, ...] = ()) -> Catalog:
    """The catalog; each broken plugin becomes one warning line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        catalog = load_plugins(files)
    for warning in caught:
        if issubclass(warning.category, PluginWarning):
            click.echo(f"ganlab: warning: {warning.message}; `ganlab plugins` tells more", err=True)
    named = {str(Path(file).expanduser().resolve()) for file in files}
    for plugin in catalog.failed():
        if plugin.source in named:
            raise GanlabError(f"--plugin {plugin.source}: {plugin.reason}")
    return catalog


def attach_plugin_commands(group: click.Group, taken: set[str]) -> None:
    """Let every plugin add its commands; a broken one, or a name that is taken, is a warning."""
    if group.params and getattr(group, "_plugins_attached", False):
        return
    group._plugins_attached = True  # type: ignore[attr-defined]  # remembered on the group itself, not in the module
    catalog = catalog_with_warnings()
    names = dict(catalog.manager.list_name_plugin())
    for name, module in names.items():
        others = [other for other in catalog.manager.get_plugins() if other is not module]
        offered = click.Group(name)
        try:
            catalog.manager.subset_hook_caller("register_commands", others)(cli=offered)
        except Exception as error:
            click.echo(f"ganlab: warning: commands of plugin {name} are left out: {error}", err=True)
            continue
        for command_name, command in offered.commands.items():
            if command_name in taken or command_name in group.commands:
                click.echo(
                    f"ganlab: warning: plugin {name} offers a command '{command_name}', which is taken", err=True
                )
            else:
                group.add_command(command)


def fail(error: GanlabError) -> NoReturn:
    """Print the lines of an error and end with exit code 2."""
    for line in str(error).splitlines():
        click.echo(line, err=True)
    sys.exit(2)
