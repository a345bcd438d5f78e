"""Weight averaging alone: updates towards a constant source, for each averaging coefficient.

The networks are stand-ins with the variables of the file: what is averaged does not depend on what they compute.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganlab.train.average import average_

if TYPE_CHECKING:
    from ..golden import Array, Case

NOT_TRAINABLE = ("lod",)
"""The TF program's level of detail is a variable that is not trained; it is copied, not averaged."""


class Variables(nn.Module):
    """Holds variables under their TF names: the trainable ones as parameters, the others as buffers."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        super().__init__()
        for name, array in arrays.items():
            tensor = torch.from_numpy(array.copy())
            if name in NOT_TRAINABLE:
                self.register_buffer(name, tensor)
            else:
                self.register_parameter(name, nn.Parameter(tensor))


def check(case: Case) -> None:
    """Every variable after each update, for every coefficient."""
    for j, beta in enumerate(case["betas"]):
        source = Variables(case.under(f"beta{j}.G/"))
        averaged = Variables(case.under(f"beta{j}.Gs_before/"))
        found = (re.match(rf"beta{j}\.Gs_after(\d+)/", key) for key in case)
        updates = max(int(match[1]) for match in found if match)
        for update in range(1, updates + 1):
            average_(averaged, source, float(beta))
            values = dict(averaged.named_parameters()) | dict(averaged.named_buffers())
            prefix = f"beta{j}.Gs_after{update}/"
            assert set(values) == {key.removeprefix(prefix) for key in case.keys_under(prefix)}
            for name, value in values.items():
                case.expect(prefix + name, value)
