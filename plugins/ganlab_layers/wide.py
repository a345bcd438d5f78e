"""Convolutions whose every derivative is one of three maps: from images, back to images, and to a weight.

The second derivatives of PyTorch's own are convolutions with kernels of image size: several times slower than the third
map, with results that lie in memory in another order than weights, which slows what is done with them, and with AMX
sometimes wrong (see `ganlab.derivatives`). The third map itself is worked out as matrix products, one for each place in
the kernel, where they are the faster way.

A function of ours with both an image and a weight would always work out both gradients, of which a step often needs
one. So the two hang on nodes of their own, and autograd passes by what nobody asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from ganlab.derivatives import mistrusted
from ganlab_layers import winograd
from ganlab_layers.weighted import computing_dtype, full_precision

WIDE = 256
"""Channels, in and out, from which the three maps are the faster way at any resolution,"""
RATHER_WIDE, LARGE = 128, 64 * 64
"""and with AVX2, channels from which they are where the larger images have so many pixels;"""
WORK = 120_000_000
"""with AVX-512, images times pixels times channels in and out from which they are."""
ROWS = 2048
"""Pixels of one product: what is multiplied should be in the cache still."""
FAULTY = 64
"""Images times columns from which on second derivatives of PyTorch's own were seen to be wrong."""
FEW = 1024
"""Pixels of a minibatch up to which products are the faster way with AVX-512, in wide layers."""


class Geometry(NamedTuple):
    """A convolution from large images to small ones, or back if it is transposed."""

    kernel_size: int
    stride: int
    padding: int
    large: tuple[int, int]
    """Height and width of the large images."""

    def added(self, small: Tensor) -> tuple[int, int]:
        """What a transposed convolution adds at the end to come to the large size."""
        rows, columns = (
            size - (count - 1) * self.stride + 2 * self.padding - self.kernel_size
            for size, count in zip(self.large, small.shape[2:], strict=True)
        )
        return rows, columns


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int = 1, padding: int = 0) -> Tensor:
    """`F.conv2d` of `[N, in, H, W]` by a square `[out, in, k, k]`."""
    if not worthwhile(x, weight, x.shape[2] * x.shape[3]):
        columns = (x.shape[3] + 2 * padding - weight.shape[3]) // stride + 1
        if needs_care(x, weight, columns):
            return _in_float32(F.conv2d, x, weight, bias, stride, padding)
        return F.conv2d(x, weight, bias, stride, padding)
    x, weight, bias = _as_autocast(x, weight, bias)
    geometry = Geometry(weight.shape[2], stride, padding, (x.shape[2], x.shape[3]))
    return _apply(x, weight, bias, geometry, transposed=False)


def convolve_transposed(x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int, padding: int) -> Tensor:
    """`F.conv_transpose2d` of `[N, in, H, W]` by a square `[in, out, k, k]`."""
    if not worthwhile(x, weight, x.shape[2] * x.shape[3] * stride**2):
        if needs_care(x, weight, x.shape[3]):
            return _in_float32(F.conv_transpose2d, x, weight, bias, stride, padding)
        return F.conv_transpose2d(x, weight, bias, stride, padding)
    x, weight, bias = _as_autocast(x, weight, bias)
    kernel_size = weight.shape[2]
    height, width = ((count - 1) * stride - 2 * padding + kernel_size for count in x.shape[2:])
    return _apply(x, weight, bias, Geometry(kernel_size, stride, padding, (height, width)), transposed=True)


def worthwhile(x: Tensor, weight: Tensor, pixels: int) -> bool:
    """Whether the three maps are the faster way, and can be had; `pixels` are those of the larger images."""
    if not _possible(x):
        return False
    kind, dtype = torch.backends.cpu.get_cpu_capability(), _precision(x, weight)
    narrower, wider = sorted(weight.shape[:2])
    if kind == "AVX2":
        return dtype == torch.float32 and narrower >= (RATHER_WIDE if pixels >= LARGE else WIDE)
    enough = narrower >= WIDE or len(x) * pixels * narrower * wider >= WORK
    return kind == "AVX512" and dtype in (torch.float32, torch.bfloat16) and enough


def needs_care(x: Tensor, weight: Tensor, columns: int) -> bool:
    """Whether PyTorch's own second derivatives may be wrong; the smaller images have so many columns.

    Where the three maps do not pay, float32 costs little: such work is small.
    """
    return (
        _possible(x)
        and weight.requires_grad
        and len(x) * columns >= FAULTY
        and _precision(x, weight) == torch.bfloat16
        and mistrusted(x)
    )


def _possible(x: Tensor) -> bool:
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return not torch._C._are_functorch_transforms_active()  # which do not know functions that are given their context


def _precision(x: Tensor, weight: Tensor) -> torch.dtype | None:
    """What the convolution computes in; None if that is not settled."""
    dtype = computing_dtype(x)
    return dtype if dtype == computing_dtype(weight) else None


def _in_float32(
    operation: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Tensor:
    """The operation worked out in float32; its result is bfloat16, as those of other layers are."""
    with full_precision(x):
        found = operation(x.float(), weight.float(), None if bias is None else bias.float(), stride, padding)
        return found.to(torch.bfloat16)


def _as_autocast(*tensors: Tensor | None) -> Sequence[Any]:
    """What an operation would take under autocast, which does not look into functions."""
    return [None if tensor is None else tensor.to(computing_dtype(tensor)) for tensor in tensors]


def _apply(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    *,
    transposed: bool,
    taps: Tensor | None = None,
) -> Tensor:
    """One of the two maps, with all gradients; `taps` are those of the weight if they are known already."""
    if taps is None and winograd.suits(x, min(weight.shape[:2]), *geometry[:3]):
        taps = winograd.to_taps(weight.detach())
    learning = torch.is_grad_enabled() and weight.requires_grad
    if not learning and taps is None:
        return _map(x, weight, bias, taps, geometry, transposed)
    y: Tensor = _OfImages.apply(x, (weight, bias, taps), geometry, transposed)
    if not learning:
        return y
    parts = [_OfWeight.apply(weight, (x,), geometry, transposed, y.shape)]
    if bias is not None:
        parts.append(bias.reshape(1, -1, 1, 1).expand(y.shape))
    joined: Tensor = _Joined.apply(y, *parts)
    return joined


def _map(
    x: Tensor, weight: Tensor, bias: Tensor | None, taps: Tensor | None, geometry: Geometry, transposed: bool
) -> Tensor:
    if taps is not None:
        return winograd.convolve(x, taps, bias, back=transposed)
    _, stride, padding, _ = geometry
    if transposed:
        return F.conv_transpose2d(x, weight, bias, stride, padding, geometry.added(x))
    return F.conv2d(x, weight, bias, stride, padding)


def _weight_gradient(large: Tensor, small: Tensor, geometry: Geometry) -> Tensor:
    if torch.is_grad_enabled() and (large.requires_grad or small.requires_grad):
        found: Tensor = _ToWeight.apply(large, small, geometry)
        return found
    return to_weight(large, small, geometry)


def to_weight(large: Tensor, small: Tensor, geometry: Geometry) -> Tensor:
    """The third map: from images `[N, in, H, W]` and `[N, out, h, w]` to `[out, in, k, k]`, channels-last."""
    if winograd.suits(small, min(small.shape[1], large.shape[1]), *geometry[:3]):
        return winograd.to_weight(large, small)
    if better_as_products(small):
        return products(large, small, geometry)
    size, *how = geometry.kernel_size, [geometry.stride] * 2, [geometry.padding] * 2, [1, 1], False, [0, 0], 1
    shape = (small.shape[1], large.shape[1], size, size)
    weight = torch.empty(shape, dtype=small.dtype, memory_format=torch.channels_last)  # asked for its shape alone
    found: Tensor = torch.ops.aten.convolution_backward(small, large, weight, None, *how, [False, True, False])[1]
    return found


def better_as_products(small: Tensor) -> bool:
    """Whether matrix products are the faster way to the third map."""
    if torch.backends.cpu.get_cpu_capability() == "AVX2":
        return True
    return small.shape[1] >= WIDE and len(small) * small.shape[2] * small.shape[3] <= FEW


def products(large: Tensor, small: Tensor, geometry: Geometry) -> Tensor:
    """`to_weight` as a product of matrices for each place in the kernel."""
    size, stride, padding, _ = geometry
    height, width = small.shape[2:]
    found = small.new_empty(small.shape[1], size, size, large.shape[1])
    images = max(1, ROWS // (height * width))
    for first in range(0, len(small), images):
        # Rows first: what a place in the kernel meets, one row after the other, is one piece of memory.
        factor = small[first : first + images].permute(2, 0, 3, 1).reshape(-1, small.shape[1]).t()
        padded = F.pad(large[first : first + images], (padding,) * 4).permute(2, 0, 3, 1)
        for offset, j in itertools.product(range(stride), range(size)):
            met = padded[offset::stride, :, j : j + (width - 1) * stride + 1 : stride].contiguous()
            for i in range(offset, size, stride):
                pixels = met[i // stride :][:height].reshape(-1, large.shape[1])
                if first == 0:
                    torch.mm(factor, pixels, out=found[:, i, j])
                else:
                    found[:, i, j].addmm_(factor, pixels)
    return found.permute(0, 3, 1, 2)


# Tensors in a tuple are no inputs to autograd: a gradient for them hangs on another node, or is not wanted.


class _OfImages(Function):
    """A map, as a function of its images."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, others: tuple[Tensor, Tensor | None, Tensor | None], geometry: Geometry, transposed: bool
    ) -> Tensor:
        weight, bias, taps = others
        ctx.save_for_backward(weight, taps)
        ctx.how = geometry, transposed
        return _map(x, weight, bias, taps, geometry, transposed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, taps = ctx.saved_tensors
        geometry, transposed = ctx.how
        back = _apply(gradient, weight, None, geometry, transposed=not transposed, taps=taps)
        return back, None, None, None


class _OfWeight(Function):
    """Zeros, whose gradient is that of the weight in a map of `x`."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, others: tuple[Tensor], geometry: Geometry, transposed: bool, shape: torch.Size
    ) -> Tensor:
        ctx.save_for_backward(*others)
        ctx.how = geometry, transposed
        return weight.new_zeros(()).expand(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        geometry, transposed = ctx.how
        large, small = (gradient, x) if transposed else (x, gradient)
        return _weight_gradient(large, small, geometry), None, None, None, None


class _Joined(Function):
    """The first, which stands for the sum of all: the others are there for their gradients."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, *others: Tensor) -> Tensor:
        ctx.count = len(others)
        ctx.mark_dirty(y)  # the same tensor, which an activation may then overwrite
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        count: int = ctx.count
        return (gradient,) * (1 + count)


class _ToWeight(Function):
    """`to_weight`, with gradients of its own."""

    @staticmethod
    def forward(ctx: Any, large: Tensor, small: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(large, small)
        ctx.geometry = geometry
        return to_weight(large, small, geometry)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        large, small = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        of_large = _apply(small, gradient, None, ctx.geometry, transposed=True) if wanted[0] else None
        of_small = _apply(large, gradient, None, ctx.geometry, transposed=False) if wanted[1] else None
        return of_large, of_small, None
