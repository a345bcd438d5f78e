"""How many jobs run at once on this machine, and which GPUs are whose."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping

import attrs


@attrs.define
class Slots:
    """Room for `room` jobs, and GPUs to give out, each to one job at a time."""

    room: int
    gpus: tuple[str, ...] = ()
    _taken: list[str] = attrs.field(factory=list, init=False)

    def take(self, count: int) -> tuple[str, ...] | None:
        """Room for one job with `count` GPUs, which are returned in the order of the list; None while there is none."""
        free = [gpu for gpu in self.gpus if gpu not in self._taken]
        if self.room == 0 or count > len(free):
            return None
        self.room -= 1
        self._taken += free[:count]
        return tuple(free[:count])

    def give_back(self, gpus: Iterable[str]) -> None:
        """What `take` returned, once the job has ended."""
        self.room += 1
        for gpu in gpus:
            self._taken.remove(gpu)


def usable_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs that a program started now would see, as CUDA_VISIBLE_DEVICES names them; none where there is no NVIDIA.

    Torch is not asked: it takes seconds to import, and holds memory on each GPU once it has looked.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        try:
            listed = subprocess.run(
                ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ()
        named = ",".join(listed.stdout.split())
    names = [name.strip() for name in named.split(",")]
    seen = next((place for place, name in enumerate(names) if name in ("", "-1")), len(names))  # as CUDA reads it
    return tuple(names[:seen])
