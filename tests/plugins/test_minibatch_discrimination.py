from __future__ import annotations

import pytest
import torch

from ganlab_layers.components import MinibatchDiscrimination

from .networks import discriminator, initialize, normal


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
    from .networks import build

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
