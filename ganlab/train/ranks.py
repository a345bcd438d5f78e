"""Several processes that train one run together, each with its share of every minibatch: how they meet and talk.

They are started by `torchrun` or by `ganlab run --ranks` (`ganlab.train.launch`), which both say by environment
variables who is who. One process alone is `ALONE`: nothing here is then called that costs anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import torch
from torch import Tensor

from ganlab.errors import GanlabError, RunError, TrainingFailed
from ganlab.train.launch import STORE

if TYPE_CHECKING:
    from torch.distributed import Work

PATIENCE = timedelta(minutes=30)
"""How long a rank waits for another that says nothing: longer than any metric takes on the first rank alone. The end of
a process is noticed at once."""

Value = TypeVar("Value")


class RankLost(TrainingFailed):
    """Another rank has ended before its time."""


@attrs.frozen
class Ranks:
    """Who this process is among all. The first one, rank 0, is the only one that writes or speaks."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    @staticmethod
    def from_environment() -> Ranks:
        """As the launcher says; alone without one."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
            return ALONE
        rank, size, local_rank, local_size = (int(os.environ.get(name, "-1")) for name in names)
        return Ranks(rank, size, rank if local_rank < 0 else local_rank, size if local_size < 0 else local_size)

    def device(self, wanted: str) -> str:
        """`run.device` for this rank: its own GPU, or the CPU. Raises `GanlabError` for what ranks cannot share."""
        if not self.several:
            return wanted
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda"):
            there = torch.cuda.device_count()
            if wanted != "cuda" or self.local_size > there:
                text = f"{self.local_size} ranks on this machine need 'cuda' and as many GPUs; there are {there}"
                raise GanlabError(f"run.device: {wanted}: {text}")
            return f"cuda:{self.local_rank}"
        if wanted != "cpu":
            raise GanlabError(f"run.device: {wanted}: several ranks need 'cuda' or 'cpu'")
        return wanted

    def threads(self, wanted: int) -> int:
        """`run.threads` for this rank: with 0, its part of the cores, unless the environment says otherwise."""
        if wanted or not self.several or "OMP_NUM_THREADS" in os.environ:
            return wanted
        return max(1, torch.get_num_threads() // self.local_size)

    def broadcast(self, value: Value) -> Value:
        """The first rank's value (plain JSON data) on every rank. Raises `RankLost`."""
        if not self.several:
            return value
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        length = torch.tensor([len(text)])
        with noticing_losses():
            torch.distributed.broadcast(length, 0)
            if not self.first:
                text = torch.empty(int(length), dtype=torch.uint8)
            torch.distributed.broadcast(text, 0)
        received: Value = json.loads(bytes(text.numpy()))
        return received

    def gather(self, values: Tensor) -> Tensor:
        """`[n, ...]`, equally long on all ranks -> `[size * n, ...]`, in the order of the ranks. Raises `RankLost`."""
        if not self.several:
            return values
        whole = values.new_empty(self.size * values.shape[0], *values.shape[1:])
        with noticing_losses():
            torch.distributed.all_gather_into_tensor(whole, values.contiguous())
        return whole

    def in_order(self, own: Tensor, rows: Tensor) -> Tensor:
        """All ranks' samples in the order of the minibatch, of which `own` are these `rows`. Raises `RankLost`."""
        return self.gather(own)[self.gather(rows).argsort()]

    def begin_sum(self, values: Tensor) -> Work:
        """Start to add up `values` over all ranks, in place; `wait` for what is returned within `noticing_losses`."""
        with noticing_losses():
            work: Work = torch.distributed.all_reduce(values, async_op=True)
        return work

    @contextmanager
    def first_speaks(self) -> Iterator[None]:
        """What fails inside on the first rank as well is reported there only; elsewhere it becomes `RankLost`."""
        try:
            yield
        except GanlabError:
            if not self.first:
                self.broadcast(True)
            raise
        self.broadcast(True)

    def agree(self, value: str, explain: Callable[[str], str]) -> None:
        """Raise `RunError` on a rank whose `value` is another than the first one's."""
        wanted = self.broadcast(value)
        if wanted != value:
            raise RunError(f"rank {self.rank}: {explain(wanted)}")


ALONE = Ranks()


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Connected with the other ranks while inside. Raises `RankLost` where they do not come."""
    if not ranks.several:
        yield
        return
    from torch import distributed
    from torch._C._distributed_c10d import FileStore  # torch.distributed does not export it for mypy

    if device.type == "cuda":
        torch.cuda.set_device(device)
    path = os.environ.get(STORE)
    rendezvous: dict[str, Any] = (
        {"store": FileStore(path, ranks.size), "rank": ranks.rank, "world_size": ranks.size} if path else {}
    )
    with noticing_losses():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE, **rendezvous)
    try:
        yield
    finally:
        distributed.destroy_process_group()  # others who wait for this rank learn at once that it is gone


@contextmanager
def noticing_losses() -> Iterator[None]:
    """Turns what a broken connection raises into `RankLost`."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost("another rank has ended before its time") from error


class Exchange:
    """What modules that compare samples ask the other ranks by; differentiable any number of times.

    Gradients are those of the sum over all ranks of what each one differentiates.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def gather(self, x: Tensor) -> Tensor:
        """`[n, ...]`, the samples of this rank -> `[N, ...]`, those of all ranks in the minibatch's order."""
        whole: Tensor = _Gather.apply(x, self.ranks)
        return whole

    def own(self, whole: Tensor) -> Tensor:
        """`[N, ...]` -> `[n, ...]`, this rank's."""
        count = whole.shape[0] // self.ranks.size
        return whole.narrow(0, self.ranks.rank * count, count)


class _Gather(torch.autograd.Function):
    """All ranks' rows. Its derivative sums what all ranks have to say about this rank's rows."""

    @staticmethod
    def forward(x: Tensor, ranks: Ranks) -> Tensor:
        return ranks.gather(x.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.ranks = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _SumOfOwn.apply(gradient, ctx.ranks), None


class _SumOfOwn(torch.autograd.Function):
    """This rank's rows of the sum over all ranks; the transpose of `_Gather`, as that is of this."""

    @staticmethod
    def forward(whole: Tensor, ranks: Ranks) -> Tensor:
        total = whole.detach().clone(memory_format=torch.contiguous_format)
        with noticing_losses():
            torch.distributed.all_reduce(total)
        return Exchange(ranks).own(total).clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.ranks = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Gather.apply(gradient, ctx.ranks), None
