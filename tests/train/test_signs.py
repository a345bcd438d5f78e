"""What is measured at a report is what it is called, whoever worked out the minibatch, and training does not notice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ganlab.track.folder import RunFolder
from ganlab.track.journal import Entry, read
from ganlab.train.loop import train
from ganlab.train.prepare import prepare
from ganlab.train.reporting import GRADIENT_EVERY, gradient_norm, is_due
from ganlab.train.scaling import LossScale
from ganlab.train.signs import evaluating, spread
from ganlab.train.state import checkpoints
from ganlab.train.tally import Tally
from ganlab.train.tensors import read_tensors
from ganlab.train.trainer import Trainer

from .tiny import quiet, tiny, train_all

SHORT = ("run.images=120", "data.resolution=8")


def trainer_after(path: Path, *overrides: str) -> tuple[Trainer, Entry]:
    """A trainer whose run has ended, and the last line of its journal."""
    trainer = prepare(tiny(path, *SHORT, *overrides), RunFolder.create(path / "run"), fresh=True, say=quiet)
    train(trainer, None, stop_requested=lambda: False, stage_ended=lambda *_: None, measure=lambda event: None)
    trainer.feed.close()
    return trainer, read(path / "run")[-1]


def flat(parameters: object) -> torch.Tensor:
    return torch.cat([p.detach().double().flatten() for p in parameters])  # type: ignore[attr-defined]  # an iterable


def test_the_spread_is_the_mean_standard_deviation_however_it_is_divided() -> None:
    images = torch.randn(32, 3, 4, 4, generator=torch.Generator().manual_seed(1)) + 0.5
    expected = float(images.std(0, correction=0).mean())
    assert spread([images]) == pytest.approx(expected, rel=1e-6)
    assert spread(torch.split(images, 5)) == pytest.approx(expected, rel=1e-6)
    assert spread([images[:1].expand(32, -1, -1, -1)]) == 0.0


def test_the_norm_is_that_of_all_gradients_together_without_the_loss_scale() -> None:
    one, other = torch.randn(3, 4), torch.randn(7)
    gradients = [one, None, other]
    expected = torch.linalg.vector_norm(torch.cat([one.flatten(), other]))
    torch.testing.assert_close(gradient_norm(gradients), expected)
    scale = LossScale(torch.device("cpu")).scale
    scaled = [None if it is None else it * scale for it in gradients]
    assert torch.equal(gradient_norm(scaled, scale), gradient_norm(gradients))
    assert gradient_norm([None]) == 0


def test_the_first_update_of_a_report_and_every_eighth_are_measured() -> None:
    tally = Tally(torch.device("cpu"))
    due = []
    for number in range(2 * GRADIENT_EVERY + 1):
        due.append(is_due("generator", tally))
        tally.add({"loss/generator": torch.ones(()), "loss/discriminator": torch.ones(())}, number)
    assert [number for number, is_so in enumerate(due) if is_so] == [0, GRADIENT_EVERY, 2 * GRADIENT_EVERY]
    tally.take_means()
    assert is_due("generator", tally)


def test_a_report_says_what_the_networks_are_like(tmp_path: Path) -> None:
    trainer, line = trainer_after(tmp_path, "loss=lsgan", "discriminator.noise=multiplicative-noise")
    values, players = line.values, trainer.players
    assert values["weight_norm/generator"] == pytest.approx(float(flat(players.generator.parameters()).norm()))
    assert values["weight_norm/discriminator"] == pytest.approx(float(flat(players.discriminator.parameters()).norm()))
    assert values["scores/gap"] == values["scores/real"] - values["scores/fake"]
    assert values["noise/strength"] == float(players.pairs[0].loss.noise_strength())  # type: ignore[arg-type]  # lsgan has one
    assert values["gradient_norm/generator"] > 0
    assert values["gradient_norm/discriminator"] > 0


def test_the_stddev_is_what_the_layer_appends_for_the_last_reals(tmp_path: Path) -> None:
    trainer, line = trainer_after(tmp_path)
    seen: list[torch.Tensor] = []
    (layer,) = [it for it in trainer.players.discriminator.modules() if hasattr(it, "statistics")]
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output[:, inputs[0].shape[1] :]))
    fade = trainer.schedule.at(line.images_shown - 8).fade
    with torch.no_grad():
        trainer.players.discriminator(trainer._reals, fade=torch.tensor(fade))
    handle.remove()
    assert line.values["stddev/reals"] == pytest.approx(float(seen[0].mean()), rel=1e-6)
    assert 0 < line.values["stddev/fakes"] != line.values["stddev/reals"]


def test_every_module_that_appends_is_named_for_its_slot(tmp_path: Path) -> None:
    _, line = trainer_after(tmp_path, "discriminator.discrimination=minibatch-discrimination")
    assert {"stddev/reals", "stddev/fakes", "discrimination/reals", "discrimination/fakes"} <= line.values.keys()
    _, line = trainer_after(tmp_path / "none", "discriminator.stddev=none")
    assert not [name for name in line.values if name.startswith("stddev")]
    _, line = trainer_after(tmp_path / "images", "discriminator.stddev_of=images")
    assert line.values["stddev/reals"] > 0


def test_a_generator_that_repeats_itself_has_no_diversity(tmp_path: Path) -> None:
    trainer, line = trainer_after(tmp_path)
    assert line.values["diversity"] > 0.2
    for parameter in trainer.players.generator.parameters():
        torch.nn.init.zeros_(parameter)
    stage = trainer.schedule.at(line.images_shown)
    assert trainer._signs(stage, {})["diversity"] == 0.0


def test_fakes_may_be_made_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, line = trainer_after(tmp_path, "data.labels=true", 'regularizers=["ac-gan"]')
    stage = trainer.schedule.at(line.images_shown)
    together = trainer._signs(stage, {})
    monkeypatch.setattr("ganlab.train.signs.PIXELS_AT_ONCE", 0)
    made: list[int] = []
    generator = trainer.players.generator
    handle = generator.register_forward_pre_hook(lambda module, inputs: made.append(len(inputs[0])))
    apart = trainer._signs(stage, {})
    handle.remove()
    assert made == [stage.minibatch] * (32 // stage.minibatch)
    assert apart == pytest.approx(dict(together), rel=1e-5)


@pytest.mark.parametrize(
    "overrides",
    [
        ("generator.normalization=batch", "discriminator.weight_scaling=spectral"),
        ("updates.together=true", "loss=lsgan", "discriminator.noise=multiplicative-noise"),
    ],
    ids=["batch norm, power iteration", "together, noise"],
)
def test_training_is_the_same_with_and_without(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    diagnosed = train_all(tiny(tmp_path, *SHORT, *overrides), tmp_path / "with")
    plain = train_all(tiny(tmp_path / "plain", *SHORT, *overrides, "track.diagnose=false"), tmp_path / "without")
    one, other = (read_tensors(checkpoints(folder.checkpoints)[-1]) for folder in (diagnosed, plain))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for ours, theirs in zip(read(diagnosed.path), read(plain.path), strict=True):
        assert theirs.values.items() <= ours.values.items()


def test_micro_batches_change_nothing_of_what_is_measured(tmp_path: Path) -> None:
    gentle = ("optimizer={name='sgd', learning_rate=0.0005}", "discriminator.stddev.group_size=2")
    _, whole = trainer_after(tmp_path / "whole", *gentle)
    _, parts = trainer_after(tmp_path / "parts", *gentle, "run.micro_batches=2")
    assert parts.values == pytest.approx(dict(whole.values), rel=1e-3, abs=1e-5)


def test_modes_are_given_back_to_each_module() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
    network[1].eval()
    with evaluating(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [True, True, False]
