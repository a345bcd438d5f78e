"""BEGAN: its networks are continuous where they grow, and its loss holds the two errors in proportion."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, DiscriminatorPass, GeneratorPass, Stage
from ganlab.recipe import load_recipe
from ganlab_began.components import Began, BeganDiscriminator, BeganGenerator
from ganlab_layers.resampling import downscale, upscale
from ganlab_normalizations.scaling_components import NoScaling

from ..train.tiny import assert_equal_runs, journal_without_times, tiny, train_all, train_in_pieces
from .networks import build, normal
from .passes import generated, scored

RECIPES = Path(__file__).parents[2] / "recipes"


def generator(**changes: Any) -> BeganGenerator:
    settings: dict[str, Any] = {"features": 6, "smallest": 4, "latent_size": 5, "weight_scaling": NoScaling()}
    return BeganGenerator(**(settings | changes))


def discriminator(**changes: Any) -> BeganDiscriminator:
    settings: dict[str, Any] = {"features": 6, "smallest": 4, "code_size": 5, "weight_scaling": NoScaling()}
    return BeganDiscriminator(**(settings | changes))


def stage(resolution: int) -> Stage:
    return Stage(resolution, 1.0, 16, 1e-4, 1e-4, 1000)


# -- networks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [4, 8, 16])
@pytest.mark.parametrize("skip", [False, True])
def test_images_of_every_level_are_made_and_judged(resolution: int, skip: bool) -> None:
    g, d = build(generator(skip=skip)), build(discriminator(skip=skip))
    fade = torch.tensor(0.5)
    images = g(normal(3, 5), resolution=resolution, fade=fade)
    assert images.shape == (3, 3, resolution, resolution)
    critique = d(images, fade=fade)
    assert critique.scores.shape == (3,)
    assert critique.label_logits is None
    assert list(d.noise_channels(resolution)) == []


def test_a_score_is_the_mean_error_of_the_reconstruction_alone() -> None:
    images = normal(4, 3, 16, 16)
    for power in (1, 2):
        d = build(discriminator(error_power=power))
        errors = (images - d.reconstruct(images)).abs() ** power
        torch.testing.assert_close(d(images).scores, errors.mean((1, 2, 3)))
        torch.testing.assert_close(d(images[2:3]).scores, d(images).scores[2:3])


def test_a_level_fades_in_from_exactly_what_was_there() -> None:
    g, d = build(generator(skip=True)), build(discriminator(skip=True))
    zero, latents = torch.tensor(0.0), normal(4, 5)
    images = g(latents, resolution=16, fade=zero)
    torch.testing.assert_close(images, upscale(g(latents, resolution=8)))
    torch.testing.assert_close(d(images, fade=zero).scores, d(downscale(images)).scores)
    reals = normal(4, 3, 16, 16)
    faded = upscale(downscale(reals))  # what the data are at weight 0
    torch.testing.assert_close(d(faded, fade=zero).scores, d(downscale(reals)).scores)


def test_at_weight_1_a_level_is_alone() -> None:
    g, d = build(generator()), build(discriminator())
    one, images = torch.tensor(1.0), normal(4, 3, 16, 16)
    torch.testing.assert_close(g(normal(4, 5), resolution=16, fade=one), g(normal(4, 5), resolution=16))
    torch.testing.assert_close(d(images, fade=one).scores, d(images).scores)


def test_without_the_output_fade_a_new_level_starts_with_an_error_of_its_own() -> None:
    kept, jumping = build(discriminator()), build(discriminator(fade_output=False))
    jumping.load_state_dict(kept.state_dict())
    zero, small = torch.tensor(0.0), normal(4, 3, 8, 8)
    images = upscale(small)
    torch.testing.assert_close(kept(images, fade=zero).scores, kept(small).scores)
    assert (jumping(images, fade=zero).scores - kept(small).scores).abs().min() > 1e-3
    torch.testing.assert_close(jumping(images).scores, kept(images).scores)


def test_the_smallest_level_has_nothing_to_fade_from() -> None:
    """A compiled step hands in a fade at every level but 4x4."""
    g, d = build(generator(smallest=8)), build(discriminator(smallest=8))
    half = torch.tensor(0.5)
    images = g(normal(2, 5), resolution=8, fade=half)
    torch.testing.assert_close(images, g(normal(2, 5), resolution=8))
    torch.testing.assert_close(d(images, fade=half).scores, d(images).scores)


def test_latents_become_uniform() -> None:
    g = build(generator(latent_size=1))
    seen: list[Tensor] = []
    g.decoder.code.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    points = [-0.9, -0.5, 0.0, 0.25, 0.75]
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(points) / 2 + 0.5)
    g(quantiles[:, None], resolution=4)
    torch.testing.assert_close(seen[0].flatten(), torch.tensor(points))


def test_the_generator_is_the_decoder_with_weights_of_its_own() -> None:
    g, d = build(generator(skip=True)), build(discriminator(skip=True))
    shapes = [{k: v.shape for k, v in network.decoder.state_dict().items()} for network in (g, d)]
    assert shapes[0] == shapes[1]


def test_the_encoder_widens_by_the_features_at_each_halving() -> None:
    encoder = build(discriminator()).encoder
    widths = {name: level[-1].out_channels for name, level in encoder.levels.items()}
    assert widths == {"16x16": 6, "8x8": 12, "4x4": 18}


def test_bfloat16_gives_errors_of_full_precision() -> None:
    g, d = build(generator(), biases=0.0), build(discriminator(), biases=0.0)
    exact = d(g(normal(4, 5), resolution=16)).scores
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = d(g(normal(4, 5), resolution=16)).scores
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.02)


def test_a_gradient_penalty_can_be_differentiated() -> None:
    d = build(discriminator(error_power=2)).double()
    images = normal(2, 3, 8, 8, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(d(images).scores.sum(), images, create_graph=True)
    found = torch.autograd.grad(gradient.square().sum(), d.encoder.code.weight)[0]
    assert torch.isfinite(found).all()
    assert found.abs().max() > 0


def test_runs_and_images_that_do_not_fit_are_refused() -> None:
    for component in (generator(smallest=8), discriminator(smallest=8)):
        component.check_run(resolution=16, stages=[stage(8), stage(16)])
        with pytest.raises(ValueError, match="begin at 8x8, but the run trains 4x4"):
            component.check_run(resolution=16, stages=[stage(4), stage(8)])
        with pytest.raises(GanlabError, match="no labels"):
            build(component, label_size=3)
        with pytest.raises(GanlabError, match="smaller"):
            build(component, resolution=4)
    with pytest.raises(GanlabError, match="begin at 8x8"):
        build(generator(smallest=8))(normal(2, 5), resolution=4)
    with pytest.raises(GanlabError, match="begin at 8x8"):
        build(discriminator(smallest=8))(normal(2, 3, 4, 4))
    with pytest.raises(ValueError, match="power of two"):
        generator(smallest=6)


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_the_losses_and_what_is_reported_are_the_papers() -> None:
    loss = Began(gamma=0.5, k_start=0.25).build()
    batch = scored([0.4, 0.2], [0.1, 0.3])
    value = loss.discriminator(batch)
    assert value.per_sample.tolist() == pytest.approx([0.4 - 0.025, 0.2 - 0.075])
    assert loss.generator(generated(batch)).per_sample.tolist() == pytest.approx([0.1, 0.3])
    report = {name: float(tensor.mean()) for name, tensor in value.report.items()}
    assert report == pytest.approx(
        {
            "scores/real": 0.3,
            "scores/fake": 0.2,
            "began/k": 0.25,
            "began/balance": 0.15 - 0.2,
            "began/convergence": 0.3 + 0.05,
        }
    )


@pytest.mark.parametrize(
    ("real", "fake", "before", "after"),
    [(0.4, 0.1, 0.3, 0.3 + 0.5 * 0.1), (0.4, 0.3, 0.3, 0.3 - 0.5 * 0.1), (0.4, 3.0, 0.3, 0.0), (9.0, 0.0, 0.3, 1.0)],
)
def test_k_follows_the_balance_and_stays_in_its_range(real: float, fake: float, before: float, after: float) -> None:
    loss = Began(gamma=0.5, k_rate=0.5, k_start=before).build()
    value = loss.discriminator(scored([real], [fake]))
    loss.observe(value.per_sample.mean(), {name: tensor.mean() for name, tensor in value.report.items()})
    assert float(loss.k) == pytest.approx(after)
    assert float(value.report["began/k"]) == pytest.approx(before), "the report keeps the k of its own update"
    assert loss.state_dict().keys() == {"k"}


def test_a_rate_of_0_holds_k() -> None:
    loss = Began(k_rate=0.0, k_start=0.7).build()
    loss.observe(torch.tensor(0.0), {"began/balance": torch.tensor(5.0)})
    assert float(loss.k) == pytest.approx(0.7)


def test_the_graph_of_a_loss_outlives_the_next_step_of_k() -> None:
    loss = Began(k_rate=1.0, k_start=0.5).build()
    fake = torch.tensor([0.1], requires_grad=True)
    batch = scored([0.9], [0.0])._replace(fake=Critique(fake, None))
    value = loss.discriminator(batch)
    loss.observe(value.per_sample, value.report)
    value.per_sample.sum().backward()
    assert fake.grad is not None
    assert float(fake.grad) == -0.5


def test_the_discriminator_learns_to_worsen_fakes_only_through_k() -> None:
    d = build(discriminator())
    reals, fakes = normal(4, 3, 16, 16, seed=1), normal(4, 3, 16, 16, seed=2)

    def gradient(k: float, fakes: Tensor) -> Tensor:
        critic = lambda images, draw: d(images)  # noqa: E731 - short, and used once
        batch = DiscriminatorPass(critic, reals, fakes, d(reals), d(fakes), torch.zeros(4, 1, 1, 1), None, None)
        loss = Began(k_start=k).build().discriminator(batch).per_sample.mean()
        return torch.autograd.grad(loss, d.encoder.code.weight)[0]

    assert torch.equal(gradient(0.0, fakes), gradient(0.0, fakes.flip(0) * 2))
    assert not torch.allclose(gradient(0.5, fakes), gradient(0.5, fakes.flip(0) * 2))


def test_the_generator_is_pulled_towards_what_can_be_reconstructed() -> None:
    d = build(discriminator())
    fakes = normal(2, 3, 16, 16).requires_grad_()
    critic = lambda images, draw: d(images)  # noqa: E731 - short, and used once
    value = Began().build().generator(GeneratorPass(critic, fakes, d(fakes), None, fakes.detach()))
    (found,) = torch.autograd.grad(value.per_sample.mean(), fakes)
    with torch.no_grad():
        step = 1e-2 * found / found.norm()
        assert d(fakes - step).scores.mean() < d(fakes).scores.mean()


def test_recipes_say_what_the_page_says() -> None:
    for name in ("began", "began-growing"):
        for scale in ((), ("scale=paper",)):
            recipe = load_recipe(RECIPES / f"{name}.toml", scale).recipe
            assert isinstance(recipe.loss, Began)
            assert isinstance(recipe.generator, BeganGenerator)
            assert recipe.generator.latent_size == recipe.discriminator.code_size  # type: ignore[attr-defined]  # ours
            assert math.isclose(recipe.loss.k_start, 0.0)


def test_a_run_in_pieces_equals_one_without_a_stop(tmp_path: Path) -> None:
    small = (
        "run.images=200",
        "generator={name='began-generator', features=4, repeats=1, latent_size=4, skip=true}",
        "discriminator={name='began-discriminator', features=4, repeats=1, code_size=4, skip=true}",
        "loss={name='began', k_rate=0.5, k_start=0.5}",
        "updates.together=true",
    )
    whole = train_all(tiny(tmp_path / "whole", *small), tmp_path / "whole" / "run")
    pieces = train_in_pieces(tiny(tmp_path / "pieces", *small), tmp_path / "pieces" / "run", [88, 168])
    assert_equal_runs(whole, pieces)
    assert len({line["values"]["began/k"] for line in journal_without_times(whole)}) > 1, "k has moved"
