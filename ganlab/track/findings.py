"""The failures found in a run, `findings.json`: which, where it first showed, and what to try.

The file is there only where something was found. What was found past the checkpoint that a run resumes from is
dropped, and found again if it happens again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from ganlab.errors import RunError
from ganlab.track.files import naming, write_atomically

FINDINGS = "findings.json"


@attrs.frozen
class Finding:
    """A failure, and where it first showed."""

    name: str
    """Such as `collapse`; see `docs/diagnosis.md`."""
    images_shown: int
    text: str
    """What was seen."""
    remedy: str
    """What to try."""

    def __str__(self) -> str:
        return f"{self.name} at {self.images_shown:,} images: {self.text}; try {self.remedy}"


def read_findings(folder: Path) -> list[Finding]:
    """What was found in the run of a folder; nothing where there is no file. Raises `RunError` if it is damaged."""
    path = Path(folder) / FINDINGS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Finding(str(it["name"]), int(it["images_shown"]), str(it["text"]), str(it["remedy"])) for it in content]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: the file is damaged ({error!r}); remove it and go on without") from error


def write_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """Keep these in place of those there were."""
    path = Path(folder) / FINDINGS
    if findings:
        write_atomically(path, json.dumps([attrs.asdict(it) for it in findings], indent=1) + "\n")
        return
    with naming(path):
        path.unlink(missing_ok=True)


def drop_findings_after(folder: Path, images_shown: int) -> None:
    """Forget what was found past `images_shown`, as a run that resumes there will find it again."""
    known = read_findings(folder)
    kept = [it for it in known if it.images_shown <= images_shown]
    if kept != known:
        write_findings(folder, kept)


def summary(findings: Iterable[Finding]) -> str:
    """All in one line, such as `collapse at 12,000 images; non-finite at 15,000 images`."""
    return "; ".join(f"{it.name} at {it.images_shown:,} images" for it in findings)
