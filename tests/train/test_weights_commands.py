"""Weights under the TensorFlow program's names make a run folder, and a run gives its weights back under them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ganlab.cli import cli
from ganlab.errors import GanlabError
from ganlab.track.folder import RunFolder
from ganlab.train.export import read_generator

from .tiny import TINY, tiny, train_all, write_recipe


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("weights")
    return train_all(tiny(path, "run.images=40"), path / "run")


@pytest.fixture(scope="module")
def arrays(folder: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "weights.npz"
    result = call("export-weights", folder.path, "--out", path)
    assert result.exit_code == 0, result.output
    return path


def test_exported_arrays_have_the_program_s_names_and_layouts(arrays: Path) -> None:
    with np.load(arrays) as content:
        assert {name.split("/")[0] for name in content.files} == {"G", "D", "Gs"}
        assert content["G/4x4/Dense/weight"].shape == (8, 16 * 8)
        assert content["D/4x4/Conv/weight"].shape == (3, 3, 9, 8)


def test_importing_what_was_exported_gives_the_same_generator(folder: RunFolder, arrays: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    result = call("import-weights", arrays, recipe, "--out", tmp_path / "imported", "--images-shown", 64)
    assert result.exit_code == 0, result.output
    one, other = (read_generator(path / "generator.safetensors") for path in (folder.path, tmp_path / "imported"))
    for name, value in one.network.state_dict().items():
        assert np.array_equal(value, other.network.state_dict()[name]), name
    assert RunFolder.open(tmp_path / "imported").status().images_shown == 64  # type: ignore[union-attr]  # it has one


def test_training_goes_on_from_imported_weights(arrays: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    call("import-weights", arrays, recipe, "--out", tmp_path / "imported", "--images-shown", 360)
    result = call("run", recipe, "--run-dir", tmp_path / "imported", "--resume", "--quiet")
    assert result.exit_code == 0, result.output
    assert RunFolder.open(tmp_path / "imported").status().state == "finished"  # type: ignore[union-attr]  # it has one


def test_arrays_that_do_not_fit_are_all_named(arrays: Path, tmp_path: Path) -> None:
    with np.load(arrays) as content:
        changed = {name: content[name] for name in content.files}
    changed["G/4x4/Conv/weight"] = changed["G/4x4/Conv/weight"][:1]
    del changed["G/8x8/Conv1/bias"]
    np.savez(tmp_path / "wrong.npz", **changed)
    result = call("import-weights", tmp_path / "wrong.npz", write_recipe(tmp_path), "--out", tmp_path / "out")
    assert "4x4/Conv/weight" in str(result.exception)
    assert "8x8/Conv1/bias" in str(result.exception)
    assert not (tmp_path / "out").exists(), "the next try may have the folder"


def test_a_failed_import_leaves_what_was_in_the_folder(arrays: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").touch()
    result = call("import-weights", arrays, write_recipe(tmp_path), "--out", tmp_path / "out")
    assert "holds a run or other files" in str(result.exception)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.jpg"]


def test_a_truncated_npz_is_named(arrays: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(arrays.read_bytes()[:-100])
    result = call("import-weights", tmp_path / "cut.npz", write_recipe(tmp_path), "--out", tmp_path / "out")
    assert isinstance(result.exception, GanlabError)
    assert "is no .npz" in str(result.exception)


def test_exporting_needs_no_data_set(arrays: Path, tmp_path: Path) -> None:
    folder = tmp_path / "imported"
    call("import-weights", arrays, write_recipe(tmp_path), "--out", folder, "--images-shown", 64)
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('name = "pixel-faces"', 'name = "shards"\npath = "/gone"'))
    assert "/gone" in recipe.read_text()
    result = call("export-weights", folder, "--out", tmp_path / "again.npz")
    assert result.exit_code == 0, result.output
    with np.load(arrays) as one, np.load(tmp_path / "again.npz") as other:
        assert one.files == other.files
        assert all(np.array_equal(one[name], other[name]) for name in one.files if not name.startswith("G/"))


def test_a_network_of_a_plugin_file_is_exported_with_that_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import ganlab\n\n\n@ganlab.hookimpl\ndef register_networks(register: ganlab.Register) -> None:\n"
        '    register("my-generator", "ganlab_networks.pggan:PgganGenerator", summary="the same")\n'
    )
    assert "pggan-generator" in TINY
    recipe = write_recipe(tmp_path, TINY.replace("pggan-generator", "my-generator").replace("400", "40"))
    plugin = ("--plugin", tmp_path / "mine.py")
    trained = call("run", recipe, "--run-dir", tmp_path / "run", "--quiet", *plugin)
    assert trained.exit_code == 0, trained.output
    assert call("export-weights", tmp_path / "run", "--out", tmp_path / "w.npz").exit_code != 0
    result = call("export-weights", tmp_path / "run", "--out", tmp_path / "w.npz", *plugin)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("content", "says"), [(None, "no such file"), (b"text", "is no .npz")])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "a.npz").write_bytes(content)
    result = call("import-weights", tmp_path / "a.npz", write_recipe(tmp_path), "--out", tmp_path / "out")
    assert says in str(result.exception)
