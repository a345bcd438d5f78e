"""Real images on their way into the network; the golden file checks the numbers, these the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlab.data.grid import image_grid
from ganlab.data.reals import network_reals, to_bytes


def some_images(count: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_bytes_survive_the_way_there_and_back() -> None:
    every_byte = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_bytes(network_reals(every_byte)), every_byte)


@pytest.mark.parametrize("as_uniforms", [False, True])
def test_only_chosen_samples_are_mirrored(as_uniforms: bool) -> None:
    images = some_images()
    chosen = torch.tensor([True, False, True, False, False, True])
    mirror = torch.where(chosen, 0.5, 0.4999) if as_uniforms else chosen
    reals = network_reals(images, mirror=mirror)
    plain = network_reals(images)
    assert torch.equal(reals[chosen], plain[chosen].flip(-1))
    assert torch.equal(reals[~chosen], plain[~chosen])


@pytest.mark.parametrize("blend", ["float", "bytes"])
def test_a_full_weight_changes_nothing_and_a_zero_weight_shows_the_coarser_level(blend: str) -> None:
    images = some_images() // 4 * 4
    plain = network_reals(images)
    assert torch.equal(network_reals(images, fade=torch.tensor(1.0), blend=blend), plain)  # type: ignore[arg-type] # a parameter of the test
    coarse = network_reals(images, fade=torch.tensor(0.0), blend=blend)  # type: ignore[arg-type] # a parameter of the test
    blocks = coarse.reshape(6, 3, 4, 2, 4, 2)
    torch.testing.assert_close(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), rtol=0, atol=1e-6)
    assert (coarse - plain).abs().max() > 0.1


@pytest.mark.parametrize("blend", ["float", "bytes"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_samples_of_different_weights_are_what_each_is_by_itself(blend: str, channels_last: bool) -> None:
    images = some_images()
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    weights = torch.tensor([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
    together = network_reals(images, fade=weights, blend=blend)  # type: ignore[arg-type] # a parameter of the test
    for number, weight in enumerate(weights):
        alone = network_reals(images[number : number + 1], fade=weight, blend=blend)  # type: ignore[arg-type] # as above
        assert torch.equal(together[number : number + 1], alone)


def test_without_blending_the_weight_is_ignored() -> None:
    images = some_images()
    assert torch.equal(network_reals(images, fade=torch.tensor(0.3), blend="none"), network_reals(images))


@pytest.mark.parametrize("blend", ["float", "bytes", "none"])
def test_it_can_be_traced_without_looking_at_values(blend: str) -> None:
    # A meta tensor has no values: anything that waited for the device would raise here.
    images = torch.empty((4, 3, 8, 8), dtype=torch.uint8, device="meta")
    draws, fade = torch.empty(4, device="meta"), torch.empty((), device="meta")
    reals = network_reals(images, mirror=draws, fade=fade, blend=blend)  # type: ignore[arg-type] # a parameter of the test
    assert reals.shape == images.shape
    assert reals.dtype == torch.float32


def test_values_out_of_range_are_saturated_and_halves_go_to_even() -> None:
    values = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, (0.5 - 127.5) / 127.5, (2.5 - 127.5) / 127.5])
    assert to_bytes(values.reshape(1, 1, 1, -1)).flatten().tolist() == [0, 0, 128, 255, 255, 0, 2]


def test_a_grid_is_filled_row_by_row() -> None:
    images = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1)
    assert image_grid(images)[0].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert image_grid(images, columns=5)[0].tolist() == [[1, 2, 3, 4, 5]]
    assert image_grid(images, rows=3)[0].tolist() == [[1, 2], [3, 4], [5, 0]]
    with pytest.raises(ValueError, match="do not fit"):
        image_grid(images, columns=2, rows=2)
