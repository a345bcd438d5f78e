"""`ganlab completion`: the shell's TAB key knows our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash:  ganlab completion bash >> ~/.bashrc
    zsh:   ganlab completion zsh >> ~/.zshrc
    fish:  ganlab completion fish > ~/.config/fish/completions/ganlab.fish
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.cli import cli

    source = get_completion_class(shell)
    assert source is not None, shell
    click.echo(source(cli, {}, "ganlab", "_GANLAB_COMPLETE").source())
