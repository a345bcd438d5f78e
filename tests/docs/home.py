"""The folder in which a reader would type the commands of a page, and the commands made small enough to be run.

A command is changed only by what is appended to it: fewer images, one thread, no MLflow. Those that cannot be run here
are in `NOT_RUN`, each with its reason; they are parsed all the same. A recipe whose data is not there is checked only.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab import GanlabError, load_plugins, load_recipe

from ..commands import Done, ganlab
from .pages import ROOT, Command

TINY = ["run.images=64", "run.threads=1", "track.mlflow=false", "track.samples=4"]

NOT_RUN: Mapping[str, str] = {
    r"pip install |pip uninstall |twine |python -m build ": "needs an index; tests/third_party builds and installs",
    r"torchrun ": "means several machines; tests/train/test_ranks.py starts ranks",
    r"ganlab ui": "serves until Ctrl-C; tests/track/test_ui.py starts and stops it",
    r"ganlab sync .*http://": "needs a server; tests/track starts one",
    r"ganlab ablate .*--executor ray": "starts a cluster; tests/executors and tests/ablation do",
    r"ganlab data pack torchvision:.*|.*--download": "downloads a data set",
    r"pytest tests/|.*pytest tests/": "runs our own tests, of which this is one",
    r"pytest": "runs the tests of a package that the page makes; tests/cli and tests/third_party do",
    r"python -m benchmarks": "measures for minutes; tests/test_benchmarks.py runs each of them",
    r".*pggan-celebahq-1024\.toml --out": "builds networks of 1024x1024: gigabytes",
    r"ganlab run recipes/pggan\.toml --run-dir runs/mine --ranks 2$": "shows a rank that is lost; tests/train does it",
    r".*mnist-modes": "needs MNIST",
    r"ganlab data pack /usr/share/": "needs a package of the system",
    r"ganlab data pack (horses|zebras) |ganlab run recipes/cyclegan\.toml --set scale=paper": "trains at 256x256",
    r"ganlab run recipes/pggan-fashion": "needs Fashion-MNIST",
}
"""Beginning of a command (a regular expression) to the reason why it is parsed only."""

ENDS: Mapping[str, int] = {
    "learning_rate=1e12": 2,
    "schedule.minibatches.16=100000": 2,
    "loss.drift=0.01 --run-dir": 2,
    "wrong.toml": 2,
    "data/hurt": 2,
    "margn": 2,
    "acme-gan>=0.2": 2,
    "loss=ragan --plugin ragan.py": 2,
    "--class pinkish": 2,
}
"""Part of a command to the exit code that its page shows, where it is not 0."""


def reason_not_to_run(command: Command) -> str | None:
    """Why a command is parsed only, or None."""
    line = " ".join(command.words)
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, line)), None)


def make_home(folder: Path) -> None:
    """What readers have when they come to any page: recipes, photos, packed data, a run, an ablation, weights."""
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    (folder / "wrong.toml").write_text('base = "recipes/pggan.toml"\n[loss]\ngp_wieght = 5.0\n')
    (folder / "mine.toml").write_text(
        'base = "recipes/pggan.toml"\n[track]\nmlflow = false\n[run]\nimages = 64\nthreads = 1\n'
        '[ablation]\nseeds = [0]\ndecide = ["loss/discriminator"]\n[ablation.vary]\n"loss" = ["hinge", "wgan-gp"]\n'
    )
    draw = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = draw.integers(0, 256, (140, 140, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    done(ganlab("run", "recipes/pggan.toml", "--run-dir", "runs/first", *sets(TINY), "--quiet"))
    done(ganlab("data", "pack", "photos", "data/photos", "--resolution", 32, "--labels", "folders"))
    shutil.copytree(folder / "data/photos", folder / "data/hurt")
    shard = next((folder / "data/hurt").rglob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    shard.write_bytes(content)
    done(ganlab("ablate", "mine.toml", "--dir", "runs/stddev", "--quiet"))
    done(ganlab("export-weights", "runs/first", "--out", "weights.npz"))


def done(ended: Done) -> None:
    """Raises where a command that prepares the home did not work."""
    assert ended.code == 0, ended.err


def sets(assignments: list[str]) -> list[str]:
    """As options."""
    return [word for assignment in assignments for word in ("--set", assignment)]


def small(command: Command) -> list[str]:
    """The words of a ganlab command after `ganlab`, with what makes it small at the end."""
    words = [_existing(word) for word in command.words[1:]]
    extra: list[str] = []
    if words[0] == "run":
        refused = any("schedule.minibatches." in word for word in words)  # before training, for a level of its end
        extra = sets([*(TINY[1:] if refused else TINY), *_as_shown(words)])
    elif words[0] == "ablate" and "mine.toml" not in words:
        extra = ["--dry-run", "--seconds", "0"]
    elif words[0] == "plan":
        extra = ["--seconds", "1"]
    elif words[0] == "evaluate":
        extra = ["--no-mlflow"]
    elif words[:2] == ["data", "pack"]:
        extra = ["--force"]
    return [*words, *extra]


def lacks_data(command: Command) -> bool:
    """Whether a recipe is trained whose data a reader packs or downloads first; it is then checked instead."""
    if command.words[1] not in ("run", "plan") or not command.words[2].startswith("recipes/"):
        return False
    try:
        loaded = load_recipe(command.words[2], command.values_of("--set"), load_plugins(command.values_of("--plugin")))
    except GanlabError:
        return False
    return not getattr(loaded.recipe.data.source, "path", Path()).exists()


def check_of(command: Command) -> list[str]:
    """The words of `ganlab check` for what a command would train."""
    given = [("--set", value) for value in command.values_of("--set")]
    given += [("--plugin", value) for value in command.values_of("--plugin")]
    return ["check", command.words[2], *(word for pair in given for word in pair)]


def run_that_is_not_there(command: Command) -> bool:
    """Whether a command looks at a run that an earlier command of its page would have made, were its data there."""
    readers = ("generate", "evaluate", "report", "sync", "export-weights")
    folder = re.match(r"runs/[\w-]+", command.words[2]) if command.words[1] in readers else None
    return folder is not None and not Path(folder.group()).exists()


def install(project: Path, site: Path) -> None:
    """A project as `pip install -e` leaves it: its code in `site`, and the metadata of its entry points."""
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    for code in (project / "src").iterdir():
        shutil.copytree(code, site / code.name, dirs_exist_ok=True)
    name, version = described["name"], described["version"]
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = described.get("entry-points", {}).items()
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()) for group, points in groups
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


def begins_anew(command: Command) -> list[Path]:
    """The folder of a run that a page begins as if it were its first, which the home may have already."""
    again = "--resume" in command.words or command.words[1] != "run"
    return [] if again else [Path(folder) for folder in command.values_of("--run-dir")]


def _as_shown(words: list[str]) -> list[str]:
    """What a page sets and TINY would change though it is the point of the example."""
    return ["track.mlflow=true"] if any(word.startswith("track.uri") for word in words) else []


def _existing(word: str) -> str:
    """A run folder that is named for the time of its start: the newest there is."""
    named = re.fullmatch(r"(runs/[\w-]+)/\d{8}-\d{6}", word)
    return str(max(Path(named.group(1)).iterdir())) if named else word
