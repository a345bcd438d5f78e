"""`ganlab generate` writes the images that training last sampled, and others by seed; wrong uses say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from ganlab.cli import cli
from ganlab.errors import GanlabError
from ganlab.track.folder import RunFolder
from ganlab.train.export import load_generator, read_generator

from .tiny import tiny, train_all


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("generate")
    return train_all(tiny(path, "run.images=80"), path / "run")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["generate", *map(str, arguments), "--device", "cpu"], catch_exceptions=True)


def pictures(path: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))]


def test_as_many_pngs_as_asked_of_the_level_reached(folder: RunFolder, tmp_path: Path) -> None:
    result = call(folder.path, "--out", tmp_path / "out", "--num", 5)
    assert result.exit_code == 0, result.output
    shapes = [picture.shape for picture in pictures(tmp_path / "out")]
    assert shapes == [(8, 8, 3)] * 5


def test_equal_seeds_give_equal_images_whatever_their_number(folder: RunFolder, tmp_path: Path) -> None:
    call(folder.path, "--out", tmp_path / "a", "--num", 3, "--seed", 7)
    call(folder.path, "--out", tmp_path / "b", "--num", 40, "--seed", 7)
    call(folder.path, "--out", tmp_path / "c", "--num", 3, "--seed", 8)
    a, b, c = (pictures(tmp_path / name) for name in "abc")
    assert all(np.array_equal(one, other) for one, other in zip(a, b[:3], strict=True))
    assert not any(np.array_equal(one, other) for one, other in zip(a, c, strict=True))


def test_a_grid_is_one_picture(folder: RunFolder, tmp_path: Path) -> None:
    assert call(folder.path, "--out", tmp_path, "--num", 9, "--grid").exit_code == 0
    assert [path.name for path in tmp_path.glob("*")] == ["grid.png"]


def test_truncation_brings_images_nearer_together(folder: RunFolder, tmp_path: Path) -> None:
    import torch

    from ganlab.train.samples import truncated

    latents = torch.linspace(-3, 3, 61)
    cut = truncated(latents, 0.5)
    assert cut.abs().max() <= 0.5
    assert torch.equal(cut, cut.sort().values)
    assert torch.allclose(truncated(latents, 30.0), latents, atol=1e-5)
    assert call(folder.path, "--out", tmp_path, "--num", 2, "--truncation", 0.5).exit_code == 0


def test_the_saved_generator_is_the_averaged_one(folder: RunFolder) -> None:
    import torch

    module, examples = load_generator(folder.path)
    images = module(*examples)
    saved = read_generator(folder.generator_path)
    again = saved.network(examples[0], resolution=saved.resolution, fade=torch.tensor(saved.fade))
    assert torch.allclose(images, again)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder, tmp: tmp / "nothing", "no such run folder"),
        (lambda folder, tmp: tmp, "no such file"),
    ],
    ids=["no folder", "no run"],
)
def test_what_is_missing_is_named(folder: RunFolder, tmp_path: Path, make: object, says: str) -> None:
    result = call(make(folder.path, tmp_path), "--out", tmp_path / "out")  # type: ignore[operator]  # a lambda
    assert isinstance(result.exception, GanlabError)
    assert says in str(result.exception)


def test_a_class_needs_a_generator_with_labels(folder: RunFolder, tmp_path: Path) -> None:
    result = call(folder.path, "--out", tmp_path, "--class", 1)
    assert "trained without classes; leave --class out" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--truncation", "nan"), "--truncation nan: expected a number"),
        (("--device", "foo"), "--device: 'foo' is no device; expected auto, cpu"),
    ],
)
def test_what_means_nothing_is_refused(folder: RunFolder, tmp_path: Path, words: tuple[str, str], says: str) -> None:
    result = CliRunner().invoke(cli, ["generate", str(folder.path), "--out", str(tmp_path / "out"), *words])
    assert isinstance(result.exception, GanlabError)
    assert says in str(result.exception)
    assert not (tmp_path / "out").exists()
