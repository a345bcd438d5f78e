"""A broken plugin is left out with a reason, and everything else works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings

import pytest

import ganlab
from ganlab.discovery import Plugin
from ganlab.errors import PluginError, RecipeError
from ganlab.plugins import PluginWarning
from ganlab.recipe import load_recipe

from ..commands import ganlab as command
from ..recipe.wrong_recipes import HEAD
from .conftest import HINGE, REGISTERS_HINGE, Site, WriteFile

HOOK = "import ganlab\n@ganlab.hookimpl\ndef register_losses(register):\n    "
BROKEN = {
    "a syntax error": ("def oops(:\n", "(acme.py, line 1)"),
    "a missing import": (
        "import no_such_module_at_all\n",
        "ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ),
    "an error at import": ("1 / 0\n", "ZeroDivisionError: division by zero"),
    "an exit at import": ("import sys\nsys.exit('bye')\n", "SystemExit: bye"),
    "a deep recursion": ("def f(): f()\nf()\n", "RecursionError: maximum recursion depth exceeded"),
    "a raising hook": (HOOK + "raise RuntimeError('no licence\\nfor this')\n", "RuntimeError: no licence"),
    "an exiting hook": (HOOK + "exit(3)\n", "SystemExit: 3"),
    "a misspelt hook": (
        "import ganlab\n@ganlab.hookimpl\ndef register_loses(register): pass\n",
        "AttributeError: 'register_loses' is no hook of ganlab; did you mean 'register_losses'?",
    ),
    "a hook with another argument": (
        "import ganlab\n@ganlab.hookimpl\ndef register_losses(registry): pass\n",
        "TypeError: the hook register_losses has no argument 'registry'; did you mean 'register'? (it has: register)",
    ),
    "a name that is not kebab-case": (
        HOOK + "register('My_Loss', 'a:B')\n",
        "ValueError: loss name 'My_Loss' is not kebab",
    ),
    "a name that is no text": (
        HOOK + "register(3, 'a:B')\n",
        "ValueError: loss name 3 is not kebab-case such as 'my-loss'",
    ),
    "a target without a class": (
        HOOK + "register('x', 'a.b')\n",
        "ValueError: loss 'x': target 'a.b' is not of the form",
    ),
    "a target that is a function": (HOOK + "register('x', print)\n", "ValueError: loss 'x': target must be a class or"),
    "a bad alias": (HOOK + "register('x', 'a:B', aliases=['Y'])\n", "ValueError: loss name 'Y' is not kebab-case"),
    "aliases in one text": (
        HOOK + "register('x', 'a:B', aliases='y')\n",
        "ValueError: loss 'x': aliases must be a list",
    ),
    "a name twice": (
        HOOK + "register('x', 'a:B')\n    register('x', 'a:C')\n",
        "ValueError: loss 'x' is registered twice",
    ),
    "an alias that is a name": (
        HOOK + "register('x', 'a:B')\n    register('y', 'a:C', aliases=['x'])\n",
        "ValueError: loss 'x' is registered twice by acme-gan",
    ),
    "an unknown option": (
        HOOK + "register('x', 'a:B', sumary='')\n",
        "TypeError: register has no argument 'sumary'; did you mean 'summary'? (it has: name, target, summary, ",
    ),
    "no target": (
        HOOK + "register('x')\n",
        "TypeError: register() missing 1 required positional argument: 'target'",
    ),
}


def load() -> tuple[ganlab.Catalog, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        catalog = ganlab.load_plugins()
    return catalog, [str(warning.message) for warning in caught if warning.category is PluginWarning]


def plugin_of(catalog: ganlab.Catalog, distribution: str) -> Plugin:
    [plugin] = [plugin for plugin in catalog.plugins if plugin.distribution == distribution]
    return plugin


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_left_out_and_nothing_else(site: Site, text: str, reason: str) -> None:
    site.install_hinge("well-made", "well_made")
    site.install("acme-gan", {"acme": text})

    catalog, warned = load()

    broken = plugin_of(catalog, "acme-gan")
    assert broken.status == "failed"
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert "Traceback" in broken.traceback
    assert warned == [f"plugin acme-gan:main (0.3) is left out: {broken.reason}"]
    assert catalog.failed() == [broken]
    assert all(entry.plugin != "acme-gan:main" for r in catalog.registries.values() for entry in r.entries())
    assert not catalog.manager.has_plugin("acme-gan:main"), "its observers are not called either"
    assert catalog.create("loss", "well-made:hinge").margin == 1.0
    assert catalog.create("loss", "lsgan").fake_weight == 0.1


@pytest.mark.parametrize("value", ["no_such_module", "os:no_such_name", "not a module", "acme:", ""])
def test_an_entry_point_that_leads_nowhere(site: Site, value: str) -> None:
    site.install("acme-gan", {"acme": ""}, entry_points=f"[ganlab]\nmain = {value}\n")
    catalog, warned = load()
    assert plugin_of(catalog, "acme-gan").status == "failed"
    assert re.match("(ModuleNotFound|Attribute|Import)Error: .+", plugin_of(catalog, "acme-gan").reason)
    assert len(warned) == 1


def test_half_registered_is_not_registered(site: Site) -> None:
    text = HOOK + "register('early', 'a:B')\n    register('BAD', 'a:B')\n"
    site.install("acme-gan", {"acme": text})
    catalog, _ = load()
    assert "early" not in catalog.registry("loss").names()


def test_one_entry_point_breaks_and_its_sister_stays(site: Site) -> None:
    site.install_hinge("acme-gan", "acme")
    site.install("acme-gan", {"acme_bad": "1/0\n"}, entry_points="[ganlab]\nmain = acme\nbad = acme_bad\n")
    catalog, _ = load()
    assert {p.name: p.status for p in catalog.plugins if p.distribution == "acme-gan"} == {
        "acme-gan:bad": "failed",
        "acme-gan:main": "ok",
    }
    assert catalog.registry("loss").entry("acme-gan:hinge")
    assert catalog.require(["acme-gan"]) == [
        "plugin acme-gan is installed but broken (ZeroDivisionError: division by zero); repair it, or "
        "run: pip install 'acme-gan'"
    ]


def test_strict_mode_raises(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("acme-gan", {"acme": "1/0\n"})
    with pytest.raises(PluginError, match=r"plugin acme-gan:main \(0.3\) is left out: ZeroDivisionError") as raised:
        ganlab.load_plugins(environment={"GANLAB_STRICT_PLUGINS": "1"})
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    monkeypatch.setenv("GANLAB_STRICT_PLUGINS", "1")
    done = command("list", "loss")
    assert (done.code, done.out) == (2, "")
    assert done.err == "plugin acme-gan:main (0.3) is left out: ZeroDivisionError: division by zero\n"
    assert plugin_of(ganlab_without_strictness(), "acme-gan").status == "failed"


def ganlab_without_strictness() -> ganlab.Catalog:
    with pytest.warns(PluginWarning):
        return ganlab.load_plugins(environment={"GANLAB_STRICT_PLUGINS": "0"})


BAD_TARGETS = {
    "a module that is not there": ("no_such_parts:Hinge", "", "ModuleNotFoundError: No module named 'no_such_parts'"),
    "a class that is not there": ("parts:Henge", HINGE, "AttributeError: module 'parts' has no attribute 'Henge'"),
    "a syntax error": ("parts:Hinge", "class Hinge(:\n", r"SyntaxError: invalid syntax (parts.py, line 1)"),
    "an exit": ("parts:Hinge", "raise SystemExit(1)\n", "SystemExit: 1"),
    "no attrs class": ("parts:Hinge", "class Hinge: pass\n", "parts:Hinge is not a class made with attrs.frozen"),
    "a function": ("parts:Hinge", "def Hinge(): pass\n", "parts:Hinge is not a class made with attrs.frozen"),
    "unreadable annotations": (
        "parts:Hinge",
        "from __future__ import annotations\nimport attrs\n@attrs.frozen\nclass Hinge:\n    x: Tensor = None\n",
        "parts:Hinge: its annotations cannot be read (name 'Tensor' is not defined)",
    ),
    "a parameter without a type": (
        "parts:Hinge",
        HINGE.replace("margin: float =", "margin ="),
        "parts:Hinge: parameter 'margin' has no type annotation; write `margin: float = ...`",
    ),
    "a table with a key without a type": (
        "parts:Hinge",
        HINGE.replace("class Hinge", "class Inner").replace("margin: float =", "margin =")
        + "@attrs.frozen\nclass Hinge:\n    inner: Inner | None = ganlab.parameter(None, help='a table')\n",
        "parts:Inner: parameter 'margin' has no type annotation; write `margin: float = ...`",
    ),
    "no build": (
        "parts:Hinge",
        HINGE.replace("def build", "def biuld"),
        "acme-gan 0.3: parts:Hinge has no method build(), which makes what training uses",
    ),
    "a build that cannot be called": (
        "parts:Hinge",
        HINGE.replace("def build(self): ...", "build = 3"),
        "acme-gan 0.3: parts:Hinge has no method build()",
    ),
}


@pytest.mark.parametrize(("target", "parts", "reason"), BAD_TARGETS.values(), ids=BAD_TARGETS.keys())
def test_a_target_that_cannot_be_used_concerns_only_who_names_it(
    site: Site,
    in_folder,
    target: str,
    parts: str,
    reason: str,
) -> None:
    site.install("acme-gan", {"acme": HOOK + f"register('bent', '{target}')\n", "parts": parts})
    recipe = in_folder("recipe.toml", HEAD + '[loss]\nname = "bent"\n')

    assert load()[1] == [], "a target is imported when it is named, not before"
    assert load_recipe(recipe, ["loss=hinge"]).recipe.loss
    with pytest.raises(RecipeError) as raised:
        load_recipe(recipe)
    assert str(raised.value).startswith(f"{recipe}:7: loss.name: ")
    assert reason in str(raised.value)
    assert "acme-gan 0.3" in str(raised.value) or "annotation" in reason


def test_ganlab_plugins_finds_a_target_that_cannot_be_loaded(site: Site) -> None:
    text = HOOK + "register('bent', 'parts:Hinge')\n    register('straight', 'well:Hinge')\n"
    site.install("acme-gan", {"acme": text, "parts": "class Hinge(:\n", "well": HINGE})
    rows = {row["name"]: row for row in json.loads(command("plugins", "--json").out)["plugins"]}
    row = rows["acme-gan:main"]
    assert (row["status"], row["components"]) == ("failed", {"loss": ["bent", "straight"]})
    assert row["reason"] == (
        "loss 'bent' of acme-gan 0.3 cannot be loaded from parts:Hinge: SyntaxError: invalid syntax (parts.py, line 1)"
    )
    assert "class Hinge(:" in row["traceback"]
    shown = command("plugins").out
    assert "acme-gan:main 0.3  failed  (acme)" in shown
    assert "SyntaxError: invalid syntax (parts.py, line 1)" in shown
    assert ganlab.load_plugins().create("loss", "straight").margin == 1.0, "what works may be used"


def test_a_parameter_without_a_type_breaks_no_listing(site: Site, in_folder: WriteFile) -> None:
    site.install_hinge("well-made", "well_made")
    parts = HINGE.replace("margin: float =", "margin =")
    site.install("acme-gan", {"acme": HOOK + "register('bent', 'parts:Hinge')\n", "parts": parts})
    reason = "parts:Hinge: parameter 'margin' has no type annotation; write `margin: float = ...`"
    listed = command("plugins")
    assert listed.code == 0
    assert f"acme-gan:main 0.3  failed  (acme)\n    {reason}\n" in listed.out
    assert "well-made:main 0.3  ok  (well_made)\n    loss: hinge\n" in listed.out
    schema = command("schema")
    assert schema.code == 0
    assert "well-made:hinge" in schema.out
    assert command("show", "loss", "well-made:hinge").code == 0
    shown = command("show", "loss", "bent")
    assert (shown.code, shown.err) == (2, reason + "\n")
    recipe = in_folder("recipe.toml", HEAD + '[loss]\nname = "bent"\n')
    checked = command("check", recipe)
    assert (checked.code, checked.err) == (2, f"{recipe}:7: loss.name: {reason}\n")


def test_a_hook_that_is_not_marked_is_a_warning(site: Site, in_folder: WriteFile) -> None:
    text = REGISTERS_HINGE.replace("@ganlab.hookimpl", "").format(module="acme") + "\ndef helper(): pass\n"
    site.install("acme-gan", {"acme": text})
    catalog, warned = load()
    says = "register_losses is not marked with @ganlab.hookimpl, so that it is never called"
    assert (plugin_of(catalog, "acme-gan").status, warned) == ("ok", [f"plugin acme-gan:main (0.3): {says}"])
    listed = command("plugins")
    assert f"acme-gan:main 0.3  ok  (acme)\n    warning: {says}\n" in listed.out
    done = command("check", in_folder("recipe.toml", HEAD))
    assert done.code == 0
    assert done.err == f"ganlab: warning: plugin acme-gan:main (0.3): {says}; `ganlab plugins` tells more\n"


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ({"acme": "import torch\n"}, "acme"),
        ({"acme": "import acme_built\n", "acme_built": "from torch import nn\n"}, None),
        ({"acme/__init__": "import acme.built\n", "acme/built": "from torch import nn\n"}, "acme.built"),
        ({"acme": "import ganlab\nganlab.load_plugins\n"}, None),
    ],
    ids=["itself", "another distribution's module", "a module of its package", "nobody"],
)
def test_a_plugin_that_imports_torch_when_it_is_listed_is_warned_of(
    site: Site, modules: dict[str, str], named: str | None
) -> None:
    import torch  # so that it is here already, as in a notebook

    assert torch
    (site.path / "acme").mkdir()
    site.install("acme-gan", modules, entry_points="[ganlab]\nmain = acme\n")
    catalog, warned = load()
    assert warned == [], "only `ganlab plugins` says it"
    found = plugin_of(catalog, "acme-gan").warnings
    assert len(found) == (named is not None)
    assert not named or found[0].startswith(f"{named} imports torch, which takes every ganlab command seconds; ")


def test_a_plugin_that_brings_torch_in_by_others_is_warned_of_too(site: Site) -> None:
    site.install("acme-gan", {"acme": "import helper\n", "helper": "import torch\n"})
    for module, hook in (("fine", "register_losses"), ("later", "register_metrics")):
        site.install(f"{module}-gan", {module: f"import ganlab\n@ganlab.hookimpl\ndef {hook}(register): pass\n"})
    program = "import ganlab, json; print(json.dumps({p.name: p.warnings for p in ganlab.load_plugins().plugins}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site.path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    found = {name: warned for name, warned in json.loads(done.stdout).items() if warned}
    assert list(found) == ["acme-gan:main"]
    assert found["acme-gan:main"][0].startswith("acme, by way of what it imports, imports torch, ")


def test_commands_give_one_warning_line_for_a_broken_plugin(site: Site, in_folder: WriteFile) -> None:
    site.install("acme-gan", {"acme": "1/0\n"})
    recipe = in_folder("recipe.toml", HEAD)
    warning = (
        "ganlab: warning: plugin acme-gan:main (0.3) is left out: ZeroDivisionError: division by zero; "
        "`ganlab plugins` tells more\n"
    )
    for words in (["--help"], ["check", recipe], ["show", recipe], ["list"], ["show", "loss", "hinge"]):
        done = command(*words)
        assert (done.code, done.err) == (0, warning), words
    listed = command("plugins")
    assert (listed.code, listed.err) == (0, "")
    assert 'acme-gan:main 0.3  failed  (acme)\n    ZeroDivisionError: division by zero\n    at "' in listed.out
    assert f'{site.path / "acme.py"}", line 1' in listed.out


def test_a_recipe_that_names_a_missing_component_is_told_which_plugins_are_left_out(
    site: Site, in_folder: WriteFile
) -> None:
    site.install("acme-gan", {"acme": "1/0\n"})
    recipe = in_folder("recipe.toml", HEAD + '[loss]\nname = "acme-gan:hinge"\n')
    done = command("check", recipe)
    assert done.code == 2
    assert f"{recipe}:7: loss.name: unknown loss 'acme-gan:hinge'; did you mean 'ganlab:hinge'?; " in done.err
    assert done.err.endswith("these plugins are left out: acme-gan:main failed: ZeroDivisionError: division by zero\n")


def test_plugin_file_that_is_broken_is_an_error_because_it_was_asked_for(in_folder: WriteFile) -> None:
    recipe = in_folder("recipe.toml", HEAD)
    bad = in_folder("bad.py", "1/0\n")
    for file, reason in ((bad, "ZeroDivisionError: division by zero"), ("none.py", "FileNotFoundError: no such file")):
        done = command("check", recipe, "--plugin", file)
        assert done.code == 2
        assert reason in done.err.splitlines()[-1]
        assert done.err.splitlines()[-1].startswith("--plugin ")
