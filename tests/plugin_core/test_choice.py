"""Who is loaded, who is meant: the environment variables, `[plugins] require`, and names that two plugins offer."""

from __future__ import annotations

from importlib.metadata import version

import pytest

import ganlab
from ganlab import testing
from ganlab.errors import ComponentNotFound, PluginError, RecipeError
from ganlab.recipe import differences, digest, load_recipe

from ..commands import ganlab as command
from ..recipe.wrong_recipes import HEAD
from .conftest import REGISTERS_HINGE, Site, WriteFile


def status(environment: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Status and reason of everything that is not ours, and of our losses."""
    catalog = ganlab.load_plugins(environment=environment)
    return {
        plugin.name: (plugin.status, plugin.reason)
        for plugin in catalog.plugins
        if plugin.distribution != "ganlab" or plugin.name == "ganlab:losses"
    }


# -- GANLAB_PLUGINS, GANLAB_BLOCK_PLUGINS ------------------------------------------------------------------------------

OK, NOT_NAMED, BLOCKED = (
    ("ok", ""),
    ("blocked", "GANLAB_PLUGINS does not name it"),
    (
        "blocked",
        "GANLAB_BLOCK_PLUGINS names it",
    ),
)
ENVIRONMENTS = [
    ({}, OK, OK, OK),
    ({"GANLAB_PLUGINS": ""}, OK, NOT_NAMED, NOT_NAMED),
    ({"GANLAB_PLUGINS": "acme-gan"}, OK, OK, NOT_NAMED),
    ({"GANLAB_PLUGINS": " Acme_GAN , other.gan"}, OK, OK, OK),
    ({"GANLAB_PLUGINS": "other_gan:main"}, OK, NOT_NAMED, OK),
    ({"GANLAB_BLOCK_PLUGINS": "acme_gan"}, OK, BLOCKED, OK),
    ({"GANLAB_BLOCK_PLUGINS": "acme.gan:main,ganlab:losses"}, BLOCKED, BLOCKED, OK),
    ({"GANLAB_BLOCK_PLUGINS": ""}, OK, OK, OK),
    ({"GANLAB_PLUGINS": "acme-gan,other-gan", "GANLAB_BLOCK_PLUGINS": "acme-gan"}, OK, BLOCKED, OK),
]


@pytest.mark.parametrize(("environment", "ours", "acme", "other"), ENVIRONMENTS, ids=[str(e[0]) for e in ENVIRONMENTS])
def test_the_environment_says_who_is_loaded(
    site: Site, environment: dict[str, str], ours: tuple[str, str], acme: tuple[str, str], other: tuple[str, str]
) -> None:
    site.install_hinge("acme-gan", "acme")
    site.install_hinge("other-gan", "other")
    assert status(environment) == {"ganlab:losses": ours, "acme-gan:main": acme, "other-gan:main": other}


def test_a_blocked_plugin_is_not_even_imported(site: Site) -> None:
    site.install("acme-gan", {"acme": "raise SystemExit('imported')\n"})
    assert status({"GANLAB_BLOCK_PLUGINS": "acme-gan"})["acme-gan:main"] == BLOCKED


def test_what_a_blocked_plugin_offers_is_unknown_and_the_message_says_why(
    site: Site, in_folder: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install_hinge("acme-gan", "acme")
    recipe = in_folder("recipe.toml", HEAD + '[loss]\nname = "acme-gan:hinge"\n[plugins]\nrequire = ["acme-gan"]\n')
    assert command("check", recipe).code == 0
    monkeypatch.setenv("GANLAB_PLUGINS", "")
    done = command("check", recipe)
    assert done.code == 2
    assert "these plugins are left out: acme-gan:main blocked: GANLAB_PLUGINS does not name it" in done.err
    assert f"{recipe}:9: plugins.require.0: plugin acme-gan is blocked: GANLAB_PLUGINS does not name it; " in done.err


# -- [plugins] require -------------------------------------------------------------------------------------------------

REQUIREMENTS = {
    "acme-gan": None,
    "Acme_Gan>=0.2,<1": None,
    "acme-gan==0.3": None,
    "acme-gan<0.1; python_version < '3'": None,
    "acme-gan>=0.4": "plugin acme-gan is 0.3, the recipe needs acme-gan>=0.4; run: pip install 'acme-gan>=0.4'",
    "other-gan": "plugin other-gan is not installed; run: pip install 'other-gan'",
    "numpy": f'numpy {version("numpy")} is installed but has no entry point in the group "ganlab"; see docs/plugins.md',
    "acme gan": "'acme gan' is not a requirement such as 'acme-gan>=0.2'",
    "": "'' is not a requirement such as 'acme-gan>=0.2'",
    ">=3": "'>=3' is not a requirement such as 'acme-gan>=0.2'",
}


@pytest.mark.parametrize(("requirement", "problem"), REQUIREMENTS.items())
def test_require(site: Site, requirement: str, problem: str | None) -> None:
    site.install_hinge("acme-gan", "acme")
    assert ganlab.load_plugins().require([requirement]) == ([] if problem is None else [problem])


def test_a_misspelt_group_of_entry_points_is_named(site: Site) -> None:
    site.install("acme-gan", {"acme": REGISTERS_HINGE}, entry_points="[ganlabs]\nmain = acme\n")
    says = (
        "acme-gan 0.3 is installed but has no entry point in the group \"ganlab\" (only in 'ganlabs'); "
        "see docs/plugins.md"
    )
    assert ganlab.load_plugins().require(["acme-gan"]) == [says]
    with pytest.raises(PluginError) as raised:
        testing.cases("acme-gan")
    assert str(raised.value) == says


def test_each_requirement_is_told_at_its_own_line(in_folder: WriteFile) -> None:
    recipe = in_folder("recipe.toml", HEAD + '[plugins]\nrequire = [\n  "ganlab",\n  "one",\n  "two>=2",\n]\n')
    with pytest.raises(RecipeError) as raised:
        load_recipe(recipe)
    assert raised.value.problems == (
        f"{recipe}:9: plugins.require.1: plugin one is not installed; run: pip install 'one'",
        f"{recipe}:10: plugins.require.2: plugin two is not installed; run: pip install 'two>=2'",
    )


# -- two plugins, one name ---------------------------------------------------------------------------------------------


def test_both_stay_and_only_the_bare_name_is_an_error(site: Site) -> None:
    site.install_hinge("acme-gan", "acme", version="0.2")
    catalog = ganlab.load_plugins()
    losses = catalog.registry("loss")
    assert {entry.distribution for entry in losses.collisions()["hinge"]} == {"acme-gan", "ganlab"}
    with pytest.raises(ComponentNotFound) as raised:
        losses.entry("hinge")
    assert str(raised.value) == (
        f"loss 'hinge' is provided by acme-gan 0.2, ganlab {ganlab.__version__}; "
        "write 'acme-gan:hinge' or 'ganlab:hinge'"
    )
    assert catalog.create("loss", "acme-gan:hinge", margin=2).margin == 2.0
    assert catalog.create("loss", "Acme_Gan:hinge").margin == 1.0
    assert not hasattr(catalog.create("loss", "ganlab:hinge"), "margin")


def test_a_collision_is_told_at_the_line_and_resolved_by_the_qualified_name(site: Site, in_folder: WriteFile) -> None:
    site.install_hinge("acme-gan", "acme")
    recipe = in_folder("recipe.toml", HEAD + '[loss]\nname = "hinge"\n')
    done = command("check", recipe)
    assert done.code == 2
    assert done.err.startswith(f"{recipe}:7: loss.name: loss 'hinge' is provided by acme-gan 0.3, ganlab ")
    assert done.err.endswith("; write 'acme-gan:hinge' or 'ganlab:hinge'\n")
    assert command("check", recipe, "--set", "loss=wgan-gp").code == 0, "who does not use the name is not concerned"

    loaded = load_recipe(recipe, ["loss.name=acme-gan:hinge", "loss.margin=3"])
    assert loaded.plain()["loss"] == {"name": "acme-gan:hinge", "margin": 3.0}
    resolved = in_folder("resolved.toml", loaded.toml())
    assert load_recipe(resolved).recipe == loaded.recipe

    listed = command("list", "loss").out
    assert "\n  acme-gan:hinge " in listed
    assert "\n  ganlab:hinge " in listed
    assert "\nloss 'hinge' is offered twice; write acme-gan:hinge or ganlab:hinge\n" in command("plugins").out


def test_an_unrelated_plugin_breaks_no_recipe_that_relies_on_defaults(site: Site, in_folder: WriteFile) -> None:
    """It offers the names of our defaults; nobody wrote them, so nobody has to qualify them."""
    taken = {
        "loss": ["wgan-gp"],
        "normalization": ["pixel", "none"],
        "weight_scaling": ["equalized"],
        "layer": ["minibatch-stddev", "none"],
        "network": ["pggan-generator"],
    }
    text = "import attrs, ganlab\n@attrs.frozen\nclass Mine:\n    '''Mine.'''\n    def build(self): ...\n"
    for kind, names in taken.items():
        plural = {"loss": "losses"}.get(kind, f"{kind}s")
        text += f"@ganlab.hookimpl\ndef register_{plural}(register):\n"
        text += "".join(f"    register('{name}', Mine)\n" for name in names)
    recipe = in_folder("recipe.toml", HEAD + '[discriminator.stddev]\naveraging = "gpool"\n')
    before = load_recipe(recipe)
    site.install("acme-gan", {"acme": text})
    after = load_recipe(recipe)
    assert after.recipe == before.recipe
    assert after.plain()["loss"]["name"] == "ganlab:wgan-gp"
    assert differences(before.plain(), after.plain()) == [], "a run goes on after a plugin was installed"
    assert digest(before.plain()) == digest(after.plain())
    assert load_recipe(in_folder("resolved.toml", after.toml())).recipe.loss == before.recipe.loss
    with pytest.raises(RecipeError, match="write 'acme-gan:pixel' or 'ganlab:pixel'"):
        load_recipe(recipe, ["generator.normalization=pixel"])


def test_the_defaults_of_a_third_party_are_its_own(site: Site) -> None:
    text = '''
import attrs, ganlab
from ganlab.interfaces import Normalization

@attrs.frozen
class Pixel:
    """A pixel normalization of one's own."""
    strength: float = ganlab.parameter(1.0, help="how much")

    def build(self): ...

@attrs.frozen
class Layer:
    """A layer with a slot."""
    normalization: Normalization = ganlab.component("normalization", "pixel", help="after it")

    def build(self): ...

@ganlab.hookimpl
def register_layers(register):
    register("acme-layer", Layer)

@ganlab.hookimpl
def register_normalizations(register):
    register("pixel", Pixel)
'''
    site.install("acme-gan", {"acme": text})
    catalog = ganlab.load_plugins()
    assert catalog.create("layer", "acme-layer").normalization.strength == 1.0
    assert catalog.create("layer", "acme-layer", normalization={"strength": 2.0}).normalization.strength == 2.0


def test_a_deprecated_component_is_one_warning_line(site: Site, in_folder: WriteFile) -> None:
    text = (
        "import ganlab\n@ganlab.hookimpl\ndef register_losses(register):\n"
        "    register('old-hinge', 'acme_parts:Hinge', deprecated='write hinge', summary='the old one')\n"
    )
    site.install_hinge("acme-gan", "unused")
    site.install("acme-gan", {"acme": text, "acme_parts": (site.path / "unused_parts.py").read_text()})
    recipe = in_folder("recipe.toml", HEAD)
    done = command("check", recipe, "--set", "loss=old-hinge")
    assert (done.code, done.err) == (0, "ganlab: warning: loss 'old-hinge' is deprecated: write hinge\n")
    assert command("check", recipe).err == ""
    assert "(deprecated: write hinge)" in command("list", "loss").out
    assert "deprecated: write hinge" in command("show", "loss", "old-hinge").out
