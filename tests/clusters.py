"""Ray clusters of real processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .proc import commands, parent


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
    for pid in (pid for pid, words in commands() if word in words):
        ancestor = pid
        while ancestor > 1 and ancestor not in raylets:
            ancestor = parent(ancestor)
        if ancestor in raylets:
            return raylets[ancestor]
    return None
