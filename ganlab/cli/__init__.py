"""The `ganlab` command. One module a command, imported when it is called; nothing here imports torch or mlflow."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import NoReturn

import click

from ganlab import __version__
from ganlab.cli.common import fail, plugin_commands
from ganlab.errors import GanlabError

_COMMANDS = {
    "run": "ganlab.cli.run:run",
    "ablate": "ganlab.cli.ablate:ablate",
    "check": "ganlab.cli.check:check",
    "plan": "ganlab.cli.plan:plan",
    "show": "ganlab.cli.show:show",
    "list": "ganlab.cli.list:list_components",
    "plugins": "ganlab.cli.plugins:plugins",
    "schema": "ganlab.cli.schema:schema",
    "data": "ganlab.cli.data:data",
    "generate": "ganlab.cli.generate:generate",
    "evaluate": "ganlab.cli.evaluate:evaluate",
    "import-weights": "ganlab.cli.weights:import_weights",
    "export-weights": "ganlab.cli.weights:export_weights",
    "report": "ganlab.cli.report:report",
    "sync": "ganlab.cli.sync:sync",
    "ui": "ganlab.cli.ui:ui",
    "new-plugin": "ganlab.cli.new_plugin:new_plugin",
    "completion": "ganlab.cli.completion:completion",
}


class LazyGroup(click.Group):
    """Finds our commands by name without importing their modules, and plugins' commands once they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *sorted(self._offered(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return self._offered(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click, but an unknown command is told the one most like it (click knows only commands already loaded)."""
        if args[0][:1] != "-" and not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            from ganlab.registry import suggestion

            near = suggestion(args[0], self.list_commands(ctx))
            raise click.UsageError(f"No such command '{args[0]}'{near or '.'}", ctx)
        return super().resolve_command(ctx, args)

    def _offered(self, ctx: click.Context) -> dict[str, click.Command]:
        """The plugins' commands, found once for each call of the program."""
        key = "ganlab.plugin_commands"
        if key not in ctx.meta:
            ctx.meta[key] = plugin_commands(_COMMANDS)
        commands: dict[str, click.Command] = ctx.meta[key]
        return commands

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, each with its whole first sentence; click would cut it at the terminal's width."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(200)) for name, command in commands if command and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with `ganlab run recipes/pggan.toml`, then `ganlab ui` to look at it.",
)
@click.version_option(__version__, prog_name="ganlab")
@click.option("--debug", is_flag=True, help="Show tracebacks instead of one-line errors.")
def cli(debug: bool) -> None:
    """A bench for experiments on generative adversarial networks.

    A recipe (TOML) names components (networks, losses, layers, schedules, data). `ganlab run` trains it, `ganlab list`
    and `ganlab show` tell what can be named, and every change is one --set KEY=VALUE away.
    """


def main() -> NoReturn:
    """Run the command line; a user's mistake ends with exit code 2 and one line a problem, never a traceback."""
    debug = "--debug" in sys.argv or bool(os.environ.get("GANLAB_DEBUG"))
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # also after the command
    try:
        code = cli.main(arguments, prog_name="ganlab", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("ganlab: interrupted", err=True)
        sys.exit(130)
    except GanlabError as error:
        if debug:
            traceback.print_exc()
        fail(error)
    except Exception as error:
        if debug:
            raise
        for line in _unexpected(error):
            click.echo(f"ganlab: {line}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> list[str]:
    """What to say of an exception that nobody expected: whose it is, and what tells more."""
    from ganlab.blame import culprit

    found = culprit(error)
    text = f"{type(error).__name__}: {error}"
    if found is None:
        return [
            f"unexpected {text}",
            "this is a fault in ganlab or in a plugin; run again with --debug to see where",
        ]
    how = "called ganlab, which raised" if found.calls_ganlab else "raised"
    return [
        f"plugin {found.plugin} {how} {text}",
        f"at {found.place}; `ganlab.testing` checks a plugin's components, --debug shows the whole traceback",
    ]
