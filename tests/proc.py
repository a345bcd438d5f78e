"""Which processes run on this machine and who started them, as /proc tells; tests look for what they are to kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def commands() -> Iterator[tuple[int, list[str]]]:
    """The process id and the words of the command of each process."""
    for entry in Path("/proc").glob("[0-9]*"):
        yield int(entry.name), _read(entry / "cmdline").split("\0")


def parent(pid: int) -> int:
    """The process that started it, or 0 if it has ended."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it has just ended
        return ""
