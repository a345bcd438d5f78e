"""The packed format: others can read it, and damage of any kind is told by file and key."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlab.data.pack import pack
from ganlab.data.pixels import box_average
from ganlab.data.shards import ShardSet
from ganlab.data.verify import problems
from ganlab.errors import DataError

COUNT = 30


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8), rng.integers(0, 3, COUNT)


@pytest.fixture(scope="module")
def packed(arrays: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    np.savez(folder / "source.npz", x=arrays[0], y=arrays[1])
    pack(folder / "source.npz", folder / "set", resolution=16, shard_bytes=8000, licence="CC0 1.0")
    return folder / "set"


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "set"))


def test_every_resolution_is_the_exact_block_mean(packed: Path, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    images = ShardSet(packed)
    native = arrays[0].transpose(0, 3, 1, 2)
    assert images.resolutions == (4, 8, 16)
    np.testing.assert_array_equal(images.images(16, range(COUNT)), native)
    for resolution in (4, 8):
        factor = 16 // resolution
        means = native.reshape(COUNT, 3, resolution, factor, resolution, factor).mean((3, 5), dtype=np.float64)
        np.testing.assert_array_equal(images.images(resolution, range(COUNT)), np.rint(means))


def test_samples_come_in_the_order_asked_for(packed: Path, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    images = ShardSet(packed)
    wanted = np.array([29, 0, 7, 7, 12])
    np.testing.assert_array_equal(images.images(16, wanted), arrays[0].transpose(0, 3, 1, 2)[wanted])
    np.testing.assert_array_equal(images.labels(wanted), np.eye(3, dtype=np.float32)[arrays[1][wanted]])
    assert images.labels(wanted).dtype == np.float32


def test_any_webdataset_user_can_read_the_shards(packed: Path, arrays: tuple[np.ndarray, np.ndarray]) -> None:
    import webdataset

    shards = sorted(map(str, (packed / "r0016").glob("*.tar")))
    assert len(shards) > 1
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [f"{i:02d}" for i in range(COUNT)]
    for sample, image, label in zip(samples, *arrays, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sample["png"]))), image)
        assert sample["cls"] == str(label).encode()


@pytest.mark.parametrize(
    ("format", "compressed", "pyramid"), [("webp", False, True), ("png", True, True), ("webp", True, False)]
)
def test_every_way_of_storing_gives_the_same_images_and_digest(
    format: str, compressed: bool, pyramid: bool, packed: Path, tmp_path: Path
) -> None:
    pack(
        packed.parent / "source.npz",
        tmp_path / "other",
        resolution=16,
        format=format,  # type: ignore[arg-type] # a parameter of the test
        compressed=compressed,
        pyramid=pyramid,
        shard_bytes=10**6,
    )
    one, other = ShardSet(packed), ShardSet(tmp_path / "other")
    assert list(problems(tmp_path / "other")) == []
    assert other.digest == one.digest
    for resolution in one.resolutions:
        every = range(COUNT)
        np.testing.assert_array_equal(other.images(resolution, every), one.images(resolution, every))
    assert (tmp_path / "other" / "r0008").exists() == pyramid


@pytest.mark.parametrize("format", ["png", "webp"])
def test_grey_images_stay_grey(format: str, tmp_path: Path) -> None:
    grey = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8)
    np.savez(tmp_path / "grey.npz", grey)
    pack(tmp_path / "grey.npz", tmp_path / "set", resolution=8, format=format)  # type: ignore[arg-type] # a parameter of the test
    images = ShardSet(tmp_path / "set")
    assert (images.channels, images.label_size) == (1, 0)
    np.testing.assert_array_equal(images.images(8, range(5))[:, 0], grey)
    assert images.labels([0, 1]).shape == (2, 0)


def test_describe_says_where_the_images_come_from(packed: Path) -> None:
    facts = ShardSet(packed).describe()
    assert facts["licence"] == "CC0 1.0"
    assert facts["count"] == COUNT
    assert facts["digest"] == ShardSet(packed).digest
    assert "source.npz" in facts["source"]


def test_halves_are_rounded_to_even() -> None:
    images = np.array([[0, 1, 1, 2], [0, 1, 1, 2]], np.uint8)
    assert box_average(images, 2).tolist() == [[0, 2]]


# -- damage -----------------------------------------------------------------------------------------------------------


def read_everything(folder: Path) -> None:
    images = ShardSet(folder)
    images.images(16, range(images.count))


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no data set here: it does not exist.*ganlab data pack"):
        ShardSet(tmp_path / "nowhere")


def test_a_missing_shard_is_named(copy: Path) -> None:
    (copy / "r0016" / "00001.tar").unlink()
    with pytest.raises(DataError, match=r"r0016/00001\.tar: this shard is missing.*copy the set again"):
        read_everything(copy)


def test_a_truncated_shard_is_named(copy: Path) -> None:
    shard = copy / "r0016" / "00001.tar"
    os.truncate(shard, shard.stat().st_size // 2)
    with pytest.raises(DataError, match=r"r0016/00001\.tar: this shard was truncated"):
        read_everything(copy)


def test_a_shard_that_shrinks_while_it_is_used_is_named_with_the_key(copy: Path) -> None:
    images = ShardSet(copy)
    images.images(16, [0])
    shard = copy / "r0016" / "00000.tar"
    os.truncate(shard, 2000)
    with pytest.raises(DataError, match=r"00000\.tar: key 03: the shard ends before this sample"):
        images.images(16, [3])
    shard.unlink()
    with pytest.raises(DataError, match=r"00000\.tar: key 03: cannot be read \(No such file"):
        images.images(16, [3])


def test_a_damaged_compressed_shard_is_named(packed: Path, tmp_path: Path) -> None:
    pack(packed.parent / "source.npz", tmp_path / "set", resolution=16, compressed=True)
    shard = tmp_path / "set" / "r0016" / "00000.tar.gz"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    shard.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"00000\.tar\.gz: key \d+: cannot be read"):
        read_everything(tmp_path / "set")


def damage(folder: Path, sample: int) -> str:
    """Overwrite a sample's image inside its shard; its file and key."""
    index = json.loads((folder / "r0016" / "index.json").read_text())
    name = index["shards"][index["shard"][sample]]["file"]
    with (folder / "r0016" / name).open("r+b") as shard:
        shard.seek(index["offset"][sample] + 20)
        shard.write(b"not what it was")
    return f"r0016/{name}: key {index['key'][sample]}"


def test_a_damaged_image_is_named_with_its_key(copy: Path) -> None:
    place = damage(copy, 5)
    with pytest.raises(DataError, match=f"{place}: the image cannot be decoded"):
        read_everything(copy)


def change_index(folder: Path, **changes: object) -> None:
    path = folder / "r0016" / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ["0"]}, "key has 1 entries, dataset.toml says 30"),
        ({"offset": [-5] * COUNT}, "offset of key 00 cannot be -5"),
        ({"shard": [99] * COUNT}, "shard of key 00 cannot be 99"),
        ({"length": ["x"] * COUNT}, "length is not a list of integers"),
        ({"label": [7] * COUNT}, "label of key 00 cannot be 7"),
        ({"shards": [{"file": "../../secret", "bytes": 3}]}, "'../../secret' cannot be the name of a shard"),
        ({"shards": [{"file": "pipe:rm", "bytes": 3}]}, "'pipe:rm' cannot be the name of a shard"),
        ({"shards": 5}, "not a valid index"),
        ({"resolution": 8}, "not of format 1 and resolution 16"),
        ({"format": 2}, "not of format 1"),
    ],
)
def test_a_wrong_index_is_refused(changes: dict[str, object], message: str, copy: Path) -> None:
    change_index(copy, **changes)
    with pytest.raises(DataError, match=r"r0016/index.json") as caught:
        read_everything(copy)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 1}', "\x00"])
def test_an_index_that_is_no_index_is_refused(content: str, copy: Path) -> None:
    (copy / "r0016" / "index.json").write_text(content)
    with pytest.raises(DataError, match=r"r0016/index\.json: .*pack the set again"):
        read_everything(copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 30", "count = -1", "count cannot be -1"),
        ("count = 30", "count = true", "count cannot be True"),
        ("channels = 3", "channels = 2", "channels cannot be 2"),
        ('extension = "png"', 'extension = "pkl"', "extension cannot be 'pkl'"),
        ('digest = "', 'digests = "', "digest is missing"),
        ("format = 1", "format = 9", "not of format 1"),
        ("format = 1", "format = ", "cannot be read"),
        ("    16,\n", "    15,\n", "resolutions cannot be"),
    ],
)
def test_a_wrong_description_is_refused(old: str, new: str, message: str, copy: Path) -> None:
    path = copy / "dataset.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=r"dataset\.toml: ") as caught:
        ShardSet(copy)
    assert message in str(caught.value)


def test_an_image_of_the_wrong_size_is_named(copy: Path) -> None:
    shutil.rmtree(copy / "r0016")
    shutil.copytree(copy / "r0008", copy / "r0016")
    change_index(copy, resolution=16)
    with pytest.raises(DataError, match=r"00000\.tar: key 00: the image is 8x8, not 16x16"):
        read_everything(copy)


def test_samples_and_resolutions_that_do_not_exist_are_refused(packed: Path) -> None:
    images = ShardSet(packed)
    with pytest.raises(DataError, match="has samples 0 to 29, sample 30 was asked for"):
        images.images(16, [30])
    with pytest.raises(DataError, match="has no images of 32x32; it was packed at 16x16"):
        images.images(32, [0])


# -- verify -----------------------------------------------------------------------------------------------------------


def test_a_sound_set_has_no_problems(packed: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert list(problems(packed, lambda done, total: seen.append((done, total)))) == []
    assert seen[-1] == (3 * COUNT, 3 * COUNT)


def test_verifying_finds_every_changed_image(copy: Path) -> None:
    places = {damage(copy, 5), damage(copy, 21)}
    found = list(problems(copy))
    assert len(found) == 2
    assert all(any(place in line and "sha256 differs" in line for line in found) for place in places)


def test_verifying_goes_on_after_a_missing_shard(copy: Path) -> None:
    (copy / "r0008" / "00000.tar").unlink()
    place = damage(copy, 5)
    found = "\n".join(problems(copy))
    assert "r0008/00000.tar: this shard is missing" in found
    assert place in found


def test_verifying_compares_keys_labels_and_digest(copy: Path) -> None:
    index = json.loads((copy / "r0016" / "index.json").read_text())
    labels = [(label + 1) % 3 for label in index["label"]]
    change_index(copy, label=labels, key=["x", *index["key"][1:]])
    found = "\n".join(problems(copy))
    assert "r0008/index.json: sample 0 has key 00, at 16x16 it is x" in found
    assert "dataset.toml: the images and labels do not have this digest" in found
    change_index(copy, key=index["key"])
    assert "r0004/index.json: key 00 has another label than at 16x16" in "\n".join(problems(copy))
