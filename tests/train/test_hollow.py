"""Tensors without content behave as PyTorch's fake tensors do: shapes, layouts, types, devices, views, storages."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from ganlab.train.hollow import Hollow, HollowMode


def nothing(*_: object) -> None:
    """Observes nothing."""


def network(x: Tensor, weight: Tensor) -> list[Tensor]:
    """Something of everything: convolutions of both layouts, views, broadcasting, reductions, types, second order."""
    x = F.leaky_relu(F.conv2d(x, weight, padding=1), 0.2)
    y = F.avg_pool2d(F.interpolate(x, scale_factor=2), 2).reshape(2, 2, 4, 8, 8).var(0).mean((1, 2, 3))
    z = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8) + torch.tensor(0.5)
    inner = torch.func.grad(lambda v: F.conv2d(v, weight, padding=1).square().sum())(x)
    loss = z.sum() + inner.square().sum() + y.double().sum()
    (gradient,) = torch.autograd.grad(loss, [weight])
    row = x[0].permute(1, 2, 0)
    row += 1
    return [x, y, z, inner, loss, gradient, row, x.flatten(1), x.to(torch.bfloat16), torch.empty_like(x).copy_(z)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_results_have_the_form_that_fake_tensors_have(layout: torch.memory_format) -> None:
    found = []
    for mode in (FakeTensorMode(), HollowMode(nothing)):
        with mode:
            for _ in range(2):  # the second time from memory
                x = torch.randn(4, 4, 8, 8).to(memory_format=layout)
                weight = torch.nn.Parameter(torch.zeros(4, 4, 3, 3).to(memory_format=layout))
                results = network(x, weight)
            found.append([(t.shape, t.stride(), t.dtype, t.device, t.requires_grad) for t in results])
    assert found[0] == found[1]


def test_views_share_and_results_do_not() -> None:
    with HollowMode(nothing):
        for _ in range(2):
            x = torch.zeros(4, 6)
            view, copy, same = x[1:].t(), x.clone(), x.add_(1)
            assert same is x
            assert isinstance(view, Hollow)
            assert isinstance(copy, Hollow)
            assert isinstance(x, Hollow)
            storage = x.meta.untyped_storage()._cdata
            assert view.meta.untyped_storage()._cdata == storage
            assert view.storage_offset() == view.meta.storage_offset() == 6
            assert copy.meta.untyped_storage()._cdata != storage


def test_numbers_of_different_types_are_different_questions() -> None:
    with HollowMode(nothing):
        whole = torch.zeros(3, dtype=torch.int64)
        assert [(whole * factor).dtype for factor in (2, 2.0, True)] == [torch.int64, torch.float32, torch.int64]


def test_what_needs_content_raises() -> None:
    with HollowMode(nothing), pytest.raises(Exception, match=r"(?i)item|scalar|content|meta|data"):
        torch.ones(()).item()


def test_outside_its_mode_nothing_can_be_done_with_it() -> None:
    with HollowMode(nothing):
        x = torch.ones(3)
    with pytest.raises(RuntimeError, match="without content"):
        x + 1
