"""A against B: two settings, two commits, or both, in turns."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.process import ROOT


@contextmanager
def checkout(revision: str | None) -> Iterator[Path]:
    """The files of a commit, in a folder that disappears afterwards; None is the working tree."""
    if revision is None:
        yield ROOT
        return
    with TemporaryDirectory(prefix="ganlab-commit-") as path:
        # An archive, and no worktree: the repository does not come to know of it, whatever happens here.
        done = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=False)
        if done.returncode:
            raise click.ClickException(f"{revision}: {done.stderr.decode().strip()}")
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(path, filter="data")
        yield Path(path)


def settings(text: Sequence[str]) -> str:
    """Settings as the output shows them."""
    return ", ".join(text) or "the recipe as it is"
