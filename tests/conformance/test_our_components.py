"""Every component of ours keeps the contracts of its kind: each is here by being registered."""

from __future__ import annotations

import pytest

import ganlab
from ganlab.errors import ComponentNotFound, PluginError
from ganlab.testing import Case, cases


@pytest.mark.ganlab_plugin("ganlab")
def test_conformance(conformance_case: Case) -> None:
    conformance_case.check()


def test_every_component_of_ours_has_cases() -> None:
    catalog = ganlab.load_plugins((), {"GANLAB_PLUGINS": ""})
    listed = {(case.kind, case.name) for case in cases("ganlab", catalog=catalog)}
    registered = {(kind, entry.name) for kind, registry in catalog.registries.items() for entry in registry.entries()}
    assert listed == registered


def test_cases_are_chosen_by_plugin_kind_and_name() -> None:
    catalog = ganlab.load_plugins((), {"GANLAB_PLUGINS": ""})
    found = cases("ganlab:losses", kind="loss", name="wgan-gp", catalog=catalog)
    assert {(case.kind, case.name) for case in found} == {("loss", "wgan-gp")}
    case = next(case for case in found if case.contract.title == "second-order gradients")
    assert (str(case), case.id) == (
        "loss ganlab:wgan-gp: second-order gradients",
        "loss-wgan-gp-second-order-gradients",
    )
    assert cases("ganlab:layers", kind="loss", catalog=catalog) == []
    with pytest.raises(ComponentNotFound, match="no component is called 'wgan-pg'; did you mean 'wgan-gp'"):
        cases("ganlab", kind="loss", name="wgan-pg", catalog=catalog)
    with pytest.raises(PluginError, match="no plugin 'ganlba' is installed; did you mean 'ganlab'"):
        cases("ganlba", catalog=catalog)
    with pytest.raises(PluginError, match="unknown kind 'los'"):
        cases("ganlab", kind="los", catalog=catalog)
