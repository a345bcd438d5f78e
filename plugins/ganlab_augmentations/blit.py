"""Flips, quarter turns, shifts by whole pixels, squares cut out: all that is kept is kept bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor


def blit(images: Tensor, flip: Tensor, turns: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """`[N, C, R, R]`, each image flipped left-right where `flip`, then turned, then shifted right and down.

    `flip` is bool `[N]`, the others int64 `[N]`: `turns` in 0..3 are quarter turns counterclockwise, shifts are in
    pixels. What comes in at an edge is the image reflected about the centres of its outermost pixels.
    """
    size = images.shape[-1]
    line = torch.arange(size, device=images.device)
    x = _reflected(line - shift_x[:, None], size)[:, None, :]
    y = _reflected(line - shift_y[:, None], size)[:, :, None]
    last = size - 1
    turns = turns[:, None, None]
    along_x = torch.where(turns % 2 == 1, y, x)  # a quarter turn reads columns where rows were
    along_y = torch.where(turns % 2 == 1, x, y)
    backwards_x = (turns == 1) | (turns == 2)
    along_x = torch.where(backwards_x ^ flip[:, None, None], last - along_x, along_x)
    along_y = torch.where(turns >= 2, last - along_y, along_y)
    places = (along_y * size + along_x).flatten(1)[:, None, :].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, places).reshape(images.shape)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Whole numbers brought into 0..size - 1 by reflection about 0 and size - 1."""
    there_and_back = 2 * (size - 1)
    places = places.remainder(there_and_back)
    return torch.where(places >= size, there_and_back - places, places)


def shifted_with_zeros(images: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """`[N, C, R, R]`, each image moved right and down by int64 `[N]` pixels; 0 comes in."""
    size = images.shape[-1]
    line = torch.arange(size, device=images.device)
    columns, rows = line - shift_x[:, None], line - shift_y[:, None]
    inside = _planes((rows >= 0) & (rows < size), (columns >= 0) & (columns < size))
    still = torch.zeros_like(shift_x)
    moved = blit(images, still.bool(), still, shift_x, shift_y)
    return torch.where(inside, moved, torch.zeros_like(moved))


def without_square(images: Tensor, left: Tensor, top: Tensor, side: int) -> Tensor:
    """`[N, C, R, R]` with 0 in a square of `side` pixels from column `left` and row `top`, int64 `[N]`."""
    line = torch.arange(images.shape[-1], device=images.device)
    columns = (line >= left[:, None]) & (line < left[:, None] + side)
    rows = (line >= top[:, None]) & (line < top[:, None] + side)
    return torch.where(_planes(rows, columns), torch.zeros_like(images), images)


def _planes(rows: Tensor, columns: Tensor) -> Tensor:
    """Two `[N, R]` -> `[N, 1, R, R]`, true where both are."""
    return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1)
