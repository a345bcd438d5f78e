"""Every kind of source is recognized and read, and what is wrong with one is told by its name."""

from __future__ import annotations

import gzip
import importlib.util
import io
import struct
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from ganlab.data.sources import open_source
from ganlab.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def pixels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    ("shape", "mode"),
    [((5, 9, 8), "L"), ((5, 9, 8, 1), "L"), ((5, 9, 8, 3), "RGB"), ((5, 3, 9, 8), "RGB"), ((5, 9, 8, 4), "RGBA")],
)
def test_arrays_of_every_layout(shape: tuple[int, ...], mode: str, tmp_path: Path) -> None:
    array = pixels(shape)
    np.savez(tmp_path / "s.npz", array)
    source = open_source(str(tmp_path / "s.npz"))
    assert len(source) == 5
    assert source.has_colour() == (mode != "L")
    image = source.load(3)
    assert (image.mode, image.size) == (mode, (8, 9))
    expected = array[3].transpose(1, 2, 0) if shape[1] == 3 else array[3]
    np.testing.assert_array_equal(np.asarray(image).reshape(expected.shape), expected)
    assert source.label(3) is None


def test_labels_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=pixels((4, 8, 8)), y=np.array([2, 0, 1, 2]))
    source = open_source(str(tmp_path / "s.npz"))
    assert ([source.label(i) for i in range(4)], list(source.classes)) == ([2, 0, 1, 2], ["0", "1", "2"])
    assert list(open_source(str(tmp_path / "s.npz"), labels="none").classes) == []
    np.savez(tmp_path / "hot.npz", x=pixels((3, 8, 8)), y=np.eye(3)[[1, 2, 0]])
    assert [open_source(str(tmp_path / "hot.npz")).label(i) for i in range(3)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": pixels((2, 8, 8)).astype(np.float32)}, "must be uint8"),
        ({"x": pixels((2, 8))}, r"images of shape \[2, 8\]"),
        ({"x": pixels((2, 8, 8, 7))}, r"images of shape \[2, 8, 8, 7\]"),
        ({"x": pixels((0, 8, 8))}, "holds no images"),
        ({"a": pixels((2, 8, 8)), "b": pixels((2, 8, 8))}, "which array are the images.*a, b"),
        ({"x": pixels((2, 8, 8)), "y": np.arange(3)}, "3 labels for 2 images"),
        ({"x": pixels((2, 8, 8)), "y": np.array([0.5, 1.0])}, "whole numbers"),
        ({"x": pixels((2, 8, 8)), "y": np.array([-1, 1])}, "whole numbers from 0"),
        ({"x": pixels((2, 8, 8)), "y": np.ones((2, 3))}, "not one-hot"),
        ({"x": np.array([{"a": 1}], dtype=object)}, "without pickled objects"),
    ],
)
def test_unsuitable_arrays_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", **arrays)  # type: ignore[arg-type] # the stub knows only its own keywords
    with pytest.raises(DataError, match=r"s\.npz.*" + message):
        open_source(str(tmp_path / "s.npz"))


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_with_their_labels(packed: bool, tmp_path: Path) -> None:
    images, labels = pixels((6, 28, 28)), np.array([3, 1, 0, 2, 1, 3], np.uint8)
    for name, array in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        if packed:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (tmp_path / name).write_bytes(idx(array))
    source = open_source(str(tmp_path / ("train-images-idx3-ubyte" + (".gz" if packed else ""))))
    assert [source.label(i) for i in range(6)] == labels.tolist()
    np.testing.assert_array_equal(np.asarray(source.load(5)), images[5])


def test_truncated_idx_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx(pixels((6, 28, 28)))[:-5])
    with pytest.raises(DataError, match=r"images: truncated: 4699 bytes of data for shape \[6, 28, 28\]"):
        open_source(str(tmp_path / "images"))
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx(pixels((6, 28, 28))))[:-50])
    with pytest.raises(DataError, match=r"images\.gz: cannot be read"):
        open_source(str(tmp_path / "images.gz"))


def test_files_of_other_kinds_and_missing_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(DataError, match=r"a\.txt: not a folder, \.npz or IDX file"):
        open_source(str(tmp_path / "a.txt"))
    with pytest.raises(DataError, match=r"b: no such file or folder"):
        open_source(str(tmp_path / "b"))
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"bad\.npz: not a readable \.npz"):
        open_source(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "s.npz", x=pixels((2, 8, 8)))
    with pytest.raises(DataError, match="labels from 'folders' need a folder of images"):
        open_source(str(tmp_path / "s.npz"), labels="folders")


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not a JSON file"), ("[1]", 'expected {"file"'), ('{"a": 1.5}', "a: a class is a text or a whole number")],
)
def test_wrong_label_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(DataError, match=r"labels\.json: ") as caught:
        open_source(str(tmp_path / "images"), labels=str(tmp_path / "labels.json"))
    assert message in str(caught.value)


def test_a_label_file_inside_the_folder_is_not_taken_for_an_image(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "labels.json").write_text('{"a.png": "cat"}')
    source = open_source(str(tmp_path), labels=str(tmp_path / "labels.json"))
    assert [source.name(i) for i in range(len(source))] == ["a.png"]
    assert list(source.classes) == ["cat"]


# -- torchvision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_torchvisions_digits_are_read_from_its_folder(name: str, tmp_path: Path) -> None:
    raw = tmp_path / name / "raw"
    raw.mkdir(parents=True)
    arrays = {}
    for split, count in (("train", 7), ("t10k", 4)):
        arrays[split] = pixels((count, 28, 28), seed=count)
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(arrays[split]))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8)))
    source = open_source(f"torchvision:{name}", root=tmp_path)
    assert len(source) == 7
    assert len(source.classes) == 10
    assert source.label(6) == 6
    np.testing.assert_array_equal(np.asarray(source.load(6)), arrays["train"][6])
    assert len(open_source(f"torchvision:{name}:test", root=tmp_path)) == 4


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "CIFAR10", "CelebA"])
def test_missing_files_of_torchvision_say_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"torchvision:{name}: .*--root.*{tmp_path}.*--download"):
        open_source(f"torchvision:{name}", root=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torchvision:Nothing", "no such data set here; there are MNIST"),
        ("torchvision:MNIST:valid", "MNIST has no split 'valid'; it has train, test"),
        ("torchvision:LSUN", "name the category and split"),
        ("torchvision:LSUN:bedroom_train", "bedroom_train_lmdb/data.mdb: not found"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_source(text, root=tmp_path)
    assert message in str(caught.value)


def test_lsun_without_its_package_says_which_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bedroom_train_lmdb").mkdir()
    (tmp_path / "bedroom_train_lmdb" / "data.mdb").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "lmdb", None)  # as if it were not installed, where it is
    with pytest.raises(DataError, match="pip install lmdb"):
        open_source("torchvision:LSUN:bedroom_train", root=tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("lmdb") is None, reason="needs lmdb, which only LSUN needs")
def test_lsun_is_read_from_its_database(tmp_path: Path) -> None:
    lmdb = importlib.import_module("lmdb")
    folder = tmp_path / "bedroom_train_lmdb"
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        for key in (b"bbb", b"aaa"):
            stream = io.BytesIO()
            Image.new("RGB", (12, 10), (key[0], 2, 3)).save(stream, "PNG")
            transaction.put(key, stream.getvalue())
    source = open_source("torchvision:LSUN:bedroom_train", root=tmp_path)
    assert [source.name(i) for i in range(2)] == ["aaa", "bbb"]
    assert source.load(1).getpixel((0, 0)) == (ord("b"), 2, 3)


def test_a_label_file_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no")
    (tmp_path / "lab.json").symlink_to("lab.json")
    with pytest.raises(DataError, match=r"lab\.json: not a JSON file of labels"):
        open_source(str(tmp_path / "images"), labels=str(tmp_path / "lab.json"))


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    for place in (folder, elsewhere):
        Image.new("RGB", (8, 8)).save(place / "a.png")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "round").symlink_to(folder)
    (elsewhere / "back").symlink_to(folder)
    source = open_source(str(folder))
    assert [source.name(i) for i in range(len(source))] == ["a.png", "linked/a.png"]


@pytest.mark.parametrize(("text", "message"), [("", "SRC is empty"), ("x" * 300, "too long")])
def test_a_source_that_can_be_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(text)
