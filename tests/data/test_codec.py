"""Images to bytes and back: what is stored comes back exactly, and what cannot be decoded is explained."""

from __future__ import annotations

import numpy as np
import pytest

from ganlab.data.codec import decode, encode

NOISE = np.random.default_rng(0).integers(0, 256, (24, 24, 4), dtype=np.uint8)


@pytest.mark.parametrize("extension", ["png", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read(extension: str, channels: int) -> None:
    pixels = NOISE[..., :channels].transpose(2, 0, 1)
    decoded = decode(encode(pixels, extension), channels=channels, resolution=24)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (encode(NOISE[..., :3].transpose(2, 0, 1), "webp")[:200], "the image cannot be decoded"),
        (encode(NOISE[..., :3].transpose(2, 0, 1), "png")[:200], "the image cannot be decoded"),
        (encode(NOISE[:16, :16, 0][None], "png"), "the image is 16x16, not 24x24"),
        (b"RIFF\0\0\0\0WEBP", "the image cannot be decoded"),
        (b"", "the image cannot be decoded"),
    ],
    ids=["cut off", "a PNG cut off", "another size", "a beginning only", "nothing"],
)
def test_what_cannot_be_used_is_explained(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(content, channels=3, resolution=24)
