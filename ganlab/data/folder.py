"""The images of a folder as they are, for a generator that translates them: small sets, read at once, not packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ganlab.data.fit import UnusableError, plain_colours, square, to_pixels
from ganlab.data.sources import open_source
from ganlab.errors import DataError


def folder_images(folder: Path, channels: int, resolution: int) -> npt.NDArray[np.uint8]:
    """uint8 `[N, channels, resolution, resolution]` in the order of names: the centred square, resized either way.

    Raises `DataError` naming the folder, or the file that cannot be read.
    """
    source = open_source(str(folder), labels="none")
    images = []
    for number in range(len(source)):
        try:
            plain = plain_colours(source.load(number), channels=channels, background="white")
            images.append(to_pixels(square(plain, resolution, "crop", padding="white", upscale=True)))
        except (UnusableError, OSError, ValueError) as error:
            raise DataError(f"{folder / source.name(number)}: {error}") from error
    return np.stack(images)
