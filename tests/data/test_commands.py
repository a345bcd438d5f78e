"""`ganlab data`: the commands as a person types them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganlab.cli.data import data
from ganlab.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            image = np.random.default_rng(i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / name / f"{i}.png")
    (folder / "cats" / "broken.png").write_bytes(b"no")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(data, [str(argument) for argument in arguments])


def test_pack_info_and_verify(source: Path, tmp_path: Path) -> None:
    packed = run("pack", source, tmp_path / "set", "--resolution", 16, "--labels", "folders", "--licence", "CC0 1.0")
    assert packed.exit_code == 0, packed.output
    assert "skipped cats/broken.png: not an image" in packed.stderr
    assert "packed 8 rgb images of 16x16, 2 classes; skipped 1" in packed.stdout

    told = run("info", tmp_path / "set")
    assert told.exit_code == 0
    for words in ("folder source", "CC0 1.0", "16x16       1 shard of png", "class 1     dogs: 4 images"):
        assert words in told.output

    verified = run("verify", tmp_path / "set")
    assert (verified.exit_code, verified.output) == (0, f"{tmp_path / 'set'}: sound\n")


def test_info_names_derived_resolutions(source: Path, tmp_path: Path) -> None:
    options = ["--resolution", 16, "--finest-only", "--format", "webp", "--gzip"]
    assert run("pack", source, tmp_path / "set", *options).exit_code == 0
    told = run("info", tmp_path / "set").output
    assert "16x16       1 shard of webp" in told
    assert "derived     4x4, 8x8, on reading" in told


def test_verify_gives_one_line_for_each_problem(source: Path, tmp_path: Path) -> None:
    assert run("pack", source, tmp_path / "set", "--resolution", 16).exit_code == 0
    (tmp_path / "set" / "r0008" / "00000.tar").unlink()
    (tmp_path / "set" / "r0004" / "index.json").unlink()
    result = run("verify", tmp_path / "set")
    assert isinstance(result.exception, DataError)
    lines = str(result.exception).splitlines()
    assert len(lines) == 2
    assert "r0008/00000.tar: this shard is missing" in lines[0]
    assert "r0004/index.json: missing" in lines[1]


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_folder_that_is_no_set_is_refused(command: str, source: Path) -> None:
    result = run(command, source)
    assert isinstance(result.exception, DataError)
    assert "has no dataset.toml" in str(result.exception)


def test_options_reach_the_packing(source: Path, tmp_path: Path) -> None:
    result = run(
        *("pack", source, tmp_path / "set", "--resolution", 32, "--name", "pets", "--fit", "pad", "--padding", "red"),
        *("--colour", "grey", "--limit", 3, "--workers", 1, "--shard-size", 0.001, "--origin", "a shelter"),
    )
    assert result.exit_code == 0, result.output
    told = run("info", tmp_path / "set").output
    for words in (
        "pets",
        "a shelter",
        "images      3\n",
        "grey, transparency shows white, padded with red",
        "2 shards",
    ):
        assert words in told
    assert isinstance(run("pack", source, tmp_path / "set", "--resolution", 32).exception, DataError)
    assert run("pack", source, tmp_path / "set", "--resolution", 32, "--upscale", "--force").exit_code == 0


def test_help_teaches() -> None:
    told = run("pack", "--help").output
    assert "torchvision:NAME[:SPLIT]" in told
    assert "ganlab data pack ~/animals data/animals --resolution 64 --labels folders" in told


def test_importing_the_commands_imports_nothing_heavy() -> None:
    program = (
        "import sys, ganlab.cli.data; "
        "print([name for name in ('torch', 'numpy', 'PIL', 'webdataset', 'mlflow', 'rich') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_odd_files_are_named_on_one_line_each_and_never_waited_for(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe.png")
    (source / "two\nlines\x1b[2J.png").write_bytes(b"no")
    packed = run("pack", source, tmp_path / "set", "--resolution", 16)
    assert packed.exit_code == 0, packed.output
    assert "skipped pipe.png: not a regular file\n" in packed.stderr
    assert "skipped two\\nlines\\x1b[2J.png: not an image" in packed.stderr
    assert len((tmp_path / "set" / "skipped.txt").read_text().splitlines()) == 3


def test_large_images_bring_no_warning_of_pillows(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert run("pack", source, tmp_path / "set", "--resolution", 16).exit_code == 0
    assert not [warning for warning in recwarn if warning.category is Image.DecompressionBombWarning]


@pytest.mark.parametrize("size", ["nan", "inf", "-inf"])
def test_a_shard_size_that_is_no_number_is_refused(size: str, source: Path, tmp_path: Path) -> None:
    refused = run("pack", source, tmp_path / "set", "--resolution", 16, "--shard-size", size)
    assert isinstance(refused.exception, DataError)
