"""From a plain folder of whatever people have to a training, through the commands a user types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from ganlab.cli import cli

from .tiny import tiny, train_all


def a_folder_of_everything(folder: Path) -> None:
    """Images of mixed sizes and modes, and one truncated file."""
    folder.mkdir()
    source = np.random.default_rng(0)
    for number, mode in enumerate(["RGB", "L", "P", "RGBA", "LA", "CMYK", "RGB", "RGB"] * 3):
        size = (20 + 3 * number, 50 - number)
        image = Image.fromarray(source.integers(0, 256, (*size, 3), np.uint8))
        if number % 8 == 6:
            rotated = Image.Exif()
            rotated[0x0112] = 6
            image.save(folder / f"{number:02d}.jpg", exif=rotated)
            continue
        suffix = "jpg" if mode == "CMYK" else "png"
        image.convert(mode).save(folder / f"{number:02d}.{suffix}")
    whole = (folder / "00.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])


def test_a_folder_of_mixed_images_packs_names_what_is_skipped_and_trains(tmp_path: Path) -> None:
    a_folder_of_everything(tmp_path / "pictures")
    packed = CliRunner().invoke(
        cli, ["data", "pack", str(tmp_path / "pictures"), str(tmp_path / "packed"), "--resolution", "16"]
    )
    assert packed.exit_code == 0, packed.output
    assert "packed 24" in packed.output
    assert "truncated.png: truncated or damaged" in packed.output
    loaded = tiny(tmp_path, f"data={{name='shards', path='{tmp_path / 'packed'}', resolution=16}}", "run.images=120")
    folder = train_all(loaded, tmp_path / "run")
    assert folder.info()["data"]["count"] == 24
