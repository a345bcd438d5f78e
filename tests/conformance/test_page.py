"""docs/testing.md says what the suites hold, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ganlab.interfaces import KINDS
from ganlab.testing.suites import contracts

from .faults import good_text

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()


def test_the_table_has_every_contract_of_every_kind_word_for_word() -> None:
    expected: dict[tuple[str, str, str], list[str]] = {}
    for kind in KINDS:
        for contract in contracts(kind):
            expected.setdefault((contract.title, contract.promise, contract.remedy), []).append(kind)
    section = PAGE.partition("## The contracts")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    found = {(title, promise, remedy): kinds for title, kinds, promise, remedy in rows[1:]}
    written = {key: "all" if kinds == list(KINDS) else ", ".join(kinds) for key, kinds in expected.items()}
    assert found == written


def test_the_examples_pass_in_a_project_of_that_name(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    tests = [block for block in blocks if block.startswith("def test_")]
    settings = [block for block in blocks if "[tool.pytest.ini_options]" in block]
    assert len(tests) == 2
    pytester.makepyfile(test_it="\n\n".join(tests), acme_gan=good_text("loss"))
    pytester.makepyprojecttoml(settings[0])
    folder = pytester.mkdir("acme_gan-1.0.dist-info")
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gan\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[ganlab]\nmain = acme_gan\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    pytester.runpytest_subprocess("-k", "trains or summary").assert_outcomes(
        passed=2, deselected=len(contracts("loss")) - 1
    )
