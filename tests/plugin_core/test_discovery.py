"""Plugins are found by their entry points, ours among them, and everything is known about where they come from."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

import ganlab
from ganlab.components import DeprecatedComponent
from ganlab.discovery import Plugin
from ganlab.errors import PluginError
from ganlab.interfaces import KINDS

from .conftest import Site

OURS = [
    "ganlab:augmentations",
    "ganlab:began",
    "ganlab:cyclegan",
    "ganlab:datasets",
    "ganlab:dcgan",
    "ganlab:executors",
    "ganlab:lapgan",
    "ganlab:layers",
    "ganlab:losses",
    "ganlab:metrics",
    "ganlab:networks",
    "ganlab:normalizations",
    "ganlab:optimizers",
    "ganlab:r3gan",
    "ganlab:schedules",
    "ganlab:systems",
    "ganlab:wgan",
]


def found(name: str, **options: object) -> Plugin:
    plugins = {plugin.name: plugin for plugin in ganlab.load_plugins(**options).plugins}  # type: ignore[arg-type]
    return plugins[name]


def test_ours_come_through_the_same_entry_points() -> None:
    catalog = ganlab.load_plugins()
    ours = [plugin for plugin in catalog.plugins if plugin.distribution == "ganlab"]
    assert [plugin.name for plugin in ours] == OURS
    assert {plugin.status for plugin in ours} == {"ok"}
    assert catalog.versions()["ganlab"] == importlib.metadata.version("ganlab") == ganlab.__version__


def test_everything_that_we_offer_can_be_loaded_and_is_documented() -> None:
    catalog = ganlab.load_plugins()
    entries = [entry for registry in catalog.registries.values() for entry in registry.entries()]
    assert len(entries) > 25
    for entry in entries:
        assert (entry.load().__doc__ or "").strip(), f"{entry.kind} {entry.name} has no docstring"
        assert entry.summary, f"{entry.kind} {entry.name} has no summary"


def test_a_third_party_is_found_with_its_provenance(site: Site) -> None:
    site.install_hinge("Acme.GAN", "acme", version="1.2")
    plugin = found("acme-gan:main")
    assert (plugin.distribution, plugin.version, plugin.source) == ("acme-gan", "1.2", "acme")
    assert (plugin.status, plugin.reason, plugin.hooks) == ("ok", "", ["register_losses"])
    entry = ganlab.load_plugins().registry("loss").entry("acme-gan:hinge")
    assert (entry.distribution, entry.version, entry.plugin) == ("acme-gan", "1.2", "acme-gan:main")
    assert ganlab.load_plugins().versions()["acme-gan"] == "1.2"


def test_two_distributions_may_call_their_entry_points_the_same(site: Site) -> None:
    """pluggy's own loader would skip the second of them without a word."""
    site.install_hinge("acme-gan", "acme")
    site.install("other-gan", {"other": "import ganlab\n"})
    assert (found("acme-gan:main").status, found("other-gan:main").status) == ("ok", "ok")


def test_metadata_that_lies_on_the_path_twice_is_one_plugin(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install_hinge("acme-gan", "acme", version="1.0")
    (tmp_path / "later").mkdir()
    Site(tmp_path / "later").install_hinge("acme-gan", "acme", version="2.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "later")])
    plugins = [plugin for plugin in ganlab.load_plugins().plugins if plugin.distribution == "acme-gan"]
    assert [(plugin.name, plugin.version) for plugin in plugins] == [("acme-gan:main", "1.0")]


def test_a_plugin_may_be_an_object_and_implement_any_subset(site: Site) -> None:
    text = '''
import attrs, ganlab

@attrs.frozen
class Ramp:
    """A schedule."""

    def build(self): ...

class Plugin:
    @ganlab.hookimpl
    def register_schedules(self, register):
        register("ramp", Ramp, aliases=["slope"], deprecated="use progressive")

plugin = Plugin()
'''
    site.install("acme-gan", {"acme": text}, entry_points="[ganlab]\nmain = acme:plugin\n")
    catalog = ganlab.load_plugins()
    assert found("acme-gan:main").hooks == ["register_schedules"]
    registry = catalog.registry("schedule")
    assert registry.entry("ramp") == registry.entry("slope") == registry.entry("acme-gan:slope")
    assert registry.entry("ramp").target_text == "acme:Ramp"
    with pytest.warns(DeprecatedComponent, match="schedule 'slope' is deprecated: use progressive"):
        assert type(catalog.create("schedule", "slope")).__name__ == "Ramp"


def test_unreadable_metadata_of_somebody_else_is_passed_over(site: Site) -> None:
    site.install("broken", {"broken": ""}, entry_points="[ganlab]\nno equals sign\n")
    site.install("nameless", {"nameless": ""})
    (site.path / "nameless-0.3.dist-info" / "METADATA").write_text("")
    catalog = ganlab.load_plugins()
    assert [plugin.name for plugin in catalog.plugins if plugin.distribution == "ganlab"] == OURS


def test_every_kind_has_its_hook_and_its_registry() -> None:
    from ganlab import hookspecs

    catalog = ganlab.load_plugins()
    assert list(catalog.registries) == list(KINDS)
    for plural in KINDS.values():
        assert getattr(hookspecs, f"register_{plural}").__doc__


def test_an_unknown_kind_is_told_the_nearest() -> None:
    catalog = ganlab.load_plugins()
    for ask in (catalog.registry, lambda kind: catalog.create(kind, "hinge")):
        with pytest.raises(PluginError, match=r"unknown kind 'los'; did you mean 'loss'\? \(known: layer, "):
            ask("los")


def test_nothing_is_shared_between_two_catalogs(site: Site) -> None:
    before = ganlab.load_plugins()
    site.install_hinge("acme-gan", "acme")
    after = ganlab.load_plugins()
    assert not before.registry("loss").collisions()
    assert list(after.registry("loss").collisions()) == ["hinge"]


PLUGIN_FILE = '''
import attrs, ganlab

@attrs.frozen
class Square:
    """A loss in a file."""
    power: int = ganlab.parameter(2, ge=1, help="how much")

    def build(self): ...

@ganlab.hookimpl
def register_losses(register):
    register("square", {target})
'''


@pytest.mark.parametrize("target", ["Square", "'my_plugin:Square'"])
def test_a_file_is_tried_without_packaging_it(tmp_path: Path, target: str) -> None:
    file = tmp_path / "my_plugin.py"
    file.write_text(PLUGIN_FILE.format(target=target))
    catalog = ganlab.load_plugins([file, str(file)])
    plugins = [plugin for plugin in catalog.plugins if plugin.distribution == "my-plugin"]
    assert [(plugin.name, plugin.version, plugin.source) for plugin in plugins] == [
        ("file:my_plugin", "0", str(file))
    ], "given twice, loaded once"
    assert catalog.create("loss", "my-plugin:square", power=3).power == 3
    assert catalog.require(["my-plugin"]) == []


def test_a_file_that_was_changed_is_loaded_anew(tmp_path: Path) -> None:
    for power in (2, 5):
        (tmp_path / str(power)).mkdir()
        file = tmp_path / str(power) / "changing.py"
        file.write_text(PLUGIN_FILE.format(target="'changing:Square'").replace("parameter(2", f"parameter({power}"))
        assert ganlab.load_plugins([file]).create("loss", "square").power == power


def test_two_files_of_one_name_do_not_harm_each_other(tmp_path: Path) -> None:
    files = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "my_plugin.py")
        files[-1].write_text(PLUGIN_FILE.format(target="Square"))
    with pytest.warns(UserWarning, match="another plugin is called file:my_plugin already; rename one of the two"):
        catalog = ganlab.load_plugins(files)
    assert [plugin.status for plugin in catalog.plugins if plugin.distribution == "my-plugin"] == ["ok", "failed"]
    assert catalog.create("loss", "square").power == 2
