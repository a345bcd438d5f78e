"""The averaged generator follows the generator: parameters are averaged, everything else is copied."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganlab.train.average import average_


def network(seed: int) -> nn.Module:
    """A network with parameters, buffers of two types, and a parameter that is not trained."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    module.register_parameter("scale", nn.Parameter(torch.randn(2), requires_grad=False))
    module(torch.randn(5, 4))
    return module


def test_parameters_move_by_the_formula_and_the_rest_is_copied() -> None:
    averaged, source = network(0), network(1)
    before = copy.deepcopy(averaged)
    average_(averaged, source, 0.9)
    start, goal = dict(before.named_parameters()), dict(source.named_parameters())
    for name, value in averaged.named_parameters():
        expected = goal[name] + (start[name] - goal[name]) * 0.9 if goal[name].requires_grad else goal[name]
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-7)
    for name, value in averaged.named_buffers():
        assert torch.equal(value, source.get_buffer(name))
    assert not torch.equal(averaged.get_parameter("0.weight"), source.get_parameter("0.weight"))


def test_an_average_that_is_not_trained_itself_is_averaged_all_the_same() -> None:
    averaged, source = network(0).requires_grad_(False), network(1)
    twin = copy.deepcopy(averaged).requires_grad_(True)
    average_(averaged, source, 0.5)
    average_(twin, source, 0.5)
    for a, b in zip(averaged.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad


@pytest.mark.parametrize(("beta", "like"), [(0.0, "source"), (1.0, "averaged")])
def test_the_ends_are_exact(beta: float, like: str) -> None:
    networks = {"averaged": network(0), "source": network(1)}
    expected = copy.deepcopy(networks[like]).get_parameter("0.weight")
    average_(networks["averaged"], networks["source"], beta)
    assert torch.equal(networks["averaged"].get_parameter("0.weight"), expected)


def test_the_source_is_left_alone_and_tensors_stay_where_they_are() -> None:
    averaged, source = network(0), network(1)
    untouched = copy.deepcopy(source.state_dict())
    places = [tensor.data_ptr() for tensor in averaged.state_dict().values()]
    average_(averaged, source, 0.999)
    assert [tensor.data_ptr() for tensor in averaged.state_dict().values()] == places
    assert all(torch.equal(value, untouched[name]) for name, value in source.state_dict().items())


def test_equal_inputs_give_equal_bits() -> None:
    results = []
    for _ in range(2):
        averaged, source = network(0), network(1)
        for _ in range(5):
            average_(averaged, source, 0.999)
        results.append(averaged.state_dict())
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_different_networks_and_coefficients_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="different parameters: bias"):
        average_(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.9)
    with pytest.raises(ValueError, match="different buffers"):
        average_(nn.BatchNorm1d(2), nn.BatchNorm1d(2, track_running_stats=False), 0.9)
    with pytest.raises(ValueError, match=r"expected a beta in \[0, 1\]"):
        average_(nn.Linear(2, 2), nn.Linear(2, 2), 1.5)
