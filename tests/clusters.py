"""Ray clusters of real processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def two_machines() -> Iterator[Any]:
    """A cluster of two machines with one CPU each; the process that asks runs on a third, without any."""
    import ray
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    made.small = small
    made.nodes = [made.add_node(num_cpus=1, **small) for _ in range(2)]
    yield made
    ray.shutdown()
    made.shutdown()


def raylet(node: Any) -> int:
    """The process id of the machine's raylet."""
    return int(node.all_processes["raylet"][0].process.pid)


def machine_of(cluster: Any, word: str) -> Any:
    """The machine on which a process runs that has `word` in its command, or None where none does any more."""
    raylets = {raylet(node): node for node in cluster.nodes}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and word in _read(process / "cmdline").split("\0"):
            pid = int(process.name)
            while pid > 1 and pid not in raylets:
                pid = _parent(pid)
            if pid in raylets:
                return raylets[pid]
    return None


def _parent(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has ended
        return ""
