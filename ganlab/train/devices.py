"""Where the arithmetic runs: one choice of device, threads and precision for the whole run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Literal, cast

import torch

from ganlab.derivatives import has_amx, processor_has
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


Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What networks can compute in, by the name in a recipe."""

_PROCESSOR_INSTRUCTIONS = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "avx10_2", "bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "avx10_2", "fp16_arith"),
}
"""Names in `torch.cpu.get_capabilities()`, of which one is enough; the last of each is Arm's. AVX2 and plain AVX-512
are not among them: bfloat16 is emulated there, about ten times slower than float32."""


def has_instructions(device: torch.device, precision: str) -> bool:
    """Whether the device computes in a precision itself, rather than emulate it."""
    if precision == "float32" or device.type == "mps":
        return True
    if device.type == "cuda":
        with torch.cuda.device(device):
            return precision == "float16" or torch.cuda.is_bf16_supported(including_emulation=False)
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return False
    return processor_has(*_PROCESSOR_INSTRUCTIONS[precision])


def choose_precision(
    wanted: str, device: torch.device, begun: str | None = None, *, compiled: bool = False
) -> tuple[Precision, str]:
    """The precision of a run and, in words, why; `begun` is the one that a run to be resumed began in.

    "auto" takes bfloat16 where the device has the instructions, else float32; a run goes on as it began, on whatever
    device, so that its numbers stay of one kind. Raises `GanlabError` for a `begun` that this version does not know.
    """
    if wanted != "auto":
        return cast("Precision", wanted), "run.precision"
    if begun is not None:
        if begun not in PRECISIONS:
            raise GanlabError(f"this run began in precision {begun!r}, which this version of ganlab does not know")
        return cast("Precision", begun), "as this run began"
    where = "this processor" if device.type == "cpu" else "this device"
    if device.type == "mps":
        return "float32", "auto stays in it on Apple GPUs"
    if compiled and device.type == "cpu" and has_amx():  # layers cannot step in there; see ganlab.derivatives
        return "float32", "auto stays in it where run.compile meets AMX"
    if has_instructions(device, "bfloat16"):
        return "bfloat16", f"{where} has instructions for it"
    return "float32", f"{where} has no bfloat16 instructions"


def autocast(device: torch.device, precision: str) -> Callable[[], AbstractContextManager[object]]:
    """A maker of contexts under which the networks compute in `precision`; "auto" is what a new run would choose."""
    chosen, _ = choose_precision(precision, device)
    if chosen == "float32":
        return contextlib.nullcontext
    # No cache: threads would share it, and layers that are used several times hold their weights themselves.
    return lambda: torch.autocast(device.type, dtype=PRECISIONS[chosen], cache_enabled=False)
