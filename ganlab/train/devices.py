"""Where the arithmetic runs: one choice of device, threads and precision for the whole run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from ganlab.errors import GanlabError


def choose_device(wanted: str) -> torch.device:
    """The device for `auto`, `cpu`, `cuda`, `cuda:N` or `mps`. Raises `GanlabError` if it is not there."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise GanlabError(f"run.device: {wanted}: torch {torch.__version__} sees no CUDA device; use 'auto' or 'cpu'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise GanlabError(f"run.device: {wanted}: there are only {torch.cuda.device_count()} CUDA devices, from cuda:0")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise GanlabError("run.device: mps: torch sees no Apple GPU here; use device = 'auto' or 'cpu'")
    return device


def prepare_arithmetic(threads: int) -> None:
    """Deterministic kernels, no TF32, and the asked number of CPU threads (0: torch's own choice)."""
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """A maker of contexts under which the networks compute in `precision`."""
    if precision == "float32":
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)
