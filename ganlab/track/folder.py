"""The run folder, `runs/<name>/<id>/`: what is where in it, and its small files. It is the truth about a run.

recipe.toml             the resolved recipe
run.json                name, seed, digest, versions, plugins, data set, device
status.json             running, finished, interrupted or failed, and how far
metrics.jsonl           the journal
findings.json           failures that were found in it, if any
samples/000060000.png   sample grids, by images shown
checkpoints/            what a run resumes from
generator.safetensors   the averaged generator
mlflow.json             what MLflow has been sent
"""

from __future__ import annotations

import json
import platform
import subprocess
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import attrs
import filelock

from ganlab.errors import RunError
from ganlab.jobs import lock_patience_s
from ganlab.track.files import naming, write_atomically
from ganlab.track.journal import Journal

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

State = Literal["running", "finished", "interrupted", "failed"]
LOCK_PATIENCE_S = 5.0
"""A process that was just killed may need some seconds to be gone, with a GPU in its hands above all."""

INFO_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "digest": str,
    "started": str,
    "resumed": list,
    "precision": str,
    "plugins": (dict, list),
    "tags": dict,
    "data": dict,
}
"""What ganlab reads again from `run.json`."""


@attrs.frozen
class Status:
    """How far a run has come."""

    state: State
    images_shown: int
    message: str = ""


class RunFolder:
    """A run folder. Make one with `create` or `open`; it can be used wherever a path can."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.journal = Journal(self.path)
        self._lock = filelock.FileLock(self.path / ".lock", thread_local=False)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Make the folder (it may exist, without a run in it). Raises `RunError` where there is a run already."""
        folder = cls(path)
        if cls.holds_run(path):
            raise RunError(f"{folder.path} already holds a run; resume it, or give another folder")
        folder._make_parts()
        return folder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """The folder of a run that was started; a part that was removed is there again. Raises `RunError` for none."""
        if not cls.holds_run(path):
            raise RunError(f"{path} is no run folder: it has no recipe.toml")
        folder = cls(path)
        folder._make_parts()
        return folder

    def _make_parts(self) -> None:
        for part in (self.path, self.samples, self.checkpoints):
            with naming(part):
                part.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def holds_run(path: str | os.PathLike[str]) -> bool:
        """Whether a run was ever started in `path`."""
        return (Path(path) / "recipe.toml").is_file()

    @classmethod
    def can_begin(cls, path: str | os.PathLike[str]) -> bool:
        """Whether `path` is free for a new run: not there, empty, or left by one that was killed before it began."""
        folder = cls(path)
        if not folder.path.exists():
            return True
        left = {part.name for part in folder.path.iterdir() if part.name[0] != "."} if folder.path.is_dir() else {""}
        return left <= {"samples", "checkpoints", "run.json"}

    def lock(self) -> AbstractContextManager[object]:
        """Take the folder for this process; a context manager that gives it back, as does the end of the process.

        Waits some seconds for a process that is just ending, or as long as the environment says. Raises `RunError` if
        another one stays in it.
        """
        try:
            return self._lock.acquire(timeout=lock_patience_s(LOCK_PATIENCE_S), poll_interval=0.1)
        except filelock.Timeout as error:
            raise RunError(f"{self.path} is in use by another process; wait for it or give another folder") from error
        except OSError as error:
            raise RunError(f"cannot lock {self.path}: {error.strerror or error}") from error

    def is_in_use(self) -> bool:
        """Whether a process, this one included, holds the lock at this moment."""
        try:
            filelock.FileLock(self._lock.lock_file).acquire(timeout=0).__exit__(None, None, None)
        except filelock.Timeout:
            return True
        return False

    def write_recipe(self, text: str) -> None:
        """Keep the resolved recipe, as TOML. From then on the folder holds a run."""
        write_atomically(self.path / "recipe.toml", text)

    def recipe(self) -> dict[str, Any]:
        """The resolved recipe as plain data."""
        try:
            return tomllib.loads((self.path / "recipe.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / 'recipe.toml'}: {error}") from error

    def write_info(self, info: Mapping[str, Any], *, resumed: bool = False) -> None:
        """Keep plain facts about the run, in place of those there were; call it again when it is `resumed`.

        The mirror knows the keys name, seed, digest, plugins (name to version), device, tags (extra MLflow tags) and
        data (with name, digest, and path or source). Versions, `started` and `git_commit` are added unless given;
        `started` stays what it first was, and `resumed` lists when the run was resumed.
        """
        before, now = self.info(), datetime.now(UTC).isoformat(timespec="seconds")
        facts = {
            "ganlab": _version("ganlab"),
            "torch": _version("torch"),
            "python": platform.python_version(),
            "git_commit": git_commit(),
            "started": before.get("started") or now,
            "resumed": [*(before.get("resumed") or ()), *([now] if resumed else [])],
            **info,
        }
        write_atomically(self.path / "run.json", json.dumps(facts, indent=2, default=str) + "\n")

    def info(self) -> dict[str, Any]:
        """What `write_info` kept; empty before. Raises `RunError` if the file is damaged."""
        path = self.path / "run.json"
        facts = read_json(path)
        _check_types(path, facts, INFO_TYPES)
        _check_types(path, facts.get("data") or {}, {"digest": str})
        return facts

    def set_status(self, state: State, images_shown: int, message: str = "") -> None:
        """Keep how far the run has come."""
        assert state in get_args(State), state
        status = Status(state, int(images_shown), message)
        write_atomically(self.path / "status.json", json.dumps(attrs.asdict(status)) + "\n")

    def status(self) -> Status | None:
        """What `set_status` kept last; None before. Raises `RunError` if the file is damaged."""
        path = self.path / "status.json"
        fields = read_json(path)
        if not fields:
            return None
        _check_types(path, fields, {"state": str, "images_shown": int, "message": str})
        state, images_shown = fields.get("state"), fields.get("images_shown")
        if state not in get_args(State) or images_shown is None:
            raise _damaged(path, f"has the state {state!r} at {images_shown!r} images shown")
        return Status(cast("State", state), images_shown, fields.get("message") or "")

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def generator_path(self) -> Path:
        """The averaged generator's weights."""
        return self.path / "generator.safetensors"

    @property
    def samples(self) -> Path:
        """The folder of the sample grids."""
        return self.path / "samples"

    def sample_path(self, images_shown: int) -> Path:
        """The sample grid at `images_shown`."""
        return self.samples / f"{images_shown:09d}.png"

    def sample_steps(self) -> list[int]:
        """Images shown of every sample grid there is, ascending."""
        return sorted(int(path.stem) for path in self.samples.glob("*.png") if path.stem.isdecimal())


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file. Raises `RunError` if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise _damaged(path, f"is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise _damaged(path, "is no JSON object")
    return content


def _check_types(path: Path, fields: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> None:
    """Raises `RunError` for a known key with a value of another type; other keys are of another version."""
    for key, wanted in types.items():
        value = fields.get(key)
        if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise _damaged(path, f"has {value!r} as {key!r}")


def _damaged(path: Path, how: str) -> RunError:
    return RunError(f"{path}: the file is damaged: it {how}; restore it, or remove it and go on without")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """The commit checked out where the program runs, with `+` if files differ from it; None outside a repository."""
    try:
        commit, changes = (
            subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=True).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + "+" * bool(changes)
