from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import GanlabError
from ganlab_layers.components import MinibatchStddev

from .networks import normal

AVERAGINGS = ("all", "spatial", "gpool", "flat", "none", "group2")


def plain_loop(x: torch.Tensor, group_size: int, *, strided: bool, correction: int) -> list[float]:
    """Averaging "all", value by value."""
    count = len(x)
    group = min(group_size, count) if group_size else count
    groups = count // group
    result = []
    for sample in range(count):
        own = sample % groups if strided else sample // group
        members = [i for i in range(count) if (i % groups if strided else i // group) == own]
        deviations = []
        for position in range(x[0].numel()):
            values = [x[i].flatten()[position].item() for i in members]
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / max(len(values) - correction, 1)
            deviations.append(math.sqrt(variance + 1e-8))
        result.append(sum(deviations) / len(deviations))
    return result


@pytest.mark.parametrize("grouping", ["strided", "consecutive"])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("count", "group_size"), [(6, 3), (6, 2), (8, 4), (3, 4), (5, 0), (1, 4), (4, 1)])
def test_groups_are_those_of_a_plain_loop(count: int, group_size: int, unbiased: bool, grouping: str) -> None:
    x = normal(count, 3, 2, 2)
    module = MinibatchStddev(group_size=group_size, unbiased=unbiased, grouping=grouping).build(3)
    expected = plain_loop(x, group_size, strided=grouping == "strided", correction=int(unbiased))
    output = module(x)
    assert output.shape == (count, 4, 2, 2) == (count, module.out_channels, 2, 2)
    torch.testing.assert_close(output[:, :3], x)
    torch.testing.assert_close(output[:, 3, 1, 0], torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_a_minibatch_that_does_not_divide_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"minibatch of 6 .* groups of 4.*group_size = 0") as caught:
        MinibatchStddev(group_size=4).build(3)(normal(6, 3, 4, 4))
    assert isinstance(caught.value, GanlabError), "a person can put it right"


@pytest.mark.parametrize("text", ["group", "group0", "groups2", "group-1", "mean", ""])
def test_unknown_averagings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not one of all, spatial"):
        MinibatchStddev(averaging=text)


def test_blocks_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="multiple of 3 channels; there are 4"):
        MinibatchStddev(averaging="group3").build(4)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    groups=st.integers(1, 3),
    group=st.integers(1, 4),
    averaging=st.sampled_from(AVERAGINGS),
    pixels=st.booleans(),
    shift=st.floats(-5, 5),
)
def test_invariances(seed: int, groups: int, group: int, averaging: str, pixels: bool, shift: float) -> None:
    x = normal(groups * group, 4, *((2, 2) if pixels else ()), seed=seed, dtype=torch.float64)
    module = MinibatchStddev(averaging=averaging, group_size=group, epsilon=0.0).build(4)
    statistics = module.statistics(x)
    assert module(x).shape[1] == module.out_channels
    # Samples of a group see the same, in whatever order they stand in it.
    rolled = torch.roll(x.reshape(group, groups, *x.shape[1:]), 1, 0).reshape(x.shape)
    torch.testing.assert_close(module.statistics(rolled), statistics)
    torch.testing.assert_close(statistics[:groups], statistics[-groups:])
    # A deviation does not move with the values, and grows with them.
    torch.testing.assert_close(module.statistics(x + shift), statistics, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(module.statistics(x * 3), statistics * 3)


def test_identical_samples_have_no_deviation_and_finite_gradients() -> None:
    x = normal(1, 3, 2, 2).repeat(4, 1, 1, 1).requires_grad_()
    module = MinibatchStddev(epsilon=0.0).build(3)
    statistics = module.statistics(x)
    (gradient,) = torch.autograd.grad(statistics.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum() + statistics.sum(), x)
    assert (statistics == 0).all()
    assert torch.isfinite(gradient).all()
    assert torch.isfinite(second).all()


@pytest.mark.parametrize("averaging", AVERAGINGS)
def test_gradients_are_right_to_second_order(averaging: str) -> None:
    module = MinibatchStddev(averaging=averaging, group_size=2).build(2)
    x = normal(4, 2, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))
    assert torch.autograd.gradgradcheck(module, (x,))


def test_half_precision_activations_are_summed_in_float32() -> None:
    x = (100 + normal(8, 4, 4, 4)).bfloat16()
    module = MinibatchStddev().build(4)
    assert module(x).dtype == torch.bfloat16
    torch.testing.assert_close(module.statistics(x), module.statistics(x.float()))
