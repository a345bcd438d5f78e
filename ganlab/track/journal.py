"""The journal of a run, `metrics.jsonl`: what was measured when so many real images had been shown.

One line a report. What stands under "values" follows from recipe and seed alone, and so is the same in a run that was
killed and resumed; what the clock had a part in stands under "time". MLflow is sent what is written here, never more.
"""

from __future__ import annotations

import json
import math
import os
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ganlab.errors import RunError
from ganlab.track.files import naming, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

JOURNAL = "metrics.jsonl"


@attrs.frozen
class Entry:
    """One line of a journal."""

    images_shown: int
    """Real images shown to the discriminator since the run began."""
    values: Mapping[str, float]
    """Name such as `loss/generator` to a value; may be NaN or infinite."""
    time: Mapping[str, float]
    """Name such as `images_per_s` to a value that depends on the machine; `unix_s` is when the line was written."""


class Journal:
    """Appends to the journal of a run folder. Keeps no file open: what was written survives the process."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / JOURNAL

    def write(self, images_shown: int, values: Mapping[str, float], time: Mapping[str, float]) -> None:
        """Append one line; `unix_s` is added to `time` unless given. Raises `RunError` naming the file if it cannot."""
        line = encode(Entry(images_shown, values, {"unix_s": round(clock.time(), 3), **time}))
        with naming(self.path), open(self.path, "ab") as file:
            whole = _whole_lines(self.path)
            if whole != file.tell():  # a line that a power cut or a full disk tore
                file.truncate(whole)
            file.write(line)

    def truncate_after(self, images_shown: int) -> None:
        """Drop the lines past `images_shown` and a torn last line, all at once or not at all.

        A run that resumes at a checkpoint calls this, and then writes the dropped lines again.
        """
        if not self.path.exists():
            return
        kept = [entry for entry in read(self.path.parent) if entry.images_shown <= images_shown]
        write_atomically(self.path, b"".join(map(encode, kept)))


class Follower:
    """Hands out the lines of a journal as they are written, for as long as it grows.

    After `truncate_after` it starts again from the first line: who follows must know by `images_shown` what it had.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / JOURNAL
        self._file_number = -1
        self._offset = 0

    def rewind(self) -> None:
        """Start again from the first line."""
        self._offset = 0

    def new(self) -> list[Entry]:
        """The whole lines written since the last call. Raises `RunError` for a line that cannot be read."""
        try:
            file = open(self._path, "rb")  # noqa: SIM115 - closed by the `with` below; here only a missing file matters
        except FileNotFoundError:
            return []
        with file:
            facts = os.fstat(file.fileno())
            if facts.st_ino != self._file_number or facts.st_size < self._offset:
                self._file_number, self._offset = facts.st_ino, 0
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_decode(line, self._path) for line in whole.splitlines()]


def read(folder: Path) -> list[Entry]:
    """All lines of the journal in `folder` but a torn last one; none if there is no journal.

    Raises `RunError` for any other line that cannot be read.
    """
    return Follower(folder).new()


def encode(entry: Entry) -> bytes:
    """The line of an entry: names sorted, floats as Python's `repr`, so that equal entries give equal bytes."""
    line = {"images_shown": int(entry.images_shown), "values": _plain(entry.values), "time": _plain(entry.time)}
    return json.dumps(line, allow_nan=False).encode() + b"\n"


def _plain(values: Mapping[str, float]) -> dict[str, float | str]:
    """JSON has no NaN and no infinities: they are written as the strings that `float` reads."""
    numbers = {name: float(values[name]) for name in sorted(values)}
    return {name: number if math.isfinite(number) else str(number) for name, number in numbers.items()}


def _decode(line: bytes, path: Path) -> Entry:
    try:
        fields: dict[str, Any] = json.loads(line)
        values, time = ({name: float(value) for name, value in fields[part].items()} for part in ("values", "time"))
        return Entry(int(fields["images_shown"]), values, time)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: cannot read the line {line[:60]!r}; remove it, or restore the file") from error


def _whole_lines(path: Path) -> int:
    """Bytes of `path` up to the end of its last whole line."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
