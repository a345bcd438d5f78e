"""How long `ganlab plugins` takes where many plugins are installed, some of them broken in every way there is.

The distributions are written as pip leaves them, into a folder that is then on the path of a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import click

HOOK = """\
import ganlab


@ganlab.hookimpl
def register_losses(register):
    register("{name}", "{module}_parts:Loss", summary="a loss of {name}")
"""
PARTS = '''\
import attrs
import ganlab


@attrs.frozen
class Loss:
    """Scores to a loss."""

    margin: float = ganlab.parameter(1.0, gt=0, help="where it stops")
    power: int = ganlab.parameter(2, ge=1, help="of the scores")
    kind: str = ganlab.parameter("a", choices=("a", "b"), help="which one")

    def build(self):
        raise NotImplementedError("never trained")
'''


@attrs.frozen
class Breakage:
    """A way for a plugin to be broken, and what must be said of it."""

    reason: str
    hooks: str = HOOK
    parts: str = PARTS
    entry_point: str = "{module}"
    needs: str = ""


BREAKAGES: Mapping[str, Breakage] = {
    "missing module": Breakage("ModuleNotFoundError: No module named 'nowhere_at_all'", entry_point="nowhere_at_all"),
    "missing attribute": Breakage("has no attribute 'plugin'", entry_point="{module}:plugin"),
    "garbled entry point": Breakage("is not of the form 'package.module'", entry_point="no-such module!"),
    "syntax error": Breakage("SyntaxError: ", hooks="def register_losses(:\n"),
    "missing package": Breakage(
        "No module named 'package_that_is_not_here'", hooks="import package_that_is_not_here\n"
    ),
    "exit": Breakage("SystemExit: no licence", hooks="raise SystemExit('no licence')\n"),
    "raising hook": Breakage(
        "RuntimeError: no file of weights",
        hooks=HOOK.replace(
            '    register("{name}"', '    raise RuntimeError("no file of weights")\n    register("{name}"'
        ),
    ),
    "misspelt hook": Breakage(
        "'register_losess' is no hook of ganlab; did you mean 'register_losses'?",
        hooks=HOOK.replace("register_losses", "register_losess"),
    ),
    "wrong argument": Breakage(
        "the hook register_losses has no argument 'registry'; did you mean 'register'?",
        hooks=HOOK.replace("(register)", "(registry)").replace("    register(", "    registry("),
    ),
    "bad name": Breakage(
        "loss name 'My_Loss' is not kebab-case such as 'my-loss'", hooks=HOOK.replace('"{name}"', '"My_Loss"')
    ),
    "bad target": Breakage(
        "is not of the form 'package.module:Class'", hooks=HOOK.replace("{module}_parts:Loss", "{module}_parts.Loss")
    ),
    "missing class": Breakage("has no attribute 'Loss'", parts="import ganlab\n"),
    "no attrs class": Breakage("is not a class made with attrs.frozen", parts="class Loss:\n    pass\n"),
    "unreadable annotation": Breakage(
        "its annotations cannot be read (name 'Tensor' is not defined)",
        parts=PARTS.replace("margin: float", "margin: 'Tensor'"),
    ),
    "newer ganlab": Breakage("ImportError: it needs ganlab>=999", needs="ganlab>=999"),
}


def install(folder: Path, *, plugins: int, broken: int) -> dict[str, str]:
    """Write so many distributions, the first of them broken in turn; name of each broken one to its way."""
    ways = list(BREAKAGES)
    found = {}
    for number in range(plugins):
        name = f"plugin-{number:03}"
        way = ways[number % len(ways)] if number < broken else ""
        if way:
            found[name] = way
        _write(folder, name, BREAKAGES[way] if way else Breakage(""))
    return found


def _write(folder: Path, name: str, how: Breakage) -> None:
    module = name.replace("-", "_")

    def filled(text: str) -> str:
        return text.replace("{module}", module).replace("{name}", name)

    (folder / f"{module}.py").write_text(filled(how.hooks))
    (folder / f"{module}_parts.py").write_text(filled(how.parts))
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    needs = f"Requires-Dist: {how.needs}\n" if how.needs else ""
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
    (metadata / "entry_points.txt").write_text(f"[ganlab]\nmain = {filled(how.entry_point)}\n")


@attrs.frozen
class Listed:
    """What one call printed, and what it took."""

    seconds: float
    processor_seconds: float
    """Of the process alone, so that it means something on a machine that is shared."""
    printed: str


def listing(folder: Path, *words: str) -> Listed:
    """The output and time of `ganlab plugins` in a process that has `folder` on its path."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GANLAB_")}
    command = [sys.executable, "-m", "ganlab", "plugins", *words]
    started, before = time.perf_counter(), os.times()
    done = subprocess.run(command, env={**variables, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode:
        raise click.ClickException(f"ganlab plugins failed:\n{done.stderr}")
    taken = sum(after[2:4]) - sum(before[2:4])
    return Listed(seconds, taken, done.stdout)
