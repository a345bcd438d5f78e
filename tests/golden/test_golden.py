"""Every golden file is checked by the module named after its kind; nothing may be left out.

An unknown kind, a file missing from the manifest and an array that no check read all fail.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable

import pytest

from . import golden

MANIFEST = golden.manifest()
TOTALS = {"files": 0, "arrays": 0, "compared": 0}


def checker(kind: str) -> Callable[[golden.Case], None]:
    """The check for a kind: `tests/golden/kinds/<kind>.py` with a function `check(case)`."""
    try:
        module = importlib.import_module(f"{__package__}.kinds.{kind.lower()}")
    except ModuleNotFoundError:
        pytest.fail(f"golden kind {kind!r} has no check")
    check: Callable[[golden.Case], None] = module.check
    return check


@pytest.mark.parametrize("file_name", sorted(MANIFEST["files"]))
def test_our_numbers_equal_the_authors(file_name: str) -> None:
    case = golden.Case(file_name, MANIFEST["files"][file_name])
    checker(case.kind)(case)
    assert case.unread() == [], f"{file_name}: arrays that no check read"
    assert set(case.fields) == set(case), f"{file_name}: manifest and file name different arrays"
    assert case.compared > 0, f"{file_name}: nothing was compared"
    TOTALS["files"] += 1
    TOTALS["arrays"] += len(case)
    TOTALS["compared"] += case.compared


def test_every_file_in_the_directory_is_in_the_manifest() -> None:
    present = {path.name for path in golden.directory().iterdir() if path.name not in ("README.md", "manifest.json")}
    assert present == set(MANIFEST["files"])


def test_an_altered_number_is_noticed() -> None:
    sizes = {name: (golden.directory() / name).stat().st_size for name in MANIFEST["files"] if name.endswith(".npz")}
    file_name = min(sizes, key=lambda name: sizes[name])
    case = golden.Case(file_name, MANIFEST["files"][file_name])
    checker(case.kind)(case)
    key = case.compared_keys[-1]
    altered = golden.Case(file_name, MANIFEST["files"][file_name])
    altered.alter(key)
    with pytest.raises(AssertionError, match="differs by"):
        checker(altered.kind)(altered)


def test_the_manifest_is_of_a_known_format() -> None:
    assert MANIFEST["format"] == 1
    assert json.dumps(MANIFEST["meanings"])
