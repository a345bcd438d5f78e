"""Commands that only look something up answer at once: they import neither torch nor mlflow nor numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..commands import GANLAB

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "torchvision", "mlflow", "numpy", "scipy", "PIL", "webdataset", "ray", "safetensors"}
SPY = """
import json, sys
from ganlab.cli import main
try:
    main()
except SystemExit as end:
    print("SPY" + json.dumps({"code": end.code, "modules": [name for name in sys.modules if "." not in name]}))
"""
LIGHT = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["check", "recipes/pggan.toml"],
    ["check", "recipes/pggan.toml", "--set", "loss=lsgan", "--set", "metrics=['swd', 'ms-ssim']"],
    ["check", "recipes/pggan-rosinality.toml"],
    ["show", "recipes/pggan.toml"],
    ["show", "loss", "wgan-gp"],
    ["show", "network", "pggan-generator"],
    ["plugins"],
    ["plugins", "--json"],
    ["list"],
    ["list", "metric"],
    ["list", "--json"],
    ["schema"],
    ["completion", "bash"],
]


def spy(words: list[str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", SPY, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "SPY" in done.stdout, done.stderr
    found: dict[str, object] = json.loads(done.stdout.rpartition("SPY")[2])
    return found


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    found = spy(words)
    assert found["code"] == 0
    assert HEAVY.isdisjoint(found["modules"])  # type: ignore[arg-type]  # a list of names


def test_the_spy_sees_what_is_heavy() -> None:
    """`generate` on nothing imports little; `data info` imports numpy, so the spy would have seen it above."""
    assert "numpy" in spy(["data", "info", "nowhere"])["modules"]  # type: ignore[operator]  # a list of names


def test_the_executable_is_installed_and_says_its_version() -> None:
    done = subprocess.run([GANLAB, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ganlab, version 0.")
