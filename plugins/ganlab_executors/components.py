"""The parameters of the executors. Ray is imported only when its executor is built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

from ganlab.errors import GanlabError
from ganlab.jobs import GRACE_S
from ganlab.parameters import parameter

from .cluster import LOCAL, find_cluster, keep_to_loopback

if TYPE_CHECKING:
    from ganlab.interfaces import BuiltExecutor


def _check_gpus(gpus: tuple[int, ...]) -> None:
    if any(gpu < 0 for gpu in gpus):
        raise ValueError(f"expected device numbers, 0 or more, got {list(gpus)!r}")
    if len(set(gpus)) < len(gpus):
        raise ValueError(f"expected each GPU once, got {list(gpus)!r}")


@attrs.frozen
class Local:
    """Runs each job as a process on this machine.

    A job that needs n GPUs takes n of the slots and sees those alone; one that needs none sees none. A job that was
    lost is started again and goes on from its last checkpoint.
    """

    at_once: int = parameter(
        0, help="Jobs that run at the same time; 0 for one for each GPU it needs, or as many as the cores allow.", ge=0
    )
    gpus: tuple[int, ...] | None = parameter(
        None, help="GPUs to give out; by default all that CUDA_VISIBLE_DEVICES or nvidia-smi shows.", check=_check_gpus
    )
    retries: int = parameter(2, help="How often a job that was lost (by `kill -9`, say) is started again.", ge=0)
    grace_s: float = parameter(
        GRACE_S, help="Time that jobs have to save and end when asked; then they are killed.", unit="seconds", gt=0
    )

    def build(self) -> BuiltExecutor:
        """The executor; see `ganlab.interfaces.BuiltExecutor`."""
        from .local import LocalExecutor

        return LocalExecutor(self)


@attrs.frozen
class Ray:
    """Runs each job as a process that a task of Ray starts on some machine of a cluster.

    All machines need the same Python, ganlab and Ray, and must share the folders of data and runs. A job whose machine
    or worker is lost is started again elsewhere and goes on from its last checkpoint.
    """

    address: str = parameter(
        "auto", help='Cluster to join, as "host:port"; "auto" for one that is found here, else as "local": a new one.'
    )
    at_once: int = parameter(0, help="Jobs that run at the same time; 0 for as many as the cluster has room for.", ge=0)
    retries: int = parameter(3, help="How often a job that was lost (with its machine, say) is started again.", ge=0)
    grace_s: float = parameter(
        GRACE_S, help="Time that jobs have to save and end when asked; then they are killed.", unit="seconds", gt=0
    )

    def build(self) -> BuiltExecutor:
        """The executor; see `ganlab.interfaces.BuiltExecutor`. Raises `GanlabError` where Ray is not installed."""
        address = find_cluster(os.environ) if self.address == "auto" else self.address
        if address == LOCAL:
            keep_to_loopback(os.environ)
        try:
            from .ray import RayExecutor
        except ImportError as error:
            raise GanlabError(f"the executor 'ray' needs Ray ({error}): pip install 'ganlab[ray]'") from error
        return RayExecutor(self, address)
