"""CycleGAN: the networks, who is shown what, the pool of earlier fakes, two sets side by side, and whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganlab import load_recipe
from ganlab.errors import DataError, GanlabError, RecipeError
from ganlab.interfaces import Critique, ImageShape, Match
from ganlab_cyclegan.cycle import Translators
from ganlab_cyclegan.domains import TwoSets
from ganlab_cyclegan.networks import CycleTranslator, GrowingTranslator, PatchDiscriminator
from ganlab_cyclegan.pool import Pool
from ganlab_cyclegan.recoloured import Recoloured, recolour
from ganlab_cyclegan.system import Cycle
from ganlab_cyclegan.translation import TranslationError
from ganlab_datasets.first import First
from ganlab_datasets.pixel_faces import PixelFaces
from ganlab_datasets.synthetic import Synthetic
from ganlab_layers.resampling import downscale, upscale
from ganlab_losses.classification import Hinge, NonSaturating
from ganlab_losses.least_squares import Lsgan
from ganlab_losses.regularizers import R1
from ganlab_losses.wasserstein import WganGp
from ganlab_normalizations.components import Instance, NoNormalization
from ganlab_normalizations.scaling_components import Equalized

from ..train.tiny import RECIPES, assert_equal_runs, train_all, train_in_pieces
from .networks import build, normal
from .passes import discriminator_pass, generated

SHAPE = ImageShape(channels=3, resolution=16)
NO_LATENTS = torch.empty(2, 0)


def translator(**changes: Any) -> CycleTranslator:
    settings: dict[str, Any] = {"features": 4, "halvings": 1, "blocks": 1, "normalization": Instance()}
    return CycleTranslator(**(settings | changes))


def patches(**changes: Any) -> PatchDiscriminator:
    settings: dict[str, Any] = {"features": 4, "halvings": 1, "normalization": Instance()}
    return PatchDiscriminator(**(settings | changes))


def growing(**changes: Any) -> GrowingTranslator:
    settings: dict[str, Any] = {"core_resolution": 4, "features": 8, "least_features": 4, "blocks": 1}
    return GrowingTranslator(**(settings | {"normalization": Instance(), "weight_scaling": Equalized()} | changes))


# -- networks ----------------------------------------------------------------------------------------------------------


def test_the_paper_translator_has_the_layers_of_the_paper() -> None:
    network = CycleTranslator(normalization=Instance()).build(ImageShape(channels=3, resolution=256))
    shapes = [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]
    edges = [(64, 3, 7, 7), (128, 64, 3, 3), (256, 128, 3, 3)], [(256, 128, 3, 3), (128, 64, 3, 3), (3, 64, 7, 7)]
    assert shapes == edges[0] + [(256, 256, 3, 3)] * 18 + edges[1]
    judge = PatchDiscriminator(normalization=Instance()).build(ImageShape(channels=3, resolution=256))
    widths = [p.shape[0] for name, p in judge.named_parameters() if name.endswith("weight")]
    assert widths == [64, 128, 256, 512, 1]
    assert judge(torch.zeros(1, 3, 256, 256)).scores.shape == (1, 30 * 30)


def test_translations_have_the_size_of_their_images() -> None:
    for halvings in (0, 1, 2):
        network = build(translator(halvings=halvings))
        images = normal(2, 3, 16, 16)
        made = network(images)
        assert made.shape == images.shape
        assert made.abs().max() < 1
        torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), made)


@pytest.mark.parametrize(("halvings", "size"), [(1, 16), (2, 34), (3, 70)])
def test_a_score_is_of_a_patch(halvings: int, size: int) -> None:
    network = build(patches(halvings=halvings, features=2, normalization=NoNormalization()), resolution=128)
    images = normal(1, 3, 128, 128).requires_grad_()
    scores = network(images).scores
    row = patches(halvings=halvings).patches(128)
    assert scores.shape == (1, row**2)
    (gradient,) = torch.autograd.grad(scores.reshape(row, row)[row // 2, row // 2], images)
    touched = gradient[0].abs().sum(0) > 0
    assert (int(touched.any(0).sum()), int(touched.any(1).sum())) == (size, size)


def test_what_does_not_fit_a_run_is_told() -> None:
    with pytest.raises(ValueError, match=r"^halvings: 4 leave less than 2x2 of 16x16; 3 at most"):
        translator(halvings=4).check_run(resolution=16, stages=())
    translator(halvings=3).check_run(resolution=16, stages=())
    with pytest.raises(ValueError, match=r"^halvings: 3 leave no patch of 16x16"):
        patches(halvings=3).check_run(resolution=16, stages=())
    with pytest.raises(ValueError, match=r"^core_resolution: 32 is more than the 16x16"):
        growing(core_resolution=32).check_run(resolution=16, stages=())
    for component in (translator(), patches(), growing()):
        with pytest.raises(GanlabError, match="no labels"):
            build(component, label_size=2)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_a_level_fades_in_from_the_one_below(resolution: int, skips: bool) -> None:
    network = build(growing(skips=skips), resolution=32)
    images = normal(2, 3, resolution, resolution)
    at = {fade: network(images, fade=torch.tensor(fade)) for fade in (0.0, 0.5, 1.0)}
    torch.testing.assert_close(at[0.0], upscale(network(downscale(images))))
    torch.testing.assert_close(at[1.0], network(images))
    assert not torch.allclose(at[0.5], at[0.0])
    assert at[0.5].shape == images.shape
    assert network(images[:, :, :4, :4], fade=torch.tensor(0.5)).shape == (2, 3, 4, 4)


def test_the_core_of_a_growing_translator_is_its_first_level() -> None:
    network = build(growing(core_resolution=8), resolution=32)
    with pytest.raises(GanlabError, match="no level of 4x4"):
        network(normal(1, 3, 4, 4))
    assert [growing(core_resolution=8, features=64, least_features=16).width(r) for r in (8, 16, 32, 64)] == [
        64, 32, 16, 16
    ]  # fmt: skip


@pytest.mark.parametrize("component", [translator(), patches(), growing()], ids=["translator", "patches", "growing"])
def test_networks_work_in_half_precision_and_twice_differentiated(component: Any) -> None:
    network = build(component)
    images = normal(2, 3, 16, 16)

    def total(x: Tensor) -> Tensor:
        made = network(x)
        return (made.scores if isinstance(made, Critique) else made).square().sum()

    gradient = torch.autograd.grad(total(images.requires_grad_()), images, create_graph=True)[0]
    second = torch.autograd.grad(gradient.square().sum(), list(network.parameters()), materialize_grads=True)
    assert all(torch.isfinite(values).all() for values in second)
    full = network(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = network(images)
    for one, other in zip(full if isinstance(full, tuple) else [full], half if isinstance(half, tuple) else [half],
                          strict=True):  # fmt: skip
        if one is not None:
            assert other.dtype == torch.float32
            assert (one - other).abs().mean() < 0.1 * one.abs().mean() + 0.02


# -- who is shown what -------------------------------------------------------------------------------------------------


class Plus(nn.Module):
    """A translator that only adds."""

    def __init__(self, what: float) -> None:
        super().__init__()
        self.what = nn.Parameter(torch.tensor(what))

    def forward(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        return images + self.what


def test_each_critic_sees_its_set_and_what_was_made_for_it() -> None:
    system, reals = Cycle(identity_weight=3.0).build(SHAPE), normal(2, 6, 16, 16)
    a, b = reals[:, :3], reals[:, 3:]
    both = Translators(Plus(0.5), Plus(-0.25))
    play = system.play(both, NO_LATENTS, None, reals, resolution=16, fade=None, learning=True)
    assert list(play.matches) == list(system.pairs) == ["a", "b"]
    for match, real, made_of, change in ((play.matches["a"], a, b, -0.25), (play.matches["b"], b, a, 0.5)):
        assert torch.equal(match.reals, real)
        torch.testing.assert_close(match.fakes, made_of + change)
    expected = {"cycle/a": 0.25, "cycle/b": 0.25, "identity/a": 0.25, "identity/b": 0.5}
    assert play.terms is not None
    for name, value in expected.items():
        torch.testing.assert_close(play.terms.report[name], torch.full((2,), value))
    torch.testing.assert_close(play.terms.per_sample, torch.full((2,), 10 * 0.5 + 3 * 0.75))
    assert play.terms.per_sample.requires_grad
    assert system.play(both, NO_LATENTS, None, reals, resolution=16, fade=None, learning=False).terms is None
    torch.testing.assert_close(system.sample(both, NO_LATENTS, None, reals, resolution=16, fade=None), a + 0.5)
    shown = system.show(both, NO_LATENTS, None, reals, resolution=16, fade=None)
    torch.testing.assert_close(shown, torch.stack([a, a + 0.5, a + 0.25, b, b - 0.25, b + 0.25], 1))


def test_without_identity_nothing_but_the_cycle_is_asked_for() -> None:
    system = Cycle(cycle_weight=4.0).build(SHAPE)
    both, reals = Translators(Plus(1.0), Plus(0.0)), normal(2, 6, 16, 16)
    play = system.play(both, NO_LATENTS, None, reals, resolution=16, fade=None, learning=True)
    assert play.terms is not None
    assert set(play.terms.report) == {"cycle/a", "cycle/b"}
    torch.testing.assert_close(play.terms.per_sample, torch.full((2,), 8.0))


def test_labels_and_latents_are_refused() -> None:
    with pytest.raises(GanlabError, match="no labels"):
        Cycle().build(ImageShape(3, 16, label_size=2))

    class WithLatents:
        role: Literal["translator"] = "translator"

        def build(self, images: ImageShape) -> nn.Module:
            network = Plus(0.0)
            network.latent_size = 8  # type: ignore[assignment]  # what the contract asks for
            return network

    with pytest.raises(GanlabError, match="draws no latents"):
        Cycle().build(SHAPE).generators(WithLatents())


# -- the pool ----------------------------------------------------------------------------------------------------------


def test_the_pool_is_that_of_a_plain_list() -> None:
    draws = np.random.default_rng(0)
    pool, kept = Pool(3, (1, 2, 2)), list[float]()
    for minibatch in range(8):
        fakes = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 2, 2) + 10 * minibatch
        uniform = torch.from_numpy(draws.random((4, 2), dtype=np.float32))
        expected = []
        for number, (chance, place) in enumerate(uniform.tolist()):
            value = float(fakes[number, 0, 0, 0])
            if len(kept) < 3:
                kept.append(value)
                expected.append(value)
            elif chance >= 0.5:
                expected.append(kept[int(place * 3)])
                kept[int(place * 3)] = value
            else:
                expected.append(value)
        assert pool(fakes, uniform)[:, 0, 1, 1].tolist() == expected
    assert pool.kept[:, 0, 0, 0].tolist() == kept
    assert len(set(kept)) == 3


def test_what_a_coarser_level_left_is_what_its_branch_would_show() -> None:
    pool = Pool(2, (3, 16, 16))
    shapes = {name: value.shape for name, value in pool.state_dict().items()}
    always = torch.full((2, 2), 0.75)
    coarse, fine = normal(2, 3, 4, 4), normal(2, 3, 8, 8, seed=1)
    assert torch.equal(pool(coarse, always), coarse)
    again = pool(normal(1, 3, 4, 4, seed=2), torch.tensor([[0.75, 0.0]]))
    assert torch.equal(again, coarse[:1]), "exactly as it was kept"
    assert torch.equal(pool(fine[:1], torch.tensor([[0.75, 0.75]])), upscale(coarse[1:]))
    assert {name: value.shape for name, value in pool.state_dict().items()} == shapes


def test_both_critics_have_pools_and_their_own_draws() -> None:
    system = Cycle(pool_size=1).build(SHAPE)
    assert system.chances == 4
    old = {pair: Match(torch.zeros(1, 3, 16, 16), normal(1, 3, 16, 16, seed=n)) for n, pair in enumerate("ab")}
    new = {pair: Match(torch.ones(1, 3, 16, 16), normal(1, 3, 16, 16, seed=n + 5)) for n, pair in enumerate("ab")}
    system.remember(old, torch.zeros(1, 4))
    shown = system.remember(new, torch.tensor([[0.9, 0.0, 0.1, 0.0]]))
    assert torch.equal(shown["a"].fakes, old["a"].fakes)
    assert torch.equal(shown["b"].fakes, new["b"].fakes)
    assert torch.equal(shown["a"].reals, new["a"].reals)
    without = Cycle(pool_size=0).build(SHAPE)
    assert without.chances == 0
    assert not without.state_dict()


# -- scores of patches -------------------------------------------------------------------------------------------------


class PatchCritic(nn.Module):
    """Nine scores for an image, or their mean."""

    def __init__(self, *, averaged: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, 2, bias=False).double()
        nn.init.normal_(self.convolution.weight, generator=torch.Generator().manual_seed(0))
        self.averaged = averaged

    def forward(self, images: Tensor, draw: str) -> Critique:
        scores = self.convolution(images.sin()).flatten(1)
        return Critique(scores.mean(1) if self.averaged else scores, None)


@pytest.mark.parametrize(
    "loss", [Lsgan(), NonSaturating(), Hinge(), WganGp(drift=0.5)], ids=lambda it: type(it).__name__
)
def test_losses_are_means_over_images_and_patches(loss: Any) -> None:
    batch = discriminator_pass(PatchCritic(averaged=False))
    assert batch.real.scores.shape == (4, 9)
    columns = [
        batch._replace(
            real=Critique(batch.real.scores[:, k], None),
            fake=Critique(batch.fake.scores[:, k], None),
            critic=PatchCritic(averaged=True),
        )
        for k in range(9)
    ]
    expected = torch.stack([loss.build().discriminator(each).per_sample.mean() for each in columns]).mean()
    torch.testing.assert_close(loss.build().discriminator(batch).per_sample.mean(), expected)
    fakes = torch.stack([loss.build().generator(generated(each)).per_sample.mean() for each in columns]).mean()
    torch.testing.assert_close(loss.build().generator(generated(batch)).per_sample.mean(), fakes)


def test_penalties_take_the_gradient_of_the_mean_score() -> None:
    patchwise, averaged = (discriminator_pass(PatchCritic(averaged=it)) for it in (False, True))
    for penalty in (R1(gamma=2.0).build(), WganGp(drift=0.0).build()):
        values = [penalty.discriminator(batch) for batch in (patchwise, averaged)]
        torch.testing.assert_close(*(value.per_sample for value in values))


# -- data --------------------------------------------------------------------------------------------------------------


def test_halves_have_no_image_in_common_and_make_up_the_whole() -> None:
    whole = PixelFaces().build()
    first, second = (Recoloured(source=PixelFaces(), part=part).build() for part in ("first-half", "second-half"))
    assert (first.count, second.count) == (2000, 2000)
    assert np.array_equal(first.images(8, [0, 1999]), whole.images(8, [0, 1999]))
    assert np.array_equal(second.images(8, [0, 1999]), whole.images(8, [2000, 3999]))
    assert len({first.digest, second.digest, whole.digest}) == 3
    with pytest.raises(DataError, match="has samples 0 to 1999"):
        first.images(8, [2000])
    labelled = Recoloured(source=Synthetic(count=10, classes=3), part="second-half").build()
    assert labelled.labels([0]).argmax() == 5 % 3


def test_colours_change_by_functions_of_the_pixel() -> None:
    red = np.array([200, 100, 0], np.uint8).reshape(1, 3, 1, 1)
    assert recolour(red, "rotated").ravel().tolist() == [0, 200, 100]
    assert recolour(red, "negative").ravel().tolist() == [55, 155, 255]
    assert recolour(red, "grey").ravel().tolist() == [round(0.299 * 200 + 0.587 * 100)] * 3
    assert recolour(red, "unchanged").ravel().tolist() == [200, 100, 0]
    white = np.full((1, 3, 2, 2), 255, np.uint8)
    assert np.array_equal(recolour(white, "grey"), white)
    with pytest.raises(DataError, match="needs RGB"):
        Recoloured(source=Synthetic(channels=1), colours="rotated").build()


def test_two_sets_stand_for_the_second() -> None:
    a, b = Synthetic(count=5), Synthetic(count=7)
    both = TwoSets(a=a, b=b).build()
    assert [domain.count for domain in both.domains] == [5, 7]  # type: ignore[attr-defined]  # that is what it is for
    assert both.count == 7
    assert np.array_equal(both.images(16, [6]), b.build().images(16, [6]))
    assert both.digest != TwoSets(a=b, b=a).build().digest
    assert both.labels([1, 2]).shape == (2, 0)
    assert list(TwoSets(a=PixelFaces(), b=Synthetic()).build().resolutions) == list(PixelFaces().build().resolutions)


def test_sets_that_do_not_go_together_are_told() -> None:
    with pytest.raises(DataError, match=r"a \(synthetic\) have 1 channel, those of b \(pixel-faces\) 3 channels"):
        TwoSets(a=Synthetic(channels=1), b=PixelFaces()).build()
    with pytest.raises(DataError, match=r"b: .* stands for several sets itself"):
        TwoSets(a=PixelFaces(), b=TwoSets(a=PixelFaces(), b=PixelFaces())).build()

    class Coarse:
        def build(self) -> Any:
            images = PixelFaces().build()
            images.resolutions = (2,)
            return images

    with pytest.raises(DataError, match=r"no resolution in common: a \(pixel-faces\) has 2; b"):
        TwoSets(a=Coarse(), b=Synthetic()).build()


def test_the_error_of_a_translation_is_in_levels() -> None:
    metric = TranslationError(truth=Recoloured(source=Synthetic(count=100), colours="negative"), count=80).build()
    images = Synthetic(count=100).build()

    def fakes(off: int) -> Any:
        return lambda start, stop: np.abs(255 - images.images(16, np.arange(start, stop)).astype(int) - off)

    assert metric(None, fakes(0), seed=0) == {"translation-error": 0.0}  # type: ignore[arg-type]  # reals are not asked for
    assert metric(None, fakes(300), seed=0)["translation-error"] == pytest.approx(  # type: ignore[arg-type]  # as above
        np.abs(300 - 2 * (255.0 - images.images(16, np.arange(80)))).mean()
    )
    with pytest.raises(GanlabError, match="no images of 3 channels at 2x2"):
        metric(None, lambda start, stop: np.zeros((stop - start, 3, 2, 2), np.uint8), seed=0)  # type: ignore[arg-type]  # as above


# -- whole runs --------------------------------------------------------------------------------------------------------

SMALL = (
    "run.images=40", "run.threads=1", "run.check_memory=false", "track.mlflow=false", "track.samples=2",
    "track.samples_every_ticks=1", "track.checkpoint_every_ticks=1", "schedule.tick_images=16", "schedule.minibatch=4",
    "system.pool_size=3", "generator.features=4", "metrics=[]",
)  # fmt: skip
GROWING = (*SMALL, "generator.least_features=2", "discriminator.widths=[4, 4, 4]", "schedule.stabilize_images=8",
           "schedule.fade_images=8")  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "overrides"),
    [
        ("cyclegan.toml", (*SMALL, "discriminator.features=4", "system.identity_weight=5.0")),
        ("cyclegan-growing.toml", GROWING),
    ],
    ids=["fixed", "growing"],
)
def test_stopping_changes_nothing(tmp_path: Path, recipe: str, overrides: tuple[str, ...]) -> None:
    loaded = load_recipe(RECIPES / recipe, overrides)
    assert_equal_runs(train_all(loaded, tmp_path / "whole"), train_in_pieces(loaded, tmp_path / "pieces", [12, 24]))


def test_networks_without_levels_refuse_to_grow(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(RECIPES / "cyclegan.toml", ["schedule=progressive"])
    assert "'cyclegan-growing-translator'" in str(caught.value)
    assert "'pggan-discriminator'" in str(caught.value)


def test_recipes_can_be_read_at_the_size_of_the_paper() -> None:
    for recipe in ("cyclegan.toml", "cyclegan-growing.toml"):
        load_recipe(RECIPES / recipe, ["scale=paper"])


def test_a_set_that_stands_for_others_is_not_recoloured() -> None:
    with pytest.raises(DataError, match="stands for other sets"):
        Recoloured(source=First(of=Synthetic(count=40), count=10)).build()
    assert Recoloured(source=First(of=Synthetic(count=40), count=10, reference="part"), part="all").build().count == 10
