"""Systems of several pairs: each pair has losses of its own, domains are shown side by side, samples come of reals."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ganlab
from ganlab.cli import cli
from ganlab.errors import DataError, GanlabError, RecipeError
from ganlab.recipe import LoadedRecipe
from ganlab.track.folder import RunFolder
from ganlab.train.choose import Choice
from ganlab.train.domains import SampledReals, domains_of
from ganlab.train.export import load_generator, read_generator
from ganlab.train.prepare import prepare
from ganlab.train.run import run
from ganlab.train.state import checkpoints
from ganlab.train.tensors import read_tensors

from .tiny import TINY, assert_equal_runs, journal_without_times, quiet, tiny, train_all, train_in_pieces, write_recipe

PLUGIN = '''
from typing import Any
import attrs, ganlab, torch
from torch import nn
from ganlab.interfaces import LossValue, Match, Play

@attrs.frozen
class BothWays:
    """A toy: one network each way between two sets, with a pool of one earlier fake each."""
    pool: int = ganlab.parameter(0, ge=0, le=1, help="whether a fake is kept")
    generator_role = "translator"
    domains = 2
    def build(self, images):
        return BothWaysBuilt(images, self.pool)

class BothWaysBuilt(ganlab.SystemBase):
    pairs = ("one", "two")
    samples_from_reals = True
    def __init__(self, images, pool):
        super().__init__(images)
        self.chances = pool
        for pair in self.pairs:
            self.register_buffer(f"kept_{pair}", torch.zeros(images.channels, 1, 1))
    def generators(self, network):
        built = nn.ModuleDict({pair: network.build(self.images) for pair in self.pairs})
        built.latent_size = 0
        return built
    def discriminators(self, network):
        return nn.ModuleDict({pair: network.build(self.images) for pair in self.pairs})
    def discriminator(self, discriminators, pair):
        return discriminators[pair]
    def play(self, generators, latents, labels, reals, *, resolution, fade, learning):
        one, two = reals.chunk(2, dim=1)
        fakes = {"one": generators["one"](two, fade=fade), "two": generators["two"](one, fade=fade)}
        matches = {"one": Match(one, fakes["one"]), "two": Match(two, fakes["two"])}
        terms = None
        if learning:
            back = (generators["one"](matches["two"].fakes, fade=fade).float() - one).abs().mean((1, 2, 3))
            terms = LossValue(back, {"cycle/one": back})
        return Play(matches, terms)
    def remember(self, matches, uniform):
        found = {}
        for pair, match in matches.items():
            kept = getattr(self, f"kept_{pair}")
            mean = match.fakes.mean((0, 2, 3))[:, None, None]
            old = kept.clone()
            kept.copy_(mean)
            fakes = torch.where(uniform[:, :, None, None] < 0.5, match.fakes, old.expand_as(match.fakes))
            found[pair] = Match(match.reals, fakes)
        return found
    def sample(self, generators, latents, labels, reals, *, resolution, fade):
        return generators["two"](reals.chunk(2, dim=1)[0], fade=fade)
    def show(self, generators, latents, labels, reals, *, resolution, fade):
        one, two = reals.chunk(2, dim=1)
        return torch.stack([one, generators["two"](one, fade=fade), two], 1)

@attrs.frozen
class OneWay:
    """One critic that sees the translation of the one set among the other, under a name or none."""
    name_of_pair: str = ganlab.parameter("", help="the pair's name")
    generator_role = "translator"
    domains = 2
    def build(self, images):
        return OneWayBuilt(images, self.name_of_pair)

class OneWayBuilt(BothWaysBuilt):
    def __init__(self, images, name):
        super().__init__(images, 0)
        self.pairs = (name,)
    def generators(self, network):
        built = nn.ModuleDict({"two": network.build(self.images)})
        built.latent_size = 0
        return built
    def discriminators(self, network):
        return nn.ModuleDict({"only": network.build(self.images)})
    def discriminator(self, discriminators, pair):
        return discriminators["only"]
    def play(self, generators, latents, labels, reals, *, resolution, fade, learning):
        one, two = reals.chunk(2, dim=1)
        return Play({self.pairs[0]: Match(two, generators["two"](one, fade=fade))})

@attrs.frozen
class Silent:
    """A loss that reports nothing."""
    def build(self):
        return SilentBuilt()

class SilentBuilt(ganlab.AdversarialLossBase):
    def discriminator(self, batch):
        return LossValue(torch.nn.functional.softplus(batch.fake.scores - batch.real.scores))
    def generator(self, batch):
        return LossValue(-batch.fake.scores)

@attrs.frozen
class Recolour:
    """A 1x1 convolution."""
    role = "translator"
    def build(self, images):
        return RecolourBuilt(images.channels)

class RecolourBuilt(nn.Module):
    latent_size = 0
    label_size = 0
    def __init__(self, channels):
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 1)
    def initialize(self, draw):
        with torch.no_grad():
            self.convolution.weight.copy_(draw("weight", tuple(self.convolution.weight.shape)))
            self.convolution.bias.zero_()
    def forward(self, images, latents=None, *, fade=None):
        return torch.tanh(self.convolution(images))

@attrs.frozen
class Sides:
    """Two sets side by side."""
    of: Any = ganlab.component("dataset", "pixel-faces", help="both")
    def build(self):
        return SidesBuilt(self.of.build())

class SidesBuilt:
    def __init__(self, of):
        self._of = of
        self.domains = (of, Inverted(of))
        self.name = "sides"
    def __getattr__(self, name):
        return getattr(self._of, name)
    def images(self, resolution, indices):
        return self.domains[1].images(resolution, indices)

class Inverted(SidesBuilt):
    def __init__(self, of):
        self._of = of
        self.domains = ()
        self.name = "inverted"
    def images(self, resolution, indices):
        return 255 - self._of.images(resolution, indices)

@attrs.frozen
class Darker:
    """Darkens by a chance that follows the scores."""
    def build(self, images):
        return DarkerBuilt()

class DarkerBuilt(nn.Module):
    draws = 1
    def __init__(self):
        super().__init__()
        self.register_buffer("probability", torch.zeros(()))
    def forward(self, images, uniform):
        return torch.where(uniform[:, :, None, None] < self.probability, images * 0.5, images)
    def observe(self, report, minibatch):
        self.probability.add_(0.01 * minibatch * (1 + report["signs/real"]))
    def report(self):
        return {"augment/probability": self.probability}

@ganlab.hookimpl
def register_systems(register):
    register("both-ways", BothWays, summary="toy")
    register("one-way", OneWay, summary="toy")

@ganlab.hookimpl
def register_losses(register):
    register("silent", Silent, summary="toy")

@ganlab.hookimpl
def register_networks(register):
    register("recolour", Recolour, summary="toy")

@ganlab.hookimpl
def register_datasets(register):
    register("sides", Sides, summary="toy")

@ganlab.hookimpl
def register_augmentations(register):
    register("darker", Darker, summary="toy")
'''
TWO = ("system=both-ways", "generator={name='recolour'}", "data={name='sides', resolution=16}", "run.images=200",
       "schedule.stabilize_images=32", "schedule.fade_images=32")  # fmt: skip


def catalog(folder: Path) -> ganlab.Catalog:
    (folder / "toys.py").write_text(PLUGIN)
    return ganlab.load_plugins([folder / "toys.py"])


def loaded(folder: Path, *overrides: str) -> LoadedRecipe:
    text = TINY.replace('[generator]\nname = "pggan-generator"\nwidths = [8, 8, 6]\nlatent_size = 8\n', "")
    text = text.replace('[data]\nname = "pixel-faces"\nresolution = 16\n', "")
    sets = (*TWO, *overrides)
    return ganlab.load_recipe(write_recipe(folder, text, "two.toml"), sets, catalog(folder))


def test_every_pair_learns_with_a_loss_of_its_own(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, "loss=lsgan", "discriminator.noise=multiplicative-noise", "regularizers=['r1']")
    folder = train_all(recipe, tmp_path / "run")
    last = next(line["values"] for line in reversed(journal_without_times(folder)) if "one/loss" in line["values"])  # type: ignore[operator]  # a dict
    for pair in ("one", "two"):
        for name in ("loss", "scores/real", "scores/fake", "scores/gap", "noise/strength"):
            assert f"{pair}/{name}" in last, name  # type: ignore[operator]  # a dict
        assert f"generator/{pair}/loss" in last  # type: ignore[operator]  # a dict
    assert last["one/loss"] + last["two/loss"] == pytest.approx(last["loss/discriminator"], rel=1e-4)  # type: ignore[index]  # a dict
    assert last["generator/cycle/one"] > 0  # type: ignore[index]  # a dict
    state = read_tensors(checkpoints(folder.checkpoints)[-1])
    averages = [value for name, value in state.items() if name.startswith("loss.") and name.endswith("average")]
    assert len(averages) == 2
    assert not torch.equal(*averages), "each follows its own scores"
    assert any(name.startswith("generator/two.") for name in state)


@pytest.mark.parametrize("overrides", [(), ("updates.together=true",), ("system.pool=1", "augmentation=darker")])
def test_stopping_changes_nothing(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    recipe = loaded(tmp_path, *overrides)
    assert_equal_runs(train_all(recipe, tmp_path / "whole"), train_in_pieces(recipe, tmp_path / "pieces", [50, 120]))


@pytest.mark.parametrize("system", ["{name='one-way'}", "{name='one-way', name_of_pair='only'}", "both-ways"])
def test_one_critic_may_be_shown_something_else_and_a_loss_need_report_nothing(tmp_path: Path, system: str) -> None:
    folder = train_all(loaded(tmp_path, f"system={system}", "loss=silent"), tmp_path / "run")
    assert "loss/discriminator" in str(journal_without_times(folder)[-1])


def test_micro_batches_change_nothing_but_rounding(tmp_path: Path) -> None:
    overrides = ("discriminator.stddev=none", "optimizer={name='sgd', learning_rate=0.0005}", "augmentation=darker")
    whole = train_all(loaded(tmp_path, *overrides), tmp_path / "whole")
    parts = train_all(loaded(tmp_path, *overrides, "run.micro_batches=2"), tmp_path / "parts")
    for one, other in zip(journal_without_times(whole), journal_without_times(parts), strict=True):
        assert other["values"] == pytest.approx(one["values"], rel=1e-3, abs=1e-5)


def test_what_is_kept_of_earlier_fakes_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(GanlabError, match="keeps earlier fakes"):
        run(loaded(tmp_path, "system.pool=1", "run.micro_batches=2"), Choice(tmp_path / "run", "start"), say=quiet)


def test_domains_come_in_orders_of_their_own(tmp_path: Path) -> None:
    trainer = prepare(loaded(tmp_path, "data.mirror=false"), RunFolder.create(tmp_path / "r"), fresh=True, say=quiet)
    stage = attrs.evolve(trainer.schedule.at(0), resolution=16, fade=1.0, minibatch=16)
    reals = trainer.supply.next(stage, 0).images
    assert reals.shape == (16, 6, 16, 16)
    one, two = reals.chunk(2, dim=1)
    indices = [feed.batch(16, 0, 16).indices for feed in (trainer.feed, *trainer.other_feeds)]
    assert not np.array_equal(*indices)
    for images, domain, own in zip((one, two), domains_of(trainer.source), indices, strict=True):
        bytes_shown = ((images + 1) * 127.5).round().to(torch.uint8).numpy()
        assert np.array_equal(bytes_shown, domain.images(16, own))
    trainer.close()


def test_samples_and_metrics_come_of_real_images(tmp_path: Path) -> None:
    swd = "metrics=[{name='swd', count=32, patches_per_image=8}]"
    recipe = loaded(tmp_path, swd, "data.mirror=false")
    folder = train_all(recipe, tmp_path / "run")
    saved = read_generator(folder.generator_path, recipe.catalog)
    assert (saved.domains, saved.resolution, saved.fade) == (2, 16, 1.0)
    source = recipe.recipe.data.source.build()
    inputs = SampledReals(domains_of(source), 16, 1.0, "float")(0, 2)
    module, (example,) = load_generator(folder.path, recipe.catalog)
    assert example.shape == (2, 6, 16, 16)
    by_hand = torch.tanh(saved.network["two"].convolution(inputs[:, :3]))
    torch.testing.assert_close(module(inputs), by_hand)
    assert "metric/swd/mean" in str(journal_without_times(folder)[-1])


def test_a_system_and_what_does_not_fit_it_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"generator\.name: this network is a generator; expected a translator"):
        tiny_with(tmp_path, "system=both-ways")
    with pytest.raises(RecipeError, match="this network is a translator; expected a generator"):
        tiny_with(tmp_path, "generator={name='recolour'}")
    one_set = loaded(tmp_path, "data={name='pixel-faces', resolution=16}")
    with pytest.raises(DataError, match="needs 2 data sets side by side, not 1"):
        run(one_set, Choice(tmp_path / "run", "start"), say=quiet)


def tiny_with(folder: Path, *overrides: str) -> LoadedRecipe:
    return ganlab.load_recipe(write_recipe(folder), overrides, catalog(folder))


def test_an_augmentation_changes_training_and_adapts(tmp_path: Path) -> None:
    short = ("run.images=120", "schedule.stabilize_images=32", "schedule.fade_images=32")
    plain = train_all(tiny(tmp_path, *short), tmp_path / "plain")
    darker = train_all(tiny_with(tmp_path, *short, "augmentation=darker"), tmp_path / "darker")
    values = [line["values"] for line in journal_without_times(darker)]
    chances = [value["augment/probability"] for value in values if "augment/probability" in value]  # type: ignore[operator,index]  # dicts
    assert chances[0] < chances[-1]
    assert all("signs/real" in value for value in values if "augment/probability" in value)  # type: ignore[operator]  # dicts
    assert plain.generator_path.read_bytes() != darker.generator_path.read_bytes()


def test_plan_and_memory_know_several_pairs(tmp_path: Path) -> None:
    loaded(tmp_path)
    words = ["plan", str(tmp_path / "two.toml"), "--seconds", "0.5", "--plugin", str(tmp_path / "toys.py")]
    sets = [word for override in TWO for word in ("--set", override)]
    done = CliRunner().invoke(cli, [*words, *sets])
    assert done.exit_code == 0, done.output
    assert "16x16" in done.output


def test_generate_makes_samples_from_the_runs_data_or_from_a_folder(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, "run.images=40")
    folder = train_all(recipe, tmp_path / "run")
    plugin = ["--plugin", str(tmp_path / "toys.py")]

    def generate(*words: object) -> str:
        done = CliRunner().invoke(cli, ["generate", *map(str, words), *plugin])
        return str(done.output) if done.exit_code == 0 else f"{done.exit_code}: {done.exception or done.output}"

    assert "3 images of" in generate(folder.path, "--out", tmp_path / "own", "--num", "3")
    assert "3 images of" in generate(folder.path, "--out", tmp_path / "again", "--from", tmp_path / "own")
    assert len(list((tmp_path / "again").iterdir())) == 3
    assert "name a run folder" in generate(folder.generator_path, "--out", tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert "the folder is empty" in generate(folder.path, "--out", tmp_path / "x", "--from", tmp_path / "empty")
