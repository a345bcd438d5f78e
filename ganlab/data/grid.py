"""Many small images laid out as one, for sample sheets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def image_grid(images: npt.NDArray[Any], *, columns: int | None = None, rows: int | None = None) -> npt.NDArray[Any]:
    """`[N, C, H, W]` -> `[C, rows * H, columns * W]`, row by row, empty cells 0.

    `columns` defaults to ceil(sqrt(N)) and `rows` to as many as are needed. Raises `ValueError` where the images do
    not fit.
    """
    count, channels, height, width = images.shape
    if columns is None:
        columns = max(1, math.ceil(math.sqrt(count)) if rows is None else math.ceil(count / rows))
    if rows is None:
        rows = max(1, math.ceil(count / columns))
    if count > columns * rows:
        raise ValueError(f"{count} images do not fit into a grid of {columns}x{rows}")
    cells = np.zeros((rows * columns, channels, height, width), images.dtype)
    cells[:count] = images
    sheet = cells.reshape(rows, columns, channels, height, width).transpose(2, 0, 3, 1, 4)
    return sheet.reshape(channels, rows * height, columns * width)
