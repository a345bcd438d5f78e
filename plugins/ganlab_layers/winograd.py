"""Convolutions of 3x3 by Winograd's algorithm: 16 multiplications for 2x2 results, where the definition has 36.

Tiles of 4x4 pixels, two apart, are turned into 16 sums of theirs, kernels into 16 sums of their taps; each of the 16 is
a product of matrices over channels, and 2x2 results are sums of what comes out (Lavin and Gray 2016, F(2x2, 3x3)). The
gradient for images is such a convolution by turned kernels; that for weights is sums of what 16 products of tiles give.
In float32 it rounds about as little as the definition. In bfloat16 the sums of pixels would have to be rounded before
they are multiplied, so it is not used there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

CHANNELS, CHANNELS_AVX2 = 256, 128
"""Channels, in and out, from which it was measured to be faster, and with AVX2 alone,"""
PIXELS = 128
"""and pixels of a minibatch: fewer do not pay for turning the kernels."""
TILES = 256
"""Tiles of one product: what is multiplied should be in the cache still."""


def _square(line: list[list[float]]) -> Tensor:
    """In both directions what `line` is in one."""
    matrix = torch.tensor(line, dtype=torch.float32)
    return torch.kron(matrix, matrix)


_TURNED = [4 * i + j for i in (3, 1, 2, 0) for j in (3, 1, 2, 0)]
"""Where the sums of a kernel's taps are in those of the turned kernel."""
_OF_PIXELS = _square([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_OF_TAPS = _square([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_TO_RESULTS = _square([[1, 1, 1, 0], [0, 1, -1, -1]])
_SUMS = {False: (_OF_PIXELS, _TO_RESULTS), True: (_OF_PIXELS[_TURNED], _TO_RESULTS[:, _TURNED].contiguous())}
"""Of pixels and to results, by whether the kernels are to be turned."""


def fits(images: Tensor, kernel_size: int, stride: int, padding: int) -> bool:
    """Whether it can be used for `[N, C, H, W]`."""
    height, width = images.shape[2:]
    return (kernel_size, stride, padding) == (3, 1, 1) and height % 2 == width % 2 == 0


def suits(images: Tensor, channels: int, kernel_size: int, stride: int, padding: int) -> bool:
    """Whether it can be used, and pays, for `[N, C, H, W]` on the CPU, where there are `channels` on either side."""
    enough = CHANNELS_AVX2 if torch.backends.cpu.get_cpu_capability() == "AVX2" else CHANNELS
    return (
        fits(images, kernel_size, stride, padding)
        and images.dtype == torch.float32
        and len(images) * images.shape[2] * images.shape[3] >= PIXELS
        and channels >= enough
    )


def convolve(x: Tensor, taps: Tensor, bias: Tensor | None = None, *, back: bool = False) -> Tensor:
    """`F.conv2d(x, weight, bias, padding=1)` of `[N, in, H, W]`, H and W even, where `taps` is `to_taps(weight)`.

    With `back` it is `F.conv_transpose2d`, of `[N, out, H, W]` by the same weight.
    """
    kernels = taps if back else taps.transpose(1, 2)
    shape = len(x), kernels.shape[2], *x.shape[2:]
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    for part, given in zip(_parts(y), _parts(x), strict=True):
        results = torch.bmm(_tiles(given, turned=back), kernels)
        if bias is not None:
            results[5] += bias  # which is in each of the 2x2 results once
        _join(results, part, turned=back)
    return y


def to_weight(large: Tensor, small: Tensor) -> Tensor:
    """The gradient `[out, in, 3, 3]` for the weight: from images `[N, in, H, W]` and gradients `[N, out, H, W]`."""
    out, into = small.shape[1], large.shape[1]
    found = small.new_zeros(16, out, into)
    for gradient, images in zip(_parts(small), _parts(large), strict=True):
        found.baddbmm_(_spread(gradient).transpose(1, 2), _tiles(images))
    weight = torch.matmul(_OF_TAPS.to(found.dtype).t(), found.transpose(0, 1))
    return weight.view(out, 3, 3, into).permute(0, 3, 1, 2)


def to_taps(weight: Tensor) -> Tensor:
    """`[out, in, 3, 3]` -> `[16, out, in]`, what tiles are multiplied by."""
    lines = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], 9, weight.shape[1])
    return torch.matmul(_OF_TAPS.to(weight.dtype), lines).transpose(0, 1)


def _parts(images: Tensor) -> Sequence[Tensor]:
    """A few images at a time."""
    return torch.split(images, max(1, TILES * 4 // (images.shape[2] * images.shape[3])))


def _tiles(images: Tensor, *, turned: bool = False) -> Tensor:
    """`[N, C, H, W]` -> `[16, N * H/2 * W/2, C]`, sums of pixels; in the order of turned kernels if so wanted."""
    sums = _SUMS[turned][0].to(images.dtype)
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    pixels = padded.unfold(1, 4, 2).unfold(2, 4, 2).permute(4, 5, 0, 1, 2, 3).reshape(16, -1)
    return torch.mm(sums, pixels).view(16, -1, images.shape[1])


def _join(results: Tensor, images: Tensor, *, turned: bool) -> None:
    """`[16, N * H/2 * W/2, C]` -> `images` `[N, C, H, W]`."""
    sums = _SUMS[turned][1].to(images.dtype)
    found = torch.mm(sums, results.view(16, -1))
    into = _quarters(images)
    into.copy_(found.view(into.shape))


def _spread(gradient: Tensor) -> Tensor:
    """`_join`'s other way round: gradients `[N, C, H, W]` -> `[16, N * H/2 * W/2, C]`."""
    quarters = _quarters(gradient).reshape(4, -1)
    return torch.mm(_TO_RESULTS.to(gradient.dtype).t(), quarters).view(16, -1, gradient.shape[1])


def _quarters(images: Tensor) -> Tensor:
    """A view `[2, 2, N, H/2, W/2, C]` of `[N, C, H, W]`: each pixel of 2x2 by itself."""
    return images.permute(0, 2, 3, 1).unfold(1, 2, 2).unfold(2, 2, 2).permute(4, 5, 0, 1, 2, 3)
