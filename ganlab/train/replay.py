"""Whole updates replayed on the CPU without Python, modules or autograd, which take a third of the time of a small one.

An update is done twice under a tape. Where both tapes say the same, the operations become a program, which has to
come to the same bits as the second update did before it is used. So what a component does that is not the same each
time, or that torch does not see, ends in updates that are done as usual, not in other numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from ganlab.recipe.schema import RunTable
from ganlab.train.capture import Found
from ganlab.train.program import Program, available, program
from ganlab.train.tape import Tape

WARM_UP = 1
"""Updates that are done as usual before two are watched: optimizers make their state."""
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


class CpuRecorder:
    """Records operations on the CPU."""

    def begin(self) -> CpuRecording:
        """Of another kind of update."""
        return CpuRecording()

    def forget(self) -> None:
        """Recordings share nothing."""


class CpuRecording:
    """A kind of update that becomes a program after the third."""

    def __init__(self) -> None:
        self.refused: str | None = None
        self._done = 0
        self._first: Tape | None = None
        self._replay: Callable[[], Any] | None = None

    def do(self, work: Callable[[], Found]) -> Found:
        """As `ganlab.train.capture.Recording`."""
        if self._replay is not None:
            found: Found = self._replay()
            return found
        self._done += 1
        if self._done <= WARM_UP:
            return work()
        tape = Tape(saving=self._first is not None)
        with tape:
            found = work()
        if tape.obstacle is None and self._first is None:
            self._first = tape
            return found
        self._settle(tape, found)
        return found

    def _settle(self, tape: Tape, found: Any) -> None:
        self.refused = tape.obstacle
        if self.refused is None and self._first is not None:
            self.refused = self._first.difference(tape)
        if self.refused is None:
            try:
                self._replay = _replay_of(tape, found)
            except RuntimeError as error:
                self.refused = str(error).strip().partition("\n")[0]
        self._first = None


def _replay_of(tape: Tape, found: Any) -> Callable[[], Any]:
    """What does the update again. Raises `RuntimeError` where that is not what was taped."""
    leaves, spec = tree_flatten(found)
    places = [number for number, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    wanted = [leaves[place] for place in places]
    # Inference mode saves 5%, but its tensors may not be written to, as some optimizers do with gradients.
    inference = all(tensor.ndim == 0 for tensor in wanted)
    run = program(tape.calls, tape.given, [tape.ref(tensor) for tensor in wanted], inference=inference)
    _check(run, tape, wanted)

    def replay() -> Any:
        again = list(leaves)
        for place, tensor in zip(places, run(), strict=True):
            again[place] = tensor
        return tree_unflatten(again, spec)

    return replay


@torch.no_grad()
def _check(run: Program, tape: Tape, expected: list[Tensor]) -> None:
    """Do the update that was taped once more, from where it began; all is left as it is after that update."""
    saved = tape.saved()
    for whole, before in saved:
        _swap(whole, before)
    same = False
    try:
        found = run()
        same = all(torch.equal(whole, after) for whole, after in saved) and all(map(_same, found, expected))
    finally:
        if not same:
            for whole, after in saved:
                whole.copy_(after)
    if not same:
        raise RuntimeError("a component does more than torch sees, as the same operations come to other numbers")


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
    return tensor.detach().reshape(-1).view(torch.uint8)
