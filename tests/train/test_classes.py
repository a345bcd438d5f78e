"""Conditional generators: classes have names from the data set to `ganlab generate`, and grids have a row for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from ganlab.cli import cli
from ganlab.errors import GanlabError
from ganlab.track.folder import RunFolder
from ganlab.train.classes import class_grid, class_number, label_names
from ganlab.train.export import read_generator
from ganlab.train.samples import VIEW_PIXELS, sample_latents

from .tiny import tiny, train_all

NAMES = ("sky", "violet", "lavender", "pink", "peach")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A short run on the embedded faces with their labels, and 20 images in a grid."""
    path = tmp_path_factory.mktemp("classes")
    labelled = ["data.labels=true", "regularizers=['ac-gan']", "track.samples=20"]
    return train_all(tiny(path, "run.images=80", *labelled), path / "run")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["generate", *map(str, arguments), "--device", "cpu"])


def pictures(path: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in sorted(path.glob("*.png"))]


def cells(sheet: Path, rows: int, columns: int, size: int) -> np.ndarray:
    """`[rows, columns, size, size, 3]` of a grid that may have been enlarged."""
    picture = np.asarray(Image.open(sheet))
    factor = picture.shape[0] // (rows * size)
    assert picture.shape[:2] == (rows * size * factor, columns * size * factor)
    return picture[::factor, ::factor].reshape(rows, size, columns, size, 3).swapaxes(1, 2)


# Which class is meant


@pytest.mark.parametrize(
    ("text", "number"), [("shirt", 1), ("SHIRT", 1), ("Bag", 2), ("bag", 3), ("2", 2), ("10", 0), ("0", 0)]
)
def test_a_class_is_a_name_in_any_case_or_else_a_number(text: str, number: int) -> None:
    assert class_number(text, ("10", "shirt", "Bag", "bag"), 4) == number


@pytest.mark.parametrize("text", ["4", "-1", "BAG", "shrit", ""])
def test_another_class_is_refused_with_all_that_there_are(text: str) -> None:
    with pytest.raises(GanlabError, match="there are 0 10, 1 shirt, 2 Bag, 3 bag"):
        class_number(text, ("10", "shirt", "Bag", "bag"), 4)


def test_a_slip_of_the_keyboard_is_guessed_and_a_long_list_cut_short() -> None:
    with pytest.raises(GanlabError, match=r"did you mean 'shirt'\?"):
        class_number("shrit", ("shirt", "bag"), 2)
    many = tuple(f"kind-{number}" for number in range(1000))
    with pytest.raises(GanlabError, match=r"0 kind-0, .*, 39 kind-39, \.\.\. 999 kind-999$"):
        class_number("zebra", many, 1000)


def test_classes_without_names_go_by_number() -> None:
    assert class_number("3", (), 10) == 3
    with pytest.raises(GanlabError, match="10 classes without names, 0 to 9"):
        class_number("shirt", (), 10)


def test_names_are_used_only_where_each_class_has_one() -> None:
    class Source:
        label_names = ("a", "b")

    assert label_names(Source(), 2) == ("a", "b")
    assert label_names(Source(), 3) == ()
    assert label_names(object(), 2) == ()


# The grid


def test_a_grid_has_a_class_in_each_row_and_equal_latents_in_each_column() -> None:
    latents, labels, columns = class_grid(5, 64, 7, 10)
    assert columns == 6
    assert labels is not None
    assert labels.argmax(1).tolist() == [number for number in range(10) for _ in range(6)]
    rows = latents.reshape(10, 6, 7)
    assert torch.equal(rows, sample_latents(5, 6, 7).expand(10, 6, 7))


@pytest.mark.parametrize(("count", "classes", "rows"), [(64, 1000, 8), (9, 5, 3), (1, 5, 1), (3, 2, 1), (4, 2, 2)])
def test_of_too_many_classes_some_are_shown_evenly_spread(count: int, classes: int, rows: int) -> None:
    latents, labels, columns = class_grid(0, count, 4, classes)
    assert labels is not None
    assert columns is not None
    assert len(latents) == len(labels) == rows * columns <= count
    assert labels.argmax(1)[::columns].tolist() == [row * classes // rows for row in range(rows)]


def test_without_labels_a_grid_is_what_it_was() -> None:
    latents, labels, columns = class_grid(5, 10, 7, 0)
    assert torch.equal(latents, sample_latents(5, 10, 7))
    assert labels is None
    assert columns is None


# From the data set to `ganlab generate`


def test_a_run_and_its_generator_know_the_names(folder: RunFolder) -> None:
    assert tuple(folder.info()["data"]["label_names"]) == NAMES
    assert read_generator(folder.generator_path).label_names == NAMES


def test_a_class_is_generated_by_name_from_the_file_alone(folder: RunFolder, tmp_path: Path) -> None:
    alone = tmp_path / "generator.safetensors"
    alone.write_bytes(folder.generator_path.read_bytes())
    for out, wanted in (("name", "violet"), ("case", "Violet"), ("number", "1"), ("other", "pink")):
        result = call(alone, "--out", tmp_path / out, "--num", 3, "--class", wanted)
        assert result.exit_code == 0, result.output
    named, cased, numbered, other = (pictures(tmp_path / out) for out in ("name", "case", "number", "other"))
    assert np.array_equal(named, cased)
    assert np.array_equal(named, numbered)
    assert not np.array_equal(named, other)


def test_all_classes_come_in_turn_where_none_is_named(folder: RunFolder, tmp_path: Path) -> None:
    call(folder.path, "--out", tmp_path / "all", "--num", 7)
    call(folder.path, "--out", tmp_path / "violet", "--num", 7, "--class", "violet")
    everything, violet = pictures(tmp_path / "all"), pictures(tmp_path / "violet")
    same = [np.array_equal(one, other) for one, other in zip(everything, violet, strict=True)]
    assert same == [False, True, False, False, False, False, True]


def test_a_generated_grid_has_a_row_for_each_class(folder: RunFolder, tmp_path: Path) -> None:
    assert "grid.png: 15 images" in call(folder.path, "--out", tmp_path, "--num", 17, "--grid").output
    grid = cells(tmp_path / "grid.png", 5, 3, 8)
    for row, name in enumerate(NAMES):
        call(folder.path, "--out", tmp_path / name, "--num", 3, "--class", name)
        assert np.array_equal(grid[row], pictures(tmp_path / name))


def test_a_grid_of_one_class_is_as_square_as_any(folder: RunFolder, tmp_path: Path) -> None:
    call(folder.path, "--out", tmp_path, "--num", 4, "--grid", "--class", "peach")
    call(folder.path, "--out", tmp_path / "peach", "--num", 4, "--class", "peach")
    assert np.array_equal(cells(tmp_path / "grid.png", 2, 2, 8).reshape(4, 8, 8, 3), pictures(tmp_path / "peach"))


def test_a_runs_own_grid_has_a_row_for_each_class(folder: RunFolder) -> None:
    picture = np.asarray(Image.open(folder.sample_path(folder.sample_steps()[-1])))
    assert picture.shape[:2] == (5 * 16 * (VIEW_PIXELS // 80), 4 * 16 * (VIEW_PIXELS // 80))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("violett", "--class violett: no class 'violett'; did you mean 'violet'?; there are 0 sky, 1 violet, 2 lav"),
        ("5", "--class 5: no class '5'; there are 0 sky"),
    ],
)
def test_a_class_that_is_not_there_is_refused(folder: RunFolder, tmp_path: Path, wanted: str, says: str) -> None:
    result = call(folder.path, "--out", tmp_path / "out", "--class", wanted)
    assert isinstance(result.exception, GanlabError)
    assert says in str(result.exception)
    assert not (tmp_path / "out").exists()
