"""Shards to read from, as a user would have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


def pack(folder: Path, *, resolution: int, count: int, image_format: str) -> Path:
    """Draw `count` images into `folder` and pack them as `ganlab data pack` does; returns the data set."""
    from PIL import Image

    from ganlab import load_plugins

    source = load_plugins().create("dataset", {"name": "synthetic", "count": count}).build()
    pictures, packed = folder / "pictures", folder / f"packed-{image_format}"
    if not pictures.exists():
        pictures.mkdir()
        for number in range(count):
            pixels = source.images(resolution, [number])[0].transpose(1, 2, 0)
            Image.fromarray(pixels).save(pictures / f"{number:06d}.png", compress_level=1)
    words = ["data", "pack", pictures, packed, "--resolution", resolution, "--format", image_format]
    command = [sys.executable, "-m", "ganlab", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"ganlab data pack: {done.stderr.strip()}")
    return packed
