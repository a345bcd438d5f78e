"""Packing a folder of whatever people have: used, or named with the reason, and the same bytes every time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganlab.data.pack import Report, pack
from ganlab.data.shards import ShardSet
from ganlab.data.verify import problems
from ganlab.errors import DataError

GREEN, BLUE = (20, 200, 40), (10, 20, 220)


def noise(width: int, height: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have them: every mode, two sub-folders, and files that are no use."""
    folder = tmp_path_factory.mktemp("photos")
    for sub in ("a", "b"):
        (folder / sub).mkdir()
    Image.fromarray(noise(40, 32, 1)[..., 0]).save(folder / "a" / "grey.png")
    Image.fromarray(noise(50, 64, 3)).save(folder / "a" / "colour.jpg", quality=95)
    Image.fromarray(noise(32, 32, 3)).quantize(16).save(folder / "a" / "palette.gif")
    half_clear = Image.new("RGBA", (32, 32), (*GREEN, 255))
    half_clear.paste((0, 0, 0, 0), (0, 0, 16, 32))
    half_clear.save(folder / "a" / "alpha.png")
    Image.new("CMYK", (48, 48), (255, 0, 255, 0)).save(folder / "b" / "cmyk.jpg")
    upright = Image.new("RGB", (48, 32), GREEN)
    upright.paste(BLUE, (0, 0, 48, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise for viewing
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "b" / "rotated.png", exif=exif)
    deep = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(deep).save(folder / "b" / "sixteen.png")
    Image.fromarray(noise(32, 32, 3)).save(folder / "b" / "whole.tiff")
    Image.fromarray(noise(33, 33, 1)[..., 0] > 127).save(folder / "b" / "one-bit.png")
    # From here on, files that cannot be used.
    content = (folder / "a" / "colour.jpg").read_bytes()
    (folder / "a" / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (folder / "b" / "notes.txt").write_text("not an image at all")
    (folder / "b" / "empty.png").write_bytes(b"")
    Image.fromarray(noise(7, 9, 3)).save(folder / "tiny.png")
    Image.fromarray(np.ones((32, 32), np.float32)).save(folder / "float.tiff")
    (folder / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n")
    return folder


def at(report: Report, source: Path, name: str) -> np.ndarray:
    """The packed image that came from the file `name`, `[C, R, R]`."""
    unused = {skipped for skipped, _ in report.skipped}
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    images = ShardSet(report.destination)
    position = [each for each in names if each not in unused].index(name)
    found: np.ndarray = images.images(images.resolutions[-1], [position])[0]
    return found


@pytest.fixture(scope="module")
def report(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return pack(photos, tmp_path_factory.mktemp("packed") / "set", resolution=32, background="white")


def test_every_unusable_file_is_named_with_its_reason(report: Report) -> None:
    reasons = dict(report.skipped)
    expected = {
        "a/truncated.jpg": "truncated",
        "b/notes.txt": "not an image",
        "b/empty.png": "empty",
        "tiny.png": "too small: 7x9, needs 32x32",
        "float.tiff": "no known range",
        "drawing.eps": "not an image",  # it would be run by another program
    }
    assert set(reasons) == set(expected)
    for name, reason in expected.items():
        assert reason in reasons[name]
    listed = (report.destination / "skipped.txt").read_text().splitlines()
    assert listed == [f"{name}: {reason}" for name, reason in report.skipped]
    assert report.packed == 9
    assert list(problems(report.destination)) == []


def test_modes_become_the_colours_they_stand_for(report: Report, photos: Path) -> None:
    grey = at(report, photos, "a/grey.png")
    np.testing.assert_array_equal(grey, np.repeat(noise(40, 32, 1)[:, 4:36, 0][None], 3, axis=0))
    with Image.open(photos / "a" / "palette.gif") as palette:
        np.testing.assert_array_equal(
            at(report, photos, "a/palette.gif"), np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
        )
    alpha = at(report, photos, "a/alpha.png")
    assert (alpha[:, :, :16] == 255).all()
    assert (alpha[:, :, 16:] == np.reshape(GREEN, (3, 1, 1))).all()
    cmyk = at(report, photos, "b/cmyk.jpg").astype(int)
    assert (cmyk[1] > 240).all()
    assert (cmyk[[0, 2]] < 15).all()
    sixteen = at(report, photos, "b/sixteen.png")[0]
    np.testing.assert_allclose(sixteen.ravel(), np.linspace(0, 255, 1024), atol=0.51)
    np.testing.assert_array_equal(at(report, photos, "b/whole.tiff"), noise(32, 32, 3).transpose(2, 0, 1))


def test_photographs_are_turned_upright(report: Report, photos: Path) -> None:
    rotated = at(report, photos, "b/rotated.png")
    assert (rotated[:, :15] == np.reshape(BLUE, (3, 1, 1))).all()
    assert (rotated[:, 17:] == np.reshape(GREEN, (3, 1, 1))).all()


def test_one_coloured_image_makes_the_set_rgb_and_grey_ones_alone_make_it_grey(photos: Path, tmp_path: Path) -> None:
    assert pack(photos, tmp_path / "auto", resolution=8, limit=1).description.channels == 3
    (tmp_path / "grey").mkdir()
    for name in ("a/grey.png", "b/sixteen.png", "b/one-bit.png"):
        os.link(photos / name, tmp_path / "grey" / Path(name).name)
    assert pack(tmp_path / "grey", tmp_path / "auto-grey", resolution=8).description.channels == 1
    forced = pack(photos, tmp_path / "forced", resolution=32, colour="grey")
    assert ShardSet(forced.destination).channels == 1
    np.testing.assert_array_equal(at(forced, photos, "a/grey.png")[0], noise(40, 32, 1)[:, 4:36, 0])


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("compressed", [False, True])
def test_the_same_input_gives_the_same_bytes_for_any_number_of_workers(
    compressed: bool, photos: Path, tmp_path: Path
) -> None:
    results = []
    for turn, workers in enumerate((1, 1, 2, 5)):
        target = tmp_path / str(turn) / "set"
        if turn == 1 and compressed:
            time.sleep(1.1)  # past the whole second that a gzip header can hold
        pack(photos, target, resolution=32, workers=workers, compressed=compressed, shard_bytes=5000, labels="folders")
        results.append(files_of(target))
    assert len([name for name in results[0] if name.startswith("r0032/") and ".tar" in name]) > 1
    assert results[0] == results[1] == results[2] == results[3]


# -- fitting ----------------------------------------------------------------------------------------------------------


def one_image(tmp_path: Path, image: Image.Image, **options: Any) -> np.ndarray:
    (tmp_path / "source").mkdir()
    image.save(tmp_path / "source" / "image.png")
    pack(tmp_path / "source", tmp_path / "set", **options)
    images = ShardSet(tmp_path / "set")
    packed: np.ndarray = images.images(images.resolutions[-1], [0])[0]
    return packed


def three_bands() -> Image.Image:
    """Left quarter green, the middle half white, right quarter blue; 64x32."""
    image = Image.new("RGB", (64, 32), "white")
    image.paste(GREEN, (0, 0, 16, 32))
    image.paste(BLUE, (48, 0, 64, 32))
    return image


def test_cropping_keeps_the_centre(tmp_path: Path) -> None:
    assert (one_image(tmp_path, three_bands(), resolution=32) == 255).all()


def test_stretching_keeps_everything(tmp_path: Path) -> None:
    stretched = one_image(tmp_path, three_bands(), resolution=32, fit="stretch")
    assert tuple(stretched[:, 16, 2]) == GREEN
    assert tuple(stretched[:, 16, 16]) == (255, 255, 255)
    assert tuple(stretched[:, 16, 29]) == BLUE


def test_padding_shrinks_what_is_larger_and_centres_it(tmp_path: Path) -> None:
    padded = one_image(tmp_path, three_bands(), resolution=32, fit="pad", padding="#ff0000")
    assert (padded[:, :8] == np.reshape((255, 0, 0), (3, 1, 1))).all()
    assert (padded[:, 24:] == np.reshape((255, 0, 0), (3, 1, 1))).all()
    assert tuple(padded[:, 16, 2]) == GREEN


def test_padding_leaves_smaller_images_as_they_are(tmp_path: Path) -> None:
    digit = noise(28, 28, 1)[..., 0]
    padded = one_image(tmp_path, Image.fromarray(digit), resolution=32, fit="pad")
    np.testing.assert_array_equal(padded[0, 2:30, 2:30], digit)
    assert padded.sum() == digit.sum()


def test_small_images_can_be_enlarged_on_demand(tmp_path: Path) -> None:
    assert one_image(tmp_path, Image.new("RGB", (5, 9), GREEN), resolution=16, upscale=True).shape == (3, 16, 16)


def test_exact_takes_no_other_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"all 1 images were skipped; first, image\.png: is 64x32, not 32x32"):
        one_image(tmp_path, three_bands(), resolution=32, fit="exact")


# -- labels and limits ------------------------------------------------------------------------------------------------


def test_folders_name_the_classes(photos: Path, tmp_path: Path) -> None:
    report = pack(photos, tmp_path / "set", resolution=32, labels="folders")
    assert report.description.classes == ("a", "b")
    images = ShardSet(tmp_path / "set")
    assert images.labels(range(images.count)).argmax(axis=1).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert dict(report.skipped)["tiny.png"] == "not in a sub-folder, which would name its class"


def test_a_file_names_the_classes(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"a/grey.png": 10, "b/whole.tiff": 9, "a/palette.gif": 10}')
    report = pack(photos, tmp_path / "set", resolution=32, labels=str(tmp_path / "labels.json"))
    assert report.description.classes == ("9", "10")
    assert ShardSet(tmp_path / "set").labels(range(3)).argmax(axis=1).tolist() == [1, 1, 0]
    assert dict(report.skipped)["b/cmyk.jpg"] == "no label in labels.json"


def test_a_limit_counts_packed_images(photos: Path, tmp_path: Path) -> None:
    for workers in (1, 4):
        report = pack(photos, tmp_path / f"set{workers}", resolution=32, limit=5, workers=workers)
        assert (report.packed, ShardSet(report.destination).count) == (5, 5)
        assert [name for name, _ in report.skipped] == ["a/truncated.jpg"]


def test_progress_counts_every_file(photos: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    pack(photos, tmp_path / "set", resolution=4, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 15) for i in range(1, 16)]


# -- refusals, and leaving nothing behind -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 33}, "resolution 33: must be a power of two from 4"),
        ({"resolution": 2}, "resolution 2: must be"),
        ({"resolution": 8, "background": "nocolour"}, "background 'nocolour': not a colour"),
        ({"resolution": 8, "padding": "#12"}, "padding '#12': not a colour"),
        ({"resolution": 8, "fit": "squash"}, "fit 'squash': must be one of crop, pad"),
        ({"resolution": 8, "format": "jpg"}, "format 'jpg': must be one of png, webp"),
        ({"resolution": 8, "limit": 0}, "limit 0"),
        ({"resolution": 8, "shard_bytes": 0}, "shard size 0"),
        ({"resolution": 8, "labels": "/nowhere.json"}, "/nowhere.json: no such label file"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    options: dict[str, Any], message: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        pack(photos, tmp_path / "set", **options)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_set_is_replaced_only_on_demand(photos: Path, tmp_path: Path) -> None:
    pack(photos, tmp_path / "set", resolution=8, limit=1)
    with pytest.raises(DataError, match=r"set: exists already.*--force"):
        pack(photos, tmp_path / "set", resolution=8, limit=2)
    assert pack(photos, tmp_path / "set", resolution=4, limit=2, force=True).packed == 2
    assert ShardSet(tmp_path / "set").resolutions == (4,)
    assert os.listdir(tmp_path) == ["set"]


def test_force_never_deletes_anything_but_a_data_set(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter.txt").write_text("dear")
    for target in (tmp_path / "precious", tmp_path / "precious" / "letter.txt"):
        with pytest.raises(DataError, match="is no data set, and --force replaces nothing else"):
            pack(photos, target, resolution=8, force=True)
    assert (tmp_path / "precious" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("force", [False, True])
def test_an_interrupted_packing_leaves_things_as_they_were(
    error: type[BaseException], force: bool, photos: Path, tmp_path: Path
) -> None:
    if force:
        pack(photos, tmp_path / "set", resolution=8, limit=1)
    before = files_of(tmp_path)

    def interrupt(done: int, total: int) -> None:
        if done == 7:
            raise error

    with pytest.raises(error):
        pack(photos, tmp_path / "set", resolution=32, force=force, progress=interrupt)
    assert files_of(tmp_path) == before
    assert os.listdir(tmp_path) == (["set"] if force else [])


def test_a_source_of_nothing_usable_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match="source: the folder is empty"):
        pack(tmp_path / "source", tmp_path / "set", resolution=8)
    (tmp_path / "source" / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"all 1 images were skipped; first, a\.txt: not an image"):
        pack(tmp_path / "source", tmp_path / "set", resolution=8)
    assert os.listdir(tmp_path) == ["source"]


def run_packing(source: Path, target: Path, before: str = "") -> subprocess.Popen[str]:
    program = textwrap.dedent(f"""
        {before}
        from ganlab.data.pack import pack
        from ganlab.errors import DataError
        try:
            pack({str(source)!r}, {str(target)!r}, resolution=64, progress=lambda done, total: print(done, flush=True))
        except DataError as error:
            print("refused:", error)
    """)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def large_source(tmp_path: Path) -> Path:
    np.savez(tmp_path / "large.npz", x=np.random.default_rng(0).integers(0, 256, (3000, 64, 64, 3), dtype=np.uint8))
    return tmp_path / "large.npz"


def test_ctrl_c_leaves_nothing(large_source: Path, tmp_path: Path) -> None:
    with run_packing(large_source, tmp_path / "out" / "set") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "1"
        assert os.listdir(tmp_path / "out") != []
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) != 0
    assert os.listdir(tmp_path / "out") == []


def test_a_disk_that_takes_no_more_leaves_nothing(large_source: Path, tmp_path: Path) -> None:
    # A limit on file size fails in the same places as a full disk, at the first write that does not fit.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    with run_packing(large_source, tmp_path / "out" / "set", limit) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert "refused:" in output
    assert "nothing was kept" in output
    assert os.listdir(tmp_path / "out") == []


def test_classes_get_the_names_they_are_given(tmp_path: Path) -> None:
    source = tmp_path / "numbered.npz"
    np.savez(source, x=noise(8, 32, 1).reshape(4, 8, 8), y=np.array([0, 2, 1, 2]))
    plain = pack(source, tmp_path / "plain", resolution=8)
    named = pack(source, tmp_path / "named", resolution=8, class_names=["sandal", "sneaker", "boot"])
    assert plain.description.classes == ("0", "1", "2")
    assert ShardSet(tmp_path / "named").label_names == ("sandal", "sneaker", "boot")
    assert named.description.digest == plain.description.digest, "names are no content"
    for names, says in (
        (["sandal", "boot"], "class names: expected 3, one for each of 0, 1, 2; got 2"),
        (["sandal", "sandal", "boot"], "class names: expected 3 different names"),
        (["sandal", "", "boot"], "class names: expected 3 different names"),
    ):
        with pytest.raises(DataError, match=says):
            pack(source, tmp_path / "wrong", resolution=8, class_names=names)
    with pytest.raises(DataError, match="the source has no labels that they could name"):
        pack(source, tmp_path / "wrong", resolution=8, labels="none", class_names=["a"])
