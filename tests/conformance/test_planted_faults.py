"""Each planted fault is reported by the contract that it breaks, with the component's name and what to fix."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import ganlab
from ganlab.interfaces import KINDS
from ganlab.testing import Case, ConformanceError, NotApplicable, cases, check
from ganlab.testing.suites import contracts

from .faults import CUSTOM_GRADIENTS, FAULTS, NAMES, Fault, good_text

ONLY_WITH_PACKAGES = {"light import"}
"""Contracts that say nothing of a file given with --plugin; they have tests of their own below."""


def cases_of(text: str, kind: str, folder: Path) -> list[Case]:
    """The cases of a plugin in a file."""
    path = folder / f"planted_{kind.replace('-', '_')}.py"
    path.write_text(text)
    catalog = ganlab.load_plugins([path], {"GANLAB_STRICT_PLUGINS": "1"})
    try:
        return cases(f"file:{path.stem}", catalog=catalog)
    finally:
        sys.modules.pop(path.stem, None)


def said_by(found: list[Case]) -> tuple[dict[str, str], dict[str, str]]:
    """What is broken and what is skipped, by the contracts' titles."""
    told, skipped = {}, {}
    for case in found:
        try:
            case.check()
        except ConformanceError as error:
            told[case.contract.title] = str(error)
        except NotApplicable as error:
            skipped[case.contract.title] = str(error)
    return told, skipped


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_plugin_keeps_every_contract(kind: str, tmp_path: Path) -> None:
    kept = []
    for case in cases_of(good_text(kind), kind, tmp_path):
        try:
            case.check()
            kept.append(case.contract.title)
        except NotApplicable:
            continue
    planted = {fault.contract for fault in FAULTS if fault.kind == kind}
    assert planted <= {*kept}, "a fault is found only where the good plugin is judged"


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_reported_by_its_contract(fault: Fault, tmp_path: Path) -> None:
    text = fault.text + (CUSTOM_GRADIENTS if "apply" in fault.new else "")
    found = [case for case in cases_of(text, fault.kind, tmp_path) if case.contract.title == fault.contract]
    assert len(found) == 1
    with pytest.raises((ConformanceError, NotApplicable)) as raised:
        found[0].check()
    assert raised.type is ConformanceError, str(raised.value)
    said, _, remedy = str(raised.value).partition("\n  fix: ")
    name = f"planted-{fault.kind}:{NAMES[fault.kind]}"
    assert said.startswith(f"{fault.kind} {name}: {fault.contract}: ")
    assert fault.found in said
    assert len(remedy) > 10


def test_every_contract_has_a_planted_fault() -> None:
    planted = {fault.contract for fault in FAULTS} | ONLY_WITH_PACKAGES
    assert planted == {contract.title for kind in KINDS for contract in contracts(kind)}
    assert {fault.kind for fault in FAULTS} == set(KINDS)


def test_a_module_that_imports_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    folder = site / "heavy_gan-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy-gan\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[ganlab]\nmain = heavy_gan\n")
    text = good_text("regularizer")
    register = '    register("drift", "heavy_parts:Drift", summary="keeps scores near 0")\n'
    head, _, _ = text.partition("@ganlab.hookimpl")
    (site / "heavy_gan.py").write_text(
        f"import ganlab\n\n@ganlab.hookimpl\ndef register_regularizers(register):\n{register}"
    )
    (site / "heavy_parts.py").write_text(f"import torch\n{head}")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    try:
        found = {case.contract.title: case for case in cases("heavy-gan")}
    finally:
        for module in ("heavy_gan", "heavy_parts"):
            sys.modules.pop(module, None)
    with pytest.raises(ConformanceError, match="importing heavy_parts imports torch\n  fix: import torch inside build"):
        found["light import"].check()
    found["toml"].check()


def test_all_that_is_broken_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "planted_loss.py"
    text = good_text("loss").replace(', summary="hinge with a margin that follows"', "").replace("frozen", "define")
    path.write_text(text)
    catalog = ganlab.load_plugins([path])
    with pytest.raises(ConformanceError) as raised:
        check("loss", "planted-loss:margin", catalog=catalog, margin=2.0)
    lines = str(raised.value).splitlines()
    assert lines[0] == "loss planted-loss:margin breaks 2 contracts:"
    assert [line.split(": ")[1] for line in lines[1::2]] == ["summary", "frozen"]


def test_parameters_that_are_given_stand_in_the_report(tmp_path: Path) -> None:
    path = tmp_path / "planted_layer.py"
    path.write_text(good_text("layer").replace("channels + 3", "channels + (3 if scale < 5 else 4)"))
    catalog = ganlab.load_plugins([path])
    check("layer", "gate", catalog=catalog, scale=4.0)
    with pytest.raises(ConformanceError, match=r"shapes: with scale = 6\.0: for images: it returns the shape \[8, 11"):
        check("layer", "gate", catalog=catalog, scale=6.0)


def test_what_cannot_be_built_is_told_once_and_where_its_author_looks(tmp_path: Path) -> None:
    text = good_text("normalization").replace("ScaledModule(track_statistics)", "ScaledModule({}['track'])")
    told, skipped = said_by(cases_of(text, "normalization", tmp_path))
    assert list(told) == ["shapes"]
    place = f"{tmp_path / 'planted_normalization.py'}:24"
    assert told["shapes"] == (
        "normalization planted-normalization:scaled: shapes: for images in a generator: "
        f"Scaled.build(channels=8, track_statistics=True) raised KeyError: 'track' ({place})\n"
        f"  fix: see the last line of your code that ran: {place}: return ScaledModule({{}}['track'])\n"
        "  what must hold: it returns the shape that it is given; `placement` and `replaces_bias` are what the "
        "interface says"
    )
    assert "it fails with KeyError in 'shapes' already, and is reported there" in skipped["second-order gradients"]


def test_what_cannot_be_called_is_told_once_with_the_call_as_it_was(tmp_path: Path) -> None:
    text = good_text("normalization")
    call = text.replace("        mean = x", "        self.shape = x.view(7, 7)\n        mean = x")
    told, _ = said_by(cases_of(call, "normalization", tmp_path))
    assert list(told) == ["shapes"]
    assert (
        ": for images in a generator: ScaledModule.forward(x=float32 [8, 8, 4, 4]) raised RuntimeError:"
        in (told["shapes"])
    )
    assert "planted_normalization.py:39: self.shape = x.view(7, 7)" in told["shapes"]
    arguments = text.replace("channels, *, track_statistics", "channels").replace("(track_statistics)", "(True)")
    told, _ = said_by(cases_of(arguments, "normalization", tmp_path))
    assert list(told) == ["shapes"]
    assert "it was found where ganlab does" in told["shapes"]
    assert "component.build(8, track_statistics=track)" in told["shapes"]


def test_an_error_that_only_one_contract_meets_comes_with_what_that_asks(tmp_path: Path) -> None:
    viewed = "wide.view(len(x), -1).reshape(*x.shape[:2], -1)"
    text = good_text("layer").replace("wide.flatten(2)", viewed)
    told, _ = said_by(cases_of(text, "layer", tmp_path))
    assert list(told) == ["channels last"]
    fix = told["channels last"].partition("\n  fix: ")[2]
    assert fix.startswith("see the last line of your code that ran: ")
    assert fix.endswith("\n  what must hold: inputs whose channels come last in memory give the same")


def test_examples_are_computed_with_instead_of_the_defaults(tmp_path: Path) -> None:
    text = good_text("layer").replace("channels + 3", "channels + (3 if scale < 5 else 4)")
    with_example = text.replace("    scale: float", "    examples = ({}, {'scale': 6.0})\n    scale: float")
    broken = [case for case in cases_of(with_example, "layer", tmp_path) if case.contract.title == "shapes"]
    with pytest.raises(ConformanceError, match=r"with scale = 6\.0"):
        broken[0].check()
    wrong = text.replace("    scale: float", "    examples = ({'scael': 6.0},)\n    scale: float")
    found = {case.contract.title: case for case in cases_of(wrong, "layer", tmp_path)}
    with pytest.raises(ConformanceError, match="did you mean 'scale'"):
        found["defaults"].check()
    with pytest.raises(NotApplicable, match="it cannot be made"):
        found["shapes"].check()
