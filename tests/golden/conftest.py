"""Prints how many golden files and arrays were checked, at the end of the run."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line with the totals, if any golden file was checked in this process."""
    from .test_golden import MANIFEST, TOTALS

    if TOTALS["files"]:
        terminalreporter.write_line(
            f"golden: {TOTALS['files']} of {len(MANIFEST['files'])} files, {TOTALS['arrays']} arrays read, "
            f"{TOTALS['compared']} comparisons"
        )
