"""Which run folder a command works in, and whether it starts there, goes on there, or must refuse."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import attrs

from ganlab.errors import RunError
from ganlab.recipe import LoadedRecipe, differences, digest
from ganlab.track.files import naming
from ganlab.track.folder import RunFolder
from ganlab.values import located

Plan = Literal["start", "resume", "done"]


@attrs.frozen
class Choice:
    """A folder and what to do in it."""

    path: Path
    plan: Plan


def choose_folder(loaded: LoadedRecipe, run_dir: Path | None, *, resume: bool, runs: Path) -> Choice:
    """Decide by `--run-dir` and `--resume`.

    With a folder: start in it, or go on with the unfinished run of the same recipe in it. Without: a new folder
    `runs/<name>/<time>`, or with `resume` the newest unfinished run of the same recipe there. A finished run is "done"
    with `resume` and refused without. Raises `RunError` for a changed recipe, naming the keys.
    """
    if run_dir is not None:
        try:
            located(Path.cwd(), run_dir.absolute())
        except ValueError as error:
            raise RunError(f"--run-dir: {error}; give another one") from error
        return _in_folder(loaded, run_dir.absolute(), resume=resume)
    home = runs / loaded.name
    if resume:
        for path in sorted(home.glob("*"), reverse=True):
            if _is_unfinished(path, digest(loaded.plain())):
                return Choice(path.absolute(), "resume")
    return Choice(_new_folder(home).absolute(), "start")


def _is_unfinished(path: Path, wanted: str) -> bool:
    """Whether there is an unfinished run of the recipe with the digest `wanted`; of a damaged run there is not."""
    try:
        if not RunFolder.holds_run(path):
            return False
        folder = RunFolder.open(path)
        status = folder.status()
        return (status is None or status.state != "finished") and folder.info().get("digest") == wanted
    except (RunError, OSError):
        return False


def _in_folder(loaded: LoadedRecipe, path: Path, *, resume: bool) -> Choice:
    if not RunFolder.holds_run(path):
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; --run-dir wants a folder")
        if not RunFolder.can_begin(path):
            raise RunError(f"{path} is not empty and holds no run; give an empty or new folder")
        return Choice(path, "start")
    folder = RunFolder.open(path)
    changed = differences(folder.recipe(), loaded.plain())
    if changed:
        lines = "\n".join(f"  {line}" for line in changed)
        raise RunError(f"{path} holds a run of another recipe; undo these changes or give another --run-dir:\n{lines}")
    status = folder.status()
    if status is not None and status.state == "finished":
        if resume:
            return Choice(path, "done")
        raise RunError(f"{path} holds a finished run of this recipe; give another --run-dir for a new one")
    return Choice(path, "resume")


def _new_folder(home: Path) -> Path:
    """Make the folder at once, so that of two runs which begin in the same second each has its own."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    with naming(home):
        home.mkdir(parents=True, exist_ok=True)
    path, number = home / stamp, 1
    while True:
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            path = home / f"{stamp}-{number}"
        else:
            return path
