"""Updates replayed on the CPU without Python, modules and autograd, which take a third of the time of a small one.

An update is tried under a tape, undone, and done as usual; its operations become a program. When each of the next few
has been done as usual, the program has to come to the same bits from the same beginning before it is used. So what a
component does differently each time, or what torch does not see, ends in updates that are done as usual.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from ganlab.recipe.schema import RunTable
from ganlab.train.attempt import undone
from ganlab.train.capture import Found
from ganlab.train.program import Program, available, program
from ganlab.train.tape import Tape, usual

WARM_UP = 1
"""Updates that are done as usual before one is tried: optimizers make their state."""
COMPARED = 3
"""Updates with which a program is compared: one could come to the same bits by chance, where torch takes another way to
the same number while it is watched."""
AS_USUAL = WARM_UP + 1 + COMPARED
"""Updates of a kind before its first replay."""
UNSEEN = "a component does not the same each time, or more than torch sees"
_CHUNK = 1 << 20
"""Bytes."""


def hindrance(run: RunTable, device: torch.device) -> str | None:
    """Why updates are not replayed here, in words, as far as the recipe tells."""
    hindrances = {
        "run.replay is off": run.replay == "off",
        f"the device is {device.type}, not the CPU": device.type != "cpu",
        "run.lanes is two": run.lanes == "two",
        f"torch {torch.__version__} has no interpreter": not available(),
    }
    return next((reason for reason, holds in hindrances.items() if holds), None)


@attrs.frozen
class CpuRecorder:
    """Records operations on the CPU."""

    modules: Sequence[nn.Module] = ()
    """Whatever updates may change."""

    def begin(self, *, read_only: bool) -> CpuRecording:
        """Of another kind of update."""
        return CpuRecording(self.modules, read_only=read_only)

    def forget(self) -> None:
        """Recordings share nothing."""


class CpuRecording:
    """A kind of update that becomes a program with the second and is replayed once it was compared."""

    def __init__(self, modules: Sequence[nn.Module] = (), *, read_only: bool = False) -> None:
        self.refused: str | None = None
        self._modules = modules
        self._read_only = read_only
        self._done = 0
        self._taped: Tape | None = None
        self._replay: _Replay | None = None
        self._compared = 0
        self._differs = False

    def do(self, work: Callable[[], Found]) -> Found:
        """As `ganlab.train.capture.Recording`."""
        if self._replay is not None and self._compared == COMPARED:
            found: Found = self._replay.outcome()
            return found
        self._done += 1
        if self.refused is not None:
            return work()
        if self._done <= WARM_UP:
            return self._warm_up(work)
        if self._replay is None:
            self._try(work)
            return work()
        return self._compare(self._replay, work)

    def _warm_up(self, work: Callable[[], Found]) -> Found:
        graphs = _compiled_graphs()
        found = work()
        if _compiled_graphs() != graphs:
            self.refused = "a component has torch.compile, which does not work where somebody watches"
        return found

    def _try(self, work: Callable[[], Found]) -> None:
        """Do the work under a tape, and undo it."""
        tape = Tape()
        try:
            with undone(self._modules), tape.watching():
                found = work()
                leaves, spec = tree_flatten(found)
                if tape.obstacle is None and tape.kept_from(leaf for leaf in leaves if isinstance(leaf, Tensor)):
                    tape.obstacle = "a component keeps a tensor of an update that is not in place"
            if self._differs and self._taped is not None:
                tape.obstacle = tape.obstacle or self._taped.difference(tape) or UNSEEN
            self.refused, self._taped = tape.obstacle, tape
            if self.refused is None:
                self._replay = _replay_of(tape, leaves, spec, inference=self._read_only)
        except Exception as error:  # a fault in a component shows when it is done as usual
            self.refused = _one_line(error)

    def _compare(self, replay: _Replay, work: Callable[[], Found]) -> Found:
        """Do the work, and see whether the replay comes to the same; all is left as the work leaves it."""
        assert self._taped is not None
        memories = self._taped.memories()
        with usual():
            before = [memory.clone() for memory in memories]
        found = work()
        same = False
        try:
            same = replay.comes_to(found, memories, before)
        except Exception as error:
            self.refused = _one_line(error)
        if same:
            self._compared += 1
        else:
            self._differs, self._replay = True, None  # the next try tells in what
        if self._compared == COMPARED:
            self._taped = None
        return found


@attrs.frozen(eq=False)
class _Replay:
    """A program, and how its results are handed out."""

    run: Program
    leaves: Sequence[Any]
    """Of the outcome, None where there is a tensor."""
    places: Sequence[int]
    """Of the tensors among them."""
    spec: TreeSpec

    def outcome(self) -> Any:
        """Do the update. Raises `RuntimeError` with what an operation has to say."""
        leaves = list(self.leaves)
        try:
            tensors = self.run()
        except RuntimeError as error:
            raise RuntimeError(f"{_one_line(error)} (in a replayed update; run.replay = 'off' tells where)") from error
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        return tree_unflatten(leaves, self.spec)

    def comes_to(self, expected: Any, memories: Sequence[Tensor], before: Sequence[Tensor]) -> bool:
        """Whether the same outcome and the same numbers in memory follow from what was there before.

        `before` is used up; `memories` are left as they are.
        """
        leaves, spec = tree_flatten(expected)
        wanted = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        others = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        if spec != self.spec or repr(others) != repr(list(self.leaves)):
            return False
        with usual():
            wanted = [tensor.clone() for tensor in wanted]
            same, swapped = False, 0
            try:
                for memory, other in zip(memories, before, strict=True):
                    _swap(memory, other)
                    swapped += 1
                again = self.run()
                same = all(map(torch.equal, memories, before)) and all(map(_same, wanted, again))
            finally:
                if not same:
                    for memory, after in zip(memories[:swapped], before, strict=False):
                        memory.copy_(after)
        return same


def _replay_of(tape: Tape, leaves: Sequence[Any], spec: TreeSpec, *, inference: bool) -> _Replay:
    """Inference mode saves 5%, but its tensors may not be written to, as some optimizers do with gradients.

    Raises where the tape's operations cannot be a program.
    """
    places = [number for number, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    wanted = [leaves[place] for place in places]
    run = program(tape.calls, tape.given, [tape.ref(tensor) for tensor in wanted], inference=inference)
    return _Replay(run, [None if isinstance(leaf, Tensor) else leaf for leaf in leaves], places, spec)


def _swap(one: Tensor, other: Tensor) -> None:
    """What is in two memories, without room for a third."""
    for part, its in zip(torch.split(one, _CHUNK), torch.split(other, _CHUNK), strict=True):
        kept = part.clone()
        part.copy_(its)
        its.copy_(kept)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same bits."""
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)


def _compiled_graphs() -> int:
    """How many torch.compile has made in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else int(dynamo.counters["stats"]["unique_graphs"])


def _one_line(error: Exception) -> str:
    """The last line that says something: before it torch tells where in its own graph that was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
