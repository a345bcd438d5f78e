"""Environments of their own for tests that install plugins as people do: with pip, from a wheel, in a venv.

By default such an environment looks up ganlab and what it needs in the one that the tests run in, so that making it
takes seconds and no network. With GANLAB_FRESH=1 everything is installed into it from this tree and the package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
WHOLLY_FRESH = os.environ.get("GANLAB_FRESH", "") not in ("", "0")
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
OFFLINE = ("--no-deps", "--no-index")


@attrs.frozen
class Environment:
    """A venv, and a folder to work in."""

    folder: Path
    work: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def call(self, *words: object, within: Path | None = None, code: int | None = 0) -> str:
        """Call its Python and return what it said. Fails unless it ends with `code` (None: with any)."""
        shown = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "PYTHONNOUSERSITE": "1"}
        for variable in ("GANLAB_PLUGINS", "GANLAB_BLOCK_PLUGINS", "GANLAB_STRICT_PLUGINS", "PYTHONPATH"):
            shown.pop(variable, None)
        done = subprocess.run(
            [self.python, *map(str, words)],
            cwd=within or self.work,
            env=shown,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, f"{' '.join(map(str, words))}:\n{done.stdout}"
        return done.stdout

    def ganlab(self, *words: object, within: Path | None = None, code: int | None = 0) -> str:
        """`ganlab WORDS...`."""
        return self.call("-m", "ganlab", *words, within=within, code=code)

    def install(self, *what: object) -> None:
        """`pip install`."""
        if WHOLLY_FRESH:
            self.call(*PIP, "install", *what)
        else:
            subprocess.run([sys.executable, *PIP, "--python", self.python, "install", *OFFLINE, *what], check=True)

    def uninstall(self, name: str) -> None:
        """`pip uninstall`."""
        subprocess.run([sys.executable, *PIP, "--python", self.python, "uninstall", "--yes", name], check=True)

    def wheel(self, project: Path) -> Path:
        """`pip wheel`: the one wheel of a project."""
        wheels = self.work / "wheels" / project.name
        if WHOLLY_FRESH:
            self.call(*PIP, "wheel", "--no-deps", "--wheel-dir", wheels, project)
        else:
            offline = [*OFFLINE, "--no-build-isolation", "--wheel-dir", wheels, project]
            subprocess.run([sys.executable, *PIP, "wheel", *offline], check=True)
        (made,) = wheels.glob("*.whl")
        return made


def make_environment(folder: Path) -> Environment:
    """A venv with ganlab in it, as the module says."""
    pytest.importorskip("setuptools", reason="building a wheel without a network needs it: pip install setuptools")
    environment = Environment(folder / "venv", folder / "work")
    environment.work.mkdir(parents=True)
    options = [] if WHOLLY_FRESH else ["--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", *options, environment.folder], check=True)
    if WHOLLY_FRESH:
        environment.call(*PIP, "install", f"{ROOT}[test]")
    else:
        inside = environment.call("-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip()
        ours = sysconfig.get_paths()["purelib"]
        (Path(inside) / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return environment
