from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganlab_layers.components import MinibatchDiscrimination

from ..train.tiny import assert_equal_runs, tiny, train_all, train_in_pieces
from .networks import build, discriminator, initialize, normal


def module(channels: int = 6, kernels: int = 4) -> torch.nn.Module:
    return initialize(MinibatchDiscrimination(kernels=kernels, dim_per_kernel=3).build(channels))


def test_features_are_those_of_a_plain_loop() -> None:
    layer, x = module(), normal(5, 6)
    with torch.no_grad():
        layer.log_weight_scale.normal_(generator=torch.Generator().manual_seed(1))
    weight = layer.theta / layer.theta.square().sum(0).sqrt() * layer.log_weight_scale.exp()
    for i in range(5):
        for kernel in range(4):
            value = layer.bias[kernel].item()
            for j in range(5):
                if i != j:
                    value += (-((x[i] - x[j]) @ weight[:, kernel]).abs().sum()).exp().item()
            assert layer(x)[i, 6 + kernel].item() == pytest.approx(value, rel=1e-4)


def test_features_do_not_depend_on_the_order_of_the_others() -> None:
    layer, x = module(), normal(5, 6)
    order = torch.tensor([0, 3, 1, 4, 2])
    torch.testing.assert_close(layer(x[order])[0], layer(x)[0])


def test_maps_get_constant_maps_as_minibatch_stddev_gives_them() -> None:
    layer, x = module(), normal(5, 6, 4, 4)
    output = layer(x)
    assert output.shape == (5, layer.out_channels, 4, 4) == (5, 10, 4, 4)
    torch.testing.assert_close(output[:, 6:, 0, 0], layer(x.mean((2, 3)))[:, 6:])
    assert (output[:, 6:] == output[:, 6:, :1, :1]).all()


def test_the_start_from_data_centres_the_features() -> None:
    layer, x = module(), normal(64, 6)
    layer.start_from(x)
    features = layer(x)[:, 6:]
    torch.testing.assert_close(features.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    assert (features.std(0) > 0.01).all()
    nearest = layer.distances(x).amin(1).mean(0)
    torch.testing.assert_close(nearest, torch.full((4,), 2.0))


def test_a_discriminator_starts_its_layers_from_a_first_minibatch() -> None:
    network = build(discriminator(discrimination=MinibatchDiscrimination(kernels=4)), resolution=8)
    before = network.state_dict()["blocks.4x4.discrimination.bias"].clone()
    network.start_from(normal(16, 3, 4, 4))
    after = {name: value for name, value in network.state_dict().items() if "discrimination" in name}
    assert not torch.equal(before, after["blocks.4x4.discrimination.bias"])
    network.start_from(normal(16, 3, 4, 4))
    scaled = network.state_dict()["blocks.4x4.discrimination.log_weight_scale"]
    torch.testing.assert_close(scaled, after["blocks.4x4.discrimination.log_weight_scale"])
    assert all(not m._forward_pre_hooks for m in network.modules())


def test_gradients_are_finite_to_second_order() -> None:
    layer, x = module(), normal(5, 6).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert torch.isfinite(layer.theta.grad).all()
    assert layer.theta.grad.abs().max() > 0


def test_a_start_from_equal_samples_leaves_the_scale_and_stays_finite() -> None:
    layer = module()
    layer.start_from(torch.ones(8, 6))
    assert torch.equal(layer.log_weight_scale, torch.zeros(4, 3))
    output = layer(torch.ones(8, 6))
    torch.testing.assert_close(output[:, 6:], torch.zeros(8, 4))


class Halves:
    """An exchange between two ranks that has both ranks' samples, for looking at one of them."""

    def __init__(self, whole: Tensor, rank: int) -> None:
        self.whole, self.rows = whole, slice(0, len(whole) // 2) if rank == 0 else slice(len(whole) // 2, None)

    def gather(self, x: Tensor) -> Tensor:
        assert torch.equal(x, self.whole[self.rows])
        return self.whole

    def own(self, whole: Tensor) -> Tensor:
        return whole[self.rows]


def test_ranks_count_the_samples_of_all() -> None:
    layer, x = module(), normal(6, 6)
    whole = layer(x)
    for rank, part in enumerate(x.chunk(2)):
        layer.exchange = Halves(x, rank)
        torch.testing.assert_close(layer(part), whole.chunk(2)[rank])
    layer.exchange = None
    assert not torch.allclose(layer(x[:3]), whole[:3], atol=1e-3)


def test_in_the_slot_of_stddev_reals_and_fakes_are_compared_each_among_themselves() -> None:
    network = build(discriminator(stddev=MinibatchDiscrimination(kernels=4)), resolution=8)
    reals, fakes = normal(5, 3, 8, 8), normal(5, 3, 8, 8, seed=1)
    assert network.joins_passes
    together = network(torch.cat([reals, fakes]), passes=2).scores
    apart = torch.cat([network(reals).scores, network(fakes).scores])
    torch.testing.assert_close(together, apart)
    assert not torch.allclose(network(torch.cat([reals, fakes])).scores, apart, atol=1e-4)


def test_in_the_slot_of_stddev_it_trains_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.images=260", "discriminator.stddev={name='minibatch-discrimination', kernels=5}")
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [90, 180]))
