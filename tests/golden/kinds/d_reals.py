"""Kind D_reals: real images on their way into the networks, network output on its way to bytes and sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ganlab.data.grid import image_grid
from ganlab.data.reals import faded_bytes, network_reals, to_bytes

if TYPE_CHECKING:
    from ..golden import Case


def check(case: Case) -> None:
    """Every level of detail, then the byte conversions, the range and the grids."""
    for i, level_of_detail in enumerate(case["lods"]):
        check_level(case, f"lod{i}.", float(level_of_detail))
    if "bytes.in" in case:
        images = torch.from_numpy(case["bytes.in"])
        for key in case.keys_under("bytes."):
            if key != "bytes.in":
                _, _, shrink = key.partition("_shrink")
                case.expect(key, to_bytes(images, shrink=int(shrink or 1)), "exact")
    if "range.0_255_to_m1_1" in case:
        every_byte = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
        case.expect("range.0_255_to_m1_1", network_reals(every_byte).flatten())
    if "grid.in" in case:
        for key in case.keys_under("grid."):
            if key == "grid.auto":
                case.expect(key, image_grid(case["grid.in"]), "exact")
            elif key != "grid.in":
                columns, rows = key.removeprefix("grid.").split("x")
                case.expect(key, image_grid(case["grid.in"], columns=int(columns), rows=int(rows)), "exact")


def check_level(case: Case, prefix: str, level_of_detail: float) -> None:
    """Fade weight = 1 - the fraction of the level of detail; outputs are repeated up to the full resolution."""
    images = torch.from_numpy(case[prefix + "in.images"])
    uniforms = torch.from_numpy(case[prefix + "in.mirror_uniform"])
    fade = torch.tensor(1.0 - (level_of_detail - np.floor(level_of_detail)), dtype=torch.float64)
    repeats = case.config["resolution"] // images.shape[-1]

    def full_size(reals: torch.Tensor) -> torch.Tensor:
        assert reals.dtype == torch.float32
        return reals.repeat_interleave(repeats, 2).repeat_interleave(repeats, 3)

    for key in case.keys_under(prefix):
        match key.removeprefix(prefix):
            case "in.images" | "in.mirror_uniform":
                pass
            case "tf.plain":
                case.expect(key, full_size(network_reals(images, fade=fade)))
            case "tf.mirror":
                case.expect(key, full_size(network_reals(images, mirror=uniforms, fade=fade)))
            case "theano.faded_uint8":
                case.expect(key, faded_bytes(images, fade), "exact")
                in_bytes = network_reals(torch.from_numpy(case[key]))
                assert torch.equal(network_reals(images, fade=fade, blend="bytes"), in_bytes)
            case other:
                raise AssertionError(f"{case.file_name}: no check for {other}")
