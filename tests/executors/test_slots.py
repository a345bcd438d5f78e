"""Slots: never more jobs than there is room for, and no GPU given to two."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ganlab_executors.slots import Slots, visible_gpus


class GivingOut(RuleBasedStateMachine):
    """Slots beside the simplest account of them."""

    @initialize(room=st.integers(1, 5), gpus=st.integers(0, 5))
    def begin(self, room: int, gpus: int) -> None:
        self.room = room
        self.gpus = tuple(f"gpu{number}" for number in range(gpus))
        self.slots = Slots(room, self.gpus)
        self.held: list[tuple[str, ...]] = []

    @rule(count=st.integers(0, 6))
    def take(self, count: int) -> None:
        free = len(self.gpus) - sum(map(len, self.held))
        taken = self.slots.take(count)
        assert (taken is not None) == (len(self.held) < self.room and count <= free)
        if taken is not None:
            assert len(taken) == count
            self.held.append(taken)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.slots.give_back(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @invariant()
    def no_gpu_has_two_holders(self) -> None:
        held = [gpu for gpus in self.held for gpu in gpus]
        assert len(set(held)) == len(held)
        assert set(held) <= set(self.gpus)


TestGivingOut = GivingOut.TestCase
TestGivingOut.settings = settings(max_examples=50, stateful_step_count=20)


@pytest.mark.parametrize(
    ("named", "gpus"),
    [("0,1", ("0", "1")), (" 2 , GPU-8a,", ("2", "GPU-8a")), ("", ()), ("-1", ()), ("3,-1,0", ("3",))],
)
def test_gpus_are_those_that_cuda_would_show(named: str, gpus: tuple[str, ...]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": named}) == gpus


def test_without_a_word_in_the_environment_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus({}) == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    assert visible_gpus({}) == ("0", "1")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus({}) == ()
    assert subprocess.call([str(program)]) == 9
