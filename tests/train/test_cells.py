"""What the host sets is what operations read, in the tensor they have read all along."""

from __future__ import annotations

import pytest
import torch

from ganlab.cells import Cell


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(("dtype", "number"), [(torch.float32, 0.1), (torch.int64, 2**53 + 1)])
def test_a_number_reaches_the_tensor_that_is_there(device: str, dtype: torch.dtype, number: float) -> None:
    cell = Cell(torch.device(device), dtype)
    tensor, read = cell.tensor, cell.tensor * 1
    assert read.item() == 0
    cell.set(number)
    assert cell.tensor is tensor
    assert torch.equal(tensor, torch.tensor(number, dtype=dtype, device=device))
    assert read.item() == 0
