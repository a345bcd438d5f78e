"""What this machine is, what it could do at best, and how much memory a process has taken."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import torch

_SIZES = {"cpu": 2048, "cuda": 8192, "mps": 4096}
"""Rows and columns of the matrices: large enough to reach the device's best."""
_LEAST_SECONDS = 0.15


def choose_device(wanted: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second (two a multiply-add) of a product of large square matrices."""
    size = _SIZES.get(device.type, 2048)
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = one @ other  # the first one may choose kernels
    wait_for(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < _LEAST_SECONDS or not count:
        torch.mm(one, other, out=out)
        wait_for(device)
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 itself rather than emulate it."""
    try:
        from ganlab.train.devices import has_instructions
    except ImportError:  # an older commit
        return device.type == "cuda"
    return has_instructions(device, "bfloat16")


def facts(device: torch.device) -> dict[str, Any]:
    """What the figures belong to."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bfloat16": has_bfloat16(device),
    }


def resident_bytes(*, most: bool = False) -> int:
    """Memory of this process, now or at its height; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(fields["VmHWM" if most else "VmRSS"].split()[0]) * 1024


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
