"""What several commands share: options, the catalog with its warnings on one line each, and errors."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from ganlab.errors import DataError, GanlabError
from ganlab.interfaces import KINDS
from ganlab.plugins import Catalog, PluginWarning, load_plugins

if TYPE_CHECKING:
    from ganlab.ablation.plan import AblationPlan
    from ganlab.recipe import LoadedRecipe

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
    with _one_line_warnings(PluginWarning, "; `ganlab plugins` tells more"):
        catalog = load_plugins(files)
    named = {str(Path(file).expanduser().resolve()) for file in files}
    for plugin in catalog.failed():
        if plugin.source in named:
            raise GanlabError(f"--plugin {plugin.source}: {plugin.reason}")
    return catalog


def recipe_with_warnings(file: Path, overrides: Sequence[str], catalog: Catalog) -> LoadedRecipe:
    """The checked recipe; each deprecated component in it becomes one warning line."""
    from ganlab.components import DeprecatedComponent
    from ganlab.recipe import load_recipe

    with _one_line_warnings(DeprecatedComponent):
        return load_recipe(file, overrides, catalog)


def ablation_with_warnings(file: Path, overrides: Sequence[str], catalog: Catalog) -> AblationPlan:
    """The checked ablation; each deprecated component in it becomes one warning line."""
    from ganlab.ablation.plan import plan_ablation
    from ganlab.components import DeprecatedComponent

    with _one_line_warnings(DeprecatedComponent):
        return plan_ablation(file, overrides, catalog)


@contextmanager
def _one_line_warnings(category: type[Warning], ending: str = "") -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", category)
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught if issubclass(warning.category, category)):
        click.echo(f"ganlab: warning: {text}{ending}", err=True)


@contextmanager
def blaming(loaded: LoadedRecipe) -> Iterator[None]:
    """Puts file and line of the recipe before an error that comes up only when its data or device are used."""
    try:
        yield
    except GanlabError as error:
        text = str(error)
        placed = re.sub(
            r"^[a-z_]+(\.[a-z_0-9]+)+(?=: )",
            lambda key: f"{loaded.document.origin(tuple(key.group().split('.')))}: {key.group()}",
            text,
            flags=re.MULTILINE,
        )
        if placed != text:
            raise type(error)(placed) from error
        origins = {str(origin) for origin in loaded.document.origins.values()}
        if isinstance(error, DataError) and not any(text.startswith(f"{origin}: ") for origin in origins):
            data = loaded.document.data["data"]
            named = "path" if "path" in data else "name"
            raise DataError(f"{loaded.document.origin(('data', named))}: data.{named}: {text}") from error
        raise


def complete_kind(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """TAB for a kind of component; where a recipe may stand too, for files."""
    found = [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]
    return found or ([CompletionItem(incomplete, type="file")] if parameter.name == "what" else [])


def complete_component(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """TAB for the name of a component, after its kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # a warning would end up in the middle of the command line
        registry = load_plugins().registries.get(context.params.get("what") or "")
    entries = registry.entries() if registry else []
    return [CompletionItem(entry.name, help=entry.summary) for entry in entries if entry.name.startswith(incomplete)]


def plugin_commands(taken: Collection[str]) -> dict[str, click.Command]:
    """The commands that plugins offer; those of a broken plugin, and names that are taken, are left with a warning."""
    manager = catalog_with_warnings().manager
    commands: dict[str, click.Command] = {}
    for name, module in manager.list_name_plugin():
        others = [other for other in manager.get_plugins() if other is not module]
        offered = click.Group(name)
        try:
            manager.subset_hook_caller("register_commands", others)(cli=offered)
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            click.echo(f"ganlab: warning: commands of plugin {name} are left out: {reason}", err=True)
            continue
        for command_name, command in offered.commands.items():
            if command_name in taken or command_name in commands:
                text = f"plugin {name} offers a command '{command_name}', which is taken"
                click.echo(f"ganlab: warning: {text}", err=True)
            else:
                commands[command_name] = command
    return commands


def fail(error: GanlabError) -> NoReturn:
    """Print the lines of an error and end with exit code 2."""
    for line in str(error).splitlines():
        click.echo(line, err=True)
    sys.exit(2)
