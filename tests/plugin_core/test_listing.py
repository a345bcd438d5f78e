"""`ganlab plugins`, `ganlab list` and `ganlab show` tell of everything that is installed, working or not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.listing import BREAKAGES, install, listing

from ..commands import ganlab as command
from .conftest import HINGE, Site

ROOT = Path(__file__).parents[2]
FIFTY, BROKEN = 50, len(BREAKAGES)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A site with fifty plugins; name of each broken one to the way it is broken."""
    folder = tmp_path_factory.mktemp("site")
    return folder, install(folder, plugins=FIFTY, broken=BROKEN)


def test_fifty_plugins_are_listed_and_the_reason_of_each_broken_one(crowd: tuple[Path, dict[str, str]]) -> None:
    folder, broken = crowd
    printed = listing(folder).printed
    sections = re.split(r"^(?=\S+ \S+  (?:ok|failed|blocked)  \()", printed, flags=re.MULTILINE)
    found = {text.partition(":")[0]: text for text in sections if text.startswith("plugin-")}
    assert len(found) == FIFTY
    assert set(broken.values()) == set(BREAKAGES)
    assert len(BREAKAGES) >= 10
    for name, text in found.items():
        if name in broken:
            assert "  failed  (" in text, name
            assert BREAKAGES[broken[name]].reason in text, broken[name]
        else:
            assert "  ok  (" in text, name
            assert f"    loss: {name}\n" in text
    assert printed.endswith(f"{BROKEN} failed\n")


def test_json_has_all_of_it(crowd: tuple[Path, dict[str, str]]) -> None:
    folder, broken = crowd
    listed = json.loads(listing(folder, "--json").printed)
    rows = {row["distribution"]: row for row in listed["plugins"]}
    for name, way in broken.items():
        assert rows[name]["status"] == "failed"
        assert BREAKAGES[way].reason in rows[name]["reason"], way
        assert rows[name]["reason"].count("\n") == 0
    well = rows[f"plugin-{FIFTY - 1:03}"]
    assert (well["status"], well["reason"], well["version"]) == ("ok", "", "1.0")
    assert well["hooks"] == ["register_losses"]
    assert well["components"] == {"loss": [f"plugin-{FIFTY - 1:03}"]}
    assert listed["collisions"] == []


def test_a_broken_plugin_is_told_where_in_its_own_files(crowd: tuple[Path, dict[str, str]]) -> None:
    folder, _ = crowd
    printed = listing(folder).printed
    places = re.findall(r'^    at "(.+)", line \d+', printed, re.MULTILINE)
    assert len(places) >= 5
    assert all(Path(place).parent == folder for place in places), places


def test_the_benchmark_says_how_long_it_takes() -> None:
    words = ["-m", "benchmarks", "listing", "--plugins", "3", "--broken", "1", "--rounds", "1"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.match(r"first: [\d.]+ s, [\d.]+ s of processor time\nthen: [\d.]+ \(", done.stdout)


def test_aliases_collide_too(site: Site) -> None:
    for name, alias in (("one", "[]"), ("two", "['mine']")):
        offered = "mine" if name == "one" else "other"
        hook = f"register('{offered}', '{name}_parts:Hinge', aliases={alias})"
        text = f"import ganlab\n@ganlab.hookimpl\ndef register_losses(register): {hook}\n"
        site.install(name, {name: text, f"{name}_parts": HINGE})
    listed = json.loads(command("plugins", "--json").out)
    assert listed["collisions"] == [{"kind": "loss", "name": "mine", "write": ["one:mine", "two:other"]}]
    assert "loss 'mine' is offered twice; write one:mine or two:other\n" in command("plugins").out


def test_what_an_observer_implements_is_listed(site: Site) -> None:
    site.install("watcher", {"watcher": "import ganlab\n@ganlab.hookimpl\ndef after_run(run): pass\n"})
    assert "watcher:main 0.3  ok  (watcher)\n    hooks: after_run\n" in command("plugins").out


@pytest.mark.parametrize(
    ("needs", "status"),
    [("ganlab>=999", "failed"), ("ganlab[ray]>=0.0.1", "ok"), ("ganlab>=999; python_version < '3'", "ok"), ("", "ok")],
)
def test_a_plugin_for_another_ganlab_is_not_loaded(site: Site, needs: str, status: str) -> None:
    site.install_hinge("acme-gan", "acme")
    metadata = site.path / "acme_gan-0.3.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + (f"Requires-Dist: {needs}\n" if needs else ""))
    row = next(row for row in json.loads(command("plugins", "--json").out)["plugins"] if row["name"] == "acme-gan:main")
    assert row["status"] == status
    assert ("it needs ganlab>=999, and this is ganlab " in row["reason"]) == (status == "failed")


# -- list and show -----------------------------------------------------------------------------------------------------

PLUGIN = '''
from pathlib import Path
from typing import Literal
import attrs, ganlab

@attrs.frozen
class Mixture:
    """Several losses at once.

    With weights.
    """
    power: int = ganlab.parameter(help="how much", unit="images", ge=1, lt=9)
    mode: Literal["sum", "mean"] = ganlab.parameter("sum", help="how")
    shape: str = ganlab.parameter("round", choices=("round", "square"), help="which")
    file: Path | None = ganlab.parameter(None, help="of weights")
    sizes: tuple[int, ...] = ganlab.parameter((1, 2), help="several")
    inner: object = ganlab.component("loss", "hinge", help="a loss in it")
    terms: tuple = ganlab.component("regularizer", (), many=True, help="and terms")

    def build(self): ...

@ganlab.hookimpl
def register_losses(register):
    register("mixture", Mixture, summary="several at once", aliases=["blend"], deprecated="use hinge")
    register("hinge", Mixture)
'''


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    return file


def test_show_tells_everything_of_a_component(mixture: Path) -> None:
    shown = command("show", "loss", "blend", "--plugin", mixture).out
    assert shown.startswith(
        "loss mixture   [mine 0]\ndeprecated: use hinge\nSeveral losses at once.\n\nWith weights.\n\n"
    )
    assert f"source: {mixture}:6\nplugin: file:mine\nother names: blend\nnamed at: loss, loss.inner\n" in shown
    for line in (
        "  power: int = required   (>= 1, < 9)\n      how much [images]\n",
        '  mode: str = "sum"   (one of "sum", "mean")\n',
        '  shape: str = "round"   (one of "round", "square")\n',
        "  file: Path | None = none\n",
        "  sizes: tuple[int, ...] = [1, 2]\n",
        '  inner: loss component = "hinge"\n      a loss in it\n      one of: ',
        " ganlab:hinge, mine:hinge, lsgan,",
        "  terms: list of regularizer components = []\n      and terms\n      one of: ac-gan, r1, r2",
    ):
        assert line in shown, line
    assert "mixture" not in shown.partition("ganlab:hinge, ")[2].partition("\n")[0], "it will go away"


def test_show_as_json(mixture: Path) -> None:
    found: dict[str, Any] = json.loads(command("show", "loss", "mixture", "--json", "--plugin", mixture).out)
    assert {key: found[key] for key in ("kind", "name", "write", "aliases", "deprecated", "plugin", "line")} == {
        "kind": "loss",
        "name": "mixture",
        "write": "mixture",
        "aliases": ["blend"],
        "deprecated": "use hinge",
        "plugin": "file:mine",
        "line": 6,
    }
    parameters = {parameter["name"]: parameter for parameter in found["parameters"]}
    assert parameters["power"] == {
        "name": "power",
        "type": "int",
        "required": True,
        "default": None,
        "bounds": {"ge": 1, "lt": 9},
        "choices": [],
        "unit": "images",
        "help": "how much",
        "component": None,
        "names": [],
    }
    assert parameters["mode"]["choices"] == ["sum", "mean"]
    assert parameters["inner"]["component"] == "loss"
    assert {"ganlab:hinge", "mine:hinge", "lsgan"} <= set(parameters["inner"]["names"])


def test_show_a_recipe_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text('[run]\nimages = 64\n[data]\nname = "synthetic"\nresolution = 8\n')
    values = json.loads(command("show", "r.toml", "--set", "loss=hinge", "--json").out)["values"]
    found = {value["key"]: (value["value"], value["origin"]) for value in values}
    assert found["run.images"] == (64, "r.toml:2")
    assert found["loss.name"] == ("hinge", "--set loss=hinge")
    assert found["data.mirror"] == (True, "default")


def test_list_as_json_says_what_to_write(mixture: Path) -> None:
    found = json.loads(command("list", "loss", "--json", "--plugin", mixture).out)["components"]
    offers = {each["qualified_name"]: each for each in found}
    assert offers["mine:hinge"]["write"] == "mine:hinge"
    assert offers["ganlab:lsgan"]["write"] == "lsgan"
    assert offers["mine:mixture"]["target"].endswith(":Mixture")
    listed = command("list", "loss", "--plugin", mixture).out
    assert "  several at once  [mine 0]  (also blend)  (deprecated: use hinge)\n" in listed
    everything = json.loads(command("list", "--json", "--plugin", mixture).out)["components"]
    assert {"layer", "loss", "schedule"} <= {each["kind"] for each in everything}


def test_every_component_of_ours_can_be_shown() -> None:
    offers = json.loads(command("list", "--json").out)["components"]
    for each in offers:
        found = json.loads(command("show", each["kind"], each["write"], "--json").out)
        assert found["places"], f"{each['kind']} {each['name']} can be named nowhere"
        assert all(parameter["help"] for parameter in found["parameters"]), f"{each['kind']} {each['name']}"
