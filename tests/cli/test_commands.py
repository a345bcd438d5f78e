"""Help that teaches, completion, and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from unittest import mock

import click
import pytest

from ganlab.cli import cli, main
from ganlab.errors import GanlabError

from ..commands import GANLAB, ganlab
from ..train.tiny import TINY, write_recipe

ROOT = Path(__file__).parents[2]


def every_command(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


COMMANDS = {" ".join(path): command for path, command in every_command()}


def test_all_commands_are_there() -> None:
    expected = "run check show list plugins data generate import-weights export-weights sync ui completion"
    assert set(expected.split()) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_every_option_and_every_argument_is_explained(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, f"{name} has no help"
    first = command.help.strip().partition("\n")[0]
    assert first.endswith("."), f"{name}: the first line is a sentence of its own: {first!r}"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts} has no help"
        else:
            word = parameter.human_readable_name.upper().strip("[].")
            assert word in command.help.upper(), f"{name}: nothing is said of {word}"
    shown = ganlab(*name.split(), "--help")
    assert shown.code == 0
    assert first.split()[0] in shown.out
    assert ganlab(*name.split(), "-h").out == shown.out


def test_the_list_of_commands_is_not_cut() -> None:
    shown = ganlab("--help").out
    for name, command in COMMANDS.items():
        if " " in name:
            continue
        summary = command.get_short_help_str(500)
        assert " ".join(summary.split()) in " ".join(shown.split()), name
        assert f"\n  {name} " in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nosuch"], "No such command 'nosuch'."),
        (["lst"], "No such command 'lst'; did you mean 'list'?"),
        (["run"], "Missing argument 'RECIPE'."),
        (["run", "x.toml", "--nosuch"], "No such option '--nosuch'."),
        (["run", "x.toml", "--set"], "Option '--set' requires an argument."),
        (["check", "a.toml", "b.toml"], "unexpected extra argument"),
        (["generate", "x", "--out", "y", "--num", "0"], "0 is not in the range x>=1"),
        (["generate", "x"], "Missing option '--out'."),
        (["generate", "nowhere", "--out", "y"], "nowhere: no such run folder or file"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["show", "loss"], "which one? (known: began, hinge, lsgan,"),
        (["show", "los", "hinge"], "'los' is no kind of component; did you mean 'loss'?"),
        (["show", "loss", "hinje"], "unknown loss 'hinje'; did you mean 'hinge'?"),
        (["show", "hinge"], "hinge is no recipe file; for the component type `ganlab show loss hinge`\n"),
        (["show", "ganlab:hinge"], "for the component type `ganlab show loss hinge`\n"),
        (["show", "none"], "type `ganlab show layer none` or `ganlab show normalization none`"),
        (["show", "ganlab:losses"], "`ganlab plugins` shows the plugin of that name, and `ganlab list` what it offers"),
        (["show", "pgan"], "pgan: no such file; did you mean 'recipes/pggan.toml'?"),
        (["show", "nothing-like-it"], "nothing-like-it: no such file; give the path of a recipe such as recipes/"),
        (["check", "nope.toml"], "nope.toml: no such file; give the path of a recipe such as recipes/pggan.toml"),
        (["show", "loss", "hinge", "--set", "a=1"], "--set changes a recipe"),
        (["list", "lossy"], "unknown kind 'lossy'; did you mean 'loss'?"),
        (["import-weights", "none.npz", "recipes/pggan.toml", "--out", "w"], "none.npz: no such file"),
        (
            ["import-weights", "none.npz", "recipes/pggan.toml", "--out", "w", "--images-shown", "999999999"],
            "give at most that",
        ),
        (["export-weights", "nowhere", "--out", "w.npz"], "nowhere is no run folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_ends_with_2_and_says_why(monkeypatch: pytest.MonkeyPatch, words: list[str], says: str) -> None:
    monkeypatch.chdir(ROOT)
    done = ganlab(*words)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (GanlabError("one\ntwo"), 2, "one\ntwo\n"),
        (KeyboardInterrupt(), 130, "ganlab: interrupted\n"),
        (
            ZeroDivisionError("oops"),
            1,
            "ganlab: unexpected ZeroDivisionError: oops\nganlab: this is a fault in ganlab or",
        ),
    ],
    ids=["a person's mistake", "Ctrl-C", "a fault"],
)
def test_how_a_command_ends(error: BaseException, code: int, says: str) -> None:
    @click.command()
    def ends() -> None:
        """Ends."""
        raise error

    with mock.patch.object(cli, "get_command", return_value=ends):
        done = ganlab("ends")
        assert (done.code, done.out) == (code, "")
        assert done.err.lstrip().startswith(says)
        assert "Traceback" not in done.err


def test_debug_raises_what_nobody_expected() -> None:
    @click.command()
    def ends() -> None:
        """Ends."""
        raise ZeroDivisionError

    with (
        mock.patch.object(cli, "get_command", return_value=ends),
        mock.patch("sys.argv", ["ganlab", "--debug", "ends"]),
        pytest.raises(ZeroDivisionError),
    ):
        main()


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = f"{GANLAB} show recipes/pggan.toml | head -1"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("run.name = ")
    assert done.stderr == ""


TALKS = """
import attrs, ganlab

@attrs.frozen
class Talks:
    "A loss that says when it is built."
    def build(self):
        from ganlab_losses.classification import Hinge
        print("built", flush=True)
        return Hinge().build()

@ganlab.hookimpl
def register_losses(register):
    register("talks", Talks)
"""


@pytest.mark.parametrize("speaks", ["progress", "a plugin"])
def test_a_training_goes_on_when_nobody_reads_its_progress(tmp_path: Path, speaks: str) -> None:
    (tmp_path / "talks.py").write_text(TALKS)
    recipe = write_recipe(tmp_path, TINY.replace("tick_images = 40", "tick_images = 8"))
    words = [GANLAB, "run", recipe, "--run-dir", tmp_path / "run", "--set", "run.images=160"]
    words += ["--quiet", "--plugin", tmp_path / "talks.py", "--set", "loss=talks"] if speaks == "a plugin" else []
    reader, writer = os.pipe()
    os.close(reader)  # whoever read it has gone
    try:
        done = subprocess.run(words, stdout=writer, stderr=writer, check=False, timeout=200)
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "finished"


# -- completion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "#compdef ganlab"), ("fish", "complete --")]
)
def test_completion_scripts(shell: str, word: str) -> None:
    done = ganlab("completion", shell)
    assert done.code == 0
    assert word in done.out
    assert "_GANLAB_COMPLETE" in done.out


def complete(line: str) -> list[str]:
    """What TAB offers at the end of `line`, as bash would ask."""
    words = line.split()
    at = len(words) - (0 if line.endswith(" ") else 1)
    environment = {**os.environ, "_GANLAB_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(at)}
    done = subprocess.run([GANLAB], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_tab_completes_commands_kinds_components_and_files() -> None:
    assert {"plain,check", "plain,completion"} == set(complete("ganlab c"))
    assert complete("ganlab list lo") == ["plain,loss"]
    losses = ("began", "hinge", "lsgan", "non-saturating", "relativistic", "wgan", "wgan-gp")
    assert complete("ganlab show loss ") == [f"plain,{name}" for name in losses]
    assert complete("ganlab show schedule fa") == ["plain,fade-first"]
    assert complete("ganlab show rec") == ["file,rec"]
    assert complete("ganlab run rec") == ["file,rec"]
    assert "plain,--resume" in complete("ganlab run --re")


# -- show --------------------------------------------------------------------------------------------------------------


def test_show_tells_every_value_and_where_it_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = ganlab("show", "recipes/pggan-lsgan.toml", "--set", "ema=0.5", "--set", "metrics=['swd']")
    assert shown.code == 2, "ema is a table"
    shown = ganlab(
        "show",
        "recipes/pggan-lsgan.toml",
        "--set",
        "ema.beta=0.5",
        "--set",
        "metrics=['swd']",
        "--set",
        "loss.noise_limit=1",
    )
    lines = {line.split(" = ")[0]: line for line in shown.out.splitlines()}
    assert lines["ema.beta"].endswith("# --set ema.beta=0.5")
    assert lines["metrics.0.name"].endswith("# --set metrics=['swd']")
    assert lines["loss.noise_limit"].endswith("# --set loss.noise_limit=1")
    own = Path("recipes/pggan-lsgan.toml").read_text().splitlines()
    number = 1 + next(n for n, line in enumerate(own) if line == 'name = "lsgan"')
    assert lines["loss.name"].endswith(f"# recipes/pggan-lsgan.toml:{number}")
    parent = Path("recipes/pggan-celebahq-1024.toml").read_text().splitlines()
    number = 1 + next(n for n, line in enumerate(parent) if line.startswith("images = "))
    assert lines["run.images"].endswith(f"# recipes/pggan-celebahq-1024.toml:{number}")
    assert lines["run.seed"] == f"{'run.seed = 0':{lines['run.seed'].index('#') - 2}}  # default"


def test_show_tells_a_component_s_parameters() -> None:
    shown = ganlab("show", "layer", "minibatch-stddev").out
    for words in (
        "layer minibatch-stddev   [ganlab 0.",
        "Appends the standard deviation over the minibatch",
        "Karras et al. 2018, section 3",
        "components.py:",
        'averaging: str = "all"',
        "group_size: int = 4   (>= 0)",
        "[samples]",
    ):
        assert words in shown
