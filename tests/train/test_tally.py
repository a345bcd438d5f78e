"""Sums of what steps report are those of the numbers one by one, however they are reported."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganlab.train.tally import NonFinite, Tally, row

CPU = torch.device("cpu")
NUMBERS = st.floats(-1e6, 1e6, width=32)
REPORTS = st.lists(st.dictionaries(st.sampled_from("abcd"), NUMBERS, max_size=4), max_size=12)


def tensors(report: dict[str, float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(number) for name, number in report.items()}


@given(REPORTS, st.integers(0, 12))
def test_means_are_those_of_single_numbers_with_a_checkpoint_anywhere(
    reports: list[dict[str, float]], saved_at: int
) -> None:
    """Also where a name is in reports of different kinds."""
    tally, sums, counts = Tally(CPU), {}, {}
    for number, report in enumerate(reports):
        if number == saved_at:
            kept, tally = tally, Tally(CPU)
            tally.restore({name: value.clone() for name, value in kept.tensors().items()}, kept.counts)
        tally.add(tensors(report), number)
        for name, value in report.items():
            sums[name] = np.float32(sums.get(name, 0.0)) + np.float32(value)
            counts[name] = counts.get(name, 0) + 1
    assert tally.counts == counts
    assert tally.take_means() == {name: float(sums[name]) / counts[name] for name in sums}
    assert tally.take_means() == {}


def test_what_was_reported_may_change_afterwards() -> None:
    """As a recording's results do, which are good until the next time."""
    tally, report = Tally(CPU), {"a": torch.ones(()), "b": torch.ones(())}
    names, values = row(report)
    for number in (1.0, 2.0):
        values.fill_(number)
        tally.add_row(names, values, 0)
    values.fill_(100)
    assert tally.take_means() == {"a": 1.5, "b": 1.5}


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_the_first_step_whose_loss_is_not_finite_is_named(broken: float) -> None:
    tally = Tally(CPU)
    for images_shown, number in [(0, 1.0), (16, broken), (32, broken)]:
        tally.add(tensors({"scores/real": 1.0, "loss/generator": number}), images_shown)
    with pytest.raises(NonFinite, match="loss/generator is not finite in the step that began at 16 images shown"):
        tally.check_finite()


def test_what_is_no_loss_may_be_anything() -> None:
    tally = Tally(CPU)
    tally.add(tensors({"loss/generator": 1.0, "scores/real": math.inf, "scores/fake": -math.inf}), 0)
    tally.add(tensors({"loss/generator": 3e38, "loss/discriminator": 3e38}), 16)  # whose sum is not to be had
    tally.check_finite()


def test_a_report_of_nothing_counts_nothing() -> None:
    tally = Tally(CPU)
    tally.add({}, 0)
    assert tally.take_means() == {}
