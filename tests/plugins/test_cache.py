"""What is kept on disk: made once, never half written, never wrong, and never in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganlab.cache import cache_folder, cached, digest_of


class Maker:
    """Makes arrays and counts how often."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = {name: np.asarray(value) for name, value in arrays.items()}
        self.times = 0

    def __call__(self) -> Mapping[str, np.ndarray[Any, Any]]:
        self.times += 1
        return self.arrays


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_was_made_is_kept_with_its_types_and_shapes(folder: Path) -> None:
    make = Maker(features=np.arange(6, dtype=np.float32).reshape(2, 3), accuracy=np.float64(0.5), which=[True, False])
    first, second = cached({"a": 1}, make), cached({"a": 1}, make)
    assert make.times == 1
    assert only_file(folder).name == f"{digest_of({'a': 1})}.npz"
    for name, array in first.items():
        assert (second[name].dtype, second[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(second[name], array)


def test_another_key_is_made_anew_and_the_order_of_its_entries_does_not_matter(folder: Path) -> None:
    make = Maker(x=1)
    cached({"a": 1, "b": [2, 3]}, make)
    cached({"b": [2, 3], "a": 1}, make)
    assert make.times == 1
    cached({"a": 1, "b": [2, 4]}, make)
    assert make.times == 2


def test_nothing_is_kept_of_inputs_without_a_name(folder: Path) -> None:
    make = Maker(x=1)
    cached({"reals": None, "count": 3}, make)
    cached({"reals": None, "count": 3}, make)
    assert make.times == 2
    assert not folder.exists()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def change_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def make_a_single_array(file: Path) -> None:
    with file.open("wb") as opened:
        np.save(opened, np.zeros(3))


def pickle_objects(file: Path) -> None:
    with file.open("wb") as opened:
        np.savez(opened, x=np.array([{"an": "object"}], dtype=object))


@pytest.mark.parametrize("damage", [cut, change_a_byte, empty, make_a_single_array, pickle_objects])
def test_a_damaged_file_is_made_again(folder: Path, damage: Callable[[Path], None]) -> None:
    make = Maker(x=np.arange(1000.0))
    cached({"a": 1}, make)
    damage(only_file(folder))
    np.testing.assert_array_equal(cached({"a": 1}, make)["x"], np.arange(1000.0))
    cached({"a": 1}, make)
    assert make.times == 2


def test_a_folder_that_cannot_be_written_means_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file" / "below"))
    make = Maker(x=7)
    assert [int(cached({"a": 1}, make)["x"]) for _ in range(2)] == [7, 7]
    assert make.times == 2


def test_what_fails_to_be_made_leaves_no_file(folder: Path) -> None:
    def fail() -> Mapping[str, Any]:
        raise ValueError("no features")

    with pytest.raises(ValueError, match="no features"):
        cached({"a": 1}, fail)
    with pytest.raises(TypeError, match="objects"):
        cached({"a": 1}, Maker(x=np.array([None])))
    assert not folder.exists()


def test_the_folder_is_ganlabs_own_variable_then_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("GANLAB_CACHE")
    assert cache_folder() == Path("/b/ganlab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert cache_folder() == Path("/c/.cache/ganlab")


PROCESS = """
import numpy as np
from ganlab.cache import cached
for round in range(60):
    array = cached({"round": round}, lambda: {"x": np.full(20_000, round)})["x"]
    assert (array == round).all() and len(array) == 20_000
"""


def test_processes_that_want_the_same_at_once_all_get_it_whole(folder: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", PROCESS]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0, 0]
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{digest_of({'round': n})}.npz" for n in range(60))
