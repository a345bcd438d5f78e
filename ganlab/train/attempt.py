"""Work that is tried out: what it does to modules and to torch's random numbers is undone afterwards.

Numbers in memory are put back by the tape that watches it, which knows which there are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def undone(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Give all modules within these the attributes back that they had: buffers bound anew, counts kept in Python.

    What is changed within a list or a dictionary of theirs stays changed. Functions that are compiled are done as they
    are written: where somebody watches, torch would give up compiling them, for good.
    """
    kept = [(module, dict(vars(module)), _contents(module)) for root in modules for module in root.modules()]
    numbers = torch.get_rng_state()
    try:
        with torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext():
            yield
    finally:
        torch.set_rng_state(numbers)
        for module, attributes, contents in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for name, content in contents.items():
                attributes[name].clear()
                attributes[name].update(content)


def _contents(module: nn.Module) -> dict[str, dict[str, Any]]:
    return {name: dict(vars(module)[name]) for name in ("_parameters", "_buffers", "_modules")}
