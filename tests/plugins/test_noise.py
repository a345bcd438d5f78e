from __future__ import annotations

import pytest
import torch

from ganlab_layers.components import MultiplicativeNoise

from .networks import normal


def ratio(component: MultiplicativeNoise, noise: torch.Tensor, strength: float | None = None) -> torch.Tensor:
    x = 1 + normal(*noise.shape, 2, 2, seed=5).abs()
    module = component.build(noise.shape[1])
    assert module.draws_noise
    assert module.out_channels == noise.shape[1]
    return module(x, noise, None if strength is None else torch.tensor(strength)) / x


def test_prop_has_mean_one_and_a_spread_of_strength_times_root_channels() -> None:
    factors = ratio(MultiplicativeNoise(), normal(2000, 16), 0.05)
    assert factors.mean().item() == pytest.approx(1, abs=0.01)
    assert factors.std().item() == pytest.approx(0.05 * 4, rel=0.05)
    assert (factors.amax((2, 3)) - factors.amin((2, 3))).max() < 1e-5, "one draw per sample and channel"


def test_drop_zeroes_with_probability_strength_and_keeps_the_mean() -> None:
    factors = ratio(MultiplicativeNoise(mode="drop"), normal(2000, 16), 0.3)[:, :, 0, 0]
    torch.testing.assert_close(factors[factors != 0], torch.full_like(factors[factors != 0], 1 / 0.7))
    assert (factors == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_mul_is_a_power_of_one_plus_strength() -> None:
    noise = normal(5, 3)
    torch.testing.assert_close(ratio(MultiplicativeNoise(mode="mul"), noise, 0.2)[:, :, 0, 0], 1.2**noise)


def test_own_strength_is_used_until_one_is_given() -> None:
    noise = normal(5, 3)
    torch.testing.assert_close(
        ratio(MultiplicativeNoise(strength=0.1), noise), ratio(MultiplicativeNoise(), noise, strength=0.1)
    )


@pytest.mark.parametrize("mode", ["prop", "mul", "drop"])
def test_strength_zero_does_nothing(mode: str) -> None:
    torch.testing.assert_close(ratio(MultiplicativeNoise(mode=mode), normal(4, 3)), torch.ones(4, 3, 2, 2))


@pytest.mark.parametrize("mode", ["prop", "mul", "drop"])
def test_normalized_noise_has_root_mean_square_one_per_sample(mode: str) -> None:
    factors = ratio(MultiplicativeNoise(mode=mode, normalize=True), normal(6, 32), 0.2)[:, :, 0, 0]
    torch.testing.assert_close(factors.square().mean(1), torch.ones(6))


def test_axes_samples_gives_each_sample_one_factor() -> None:
    factors = ratio(MultiplicativeNoise(axes="samples"), normal(6, 8), 0.1)[:, :, 0, 0]
    torch.testing.assert_close(factors, factors[:, :1].expand(-1, 8))
    assert factors[:, 0].unique().numel() == 6
