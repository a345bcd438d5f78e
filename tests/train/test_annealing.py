"""Settings that follow half a cosine: the curve itself, and that every part of training sees the same images shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ganlab.annealing import half_cosine
from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.recipe.schema import EmaTable
from ganlab.track.folder import RunFolder
from ganlab.train.prepare import prepare
from ganlab.train.scaling import buffers_of

from .tiny import quiet, tiny

ENDS = st.floats(0, 100, allow_subnormal=False)


@given(images=st.integers(1, 30_000_000), start=ENDS, end=ENDS, part=st.floats(0, 3))
def test_the_curve_has_its_ends_and_is_the_same_for_tensors(images: int, start: float, end: float, part: float) -> None:
    curve = {"start": start, "end": end, "images": images}
    assert half_cosine(0, **curve) == pytest.approx(start)
    assert half_cosine(images, **curve) == half_cosine(7 * images, **curve) == pytest.approx(end)
    shown = int(part * images)
    value = half_cosine(shown, **curve)
    assert min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9
    as_tensor = half_cosine(torch.tensor(shown), **curve)
    assert as_tensor.shape == ()
    assert as_tensor.item() == pytest.approx(value, abs=2e-5 * (1 + start + end))


def test_the_curve_is_half_a_cosine() -> None:
    found = [half_cosine(shown, start=3.0, end=1.0, images=90) for shown in (30, 45, 60)]
    assert found == pytest.approx([2 + math.cos(math.pi / 3), 2.0, 2 - math.cos(math.pi / 3)])


def test_a_half_life_of_the_average_is_the_same_past_for_every_minibatch() -> None:
    table = EmaTable(half_life_images=64)
    assert table.keeps(0, 16) ** 4 == pytest.approx(0.5)
    assert table.keeps(1000, 8) ** 8 == pytest.approx(0.5)
    rising = EmaTable(half_life_images=64, rampup_images=1000)
    assert rising.keeps(0, 16) == 0.0
    assert rising.keeps(500, 16) == pytest.approx(0.5 ** (16 / 32))
    assert rising.keeps(1000, 16) == rising.keeps(5000, 16) == table.keeps(0, 16)
    assert EmaTable(beta=0.9).keeps(123, 16) == 0.9


class Watching:
    """A regularizer that adds nothing and keeps what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def discriminator(self, batch: DiscriminatorPass) -> None:
        self._note("discriminator", batch.images_shown)

    def generator(self, batch: GeneratorPass) -> None:
        self._note("generator", batch.images_shown)

    def _note(self, player: str, shown: Tensor | int) -> None:
        assert isinstance(shown, Tensor), "in place, so that an update that was recorded reads it anew"
        self.seen.append((player, int(shown)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.micro_batches=1", [("discriminator", 16), ("generator", 24)]),
        ("run.micro_batches=2", 2 * [("discriminator", 16)] + 2 * [("generator", 24)]),
        ("updates.together=true", [("discriminator", 16), ("generator", 16)]),
    ],
)
def test_losses_and_regularizers_are_told_the_images_shown_before_an_update(
    tmp_path: Path, override: str, expected: list[tuple[str, int]]
) -> None:
    trainer = prepare(tiny(tmp_path, override), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    watching = Watching()
    (pair,) = trainer.players.pairs
    trainer.players = attrs.evolve(trainer.players, pairs=[attrs.evolve(pair, regularizers=[watching])])
    stage = trainer.schedule.at(16)
    if override == "updates.together=true":
        trainer.update_together(stage, 16)
    else:
        trainer.update_discriminator(stage, 16)
        trainer.update_generator(stage, 24)
    trainer.feed.close()
    assert watching.seen == expected


class Counting(nn.Module):
    """A regularizer that counts the updates it is told of and weighs its term by them."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        return LossValue(self.count * batch.real.scores, {"counted": self.count})

    def generator(self, batch: GeneratorPass) -> None:
        """Nothing for the generator."""

    def observe(self, loss: Tensor, batch_scores: Mapping[str, Tensor]) -> None:
        assert batch_scores["counted"] == self.count
        assert loss.shape == ()
        self.count += 1


def test_a_regularizer_observes_updates_as_a_loss_does_and_what_it_keeps_is_saved(tmp_path: Path) -> None:
    trainer = prepare(tiny(tmp_path), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    (pair,) = trainer.players.pairs
    pair = attrs.evolve(pair, regularizers=[Counting()])
    trainer.players = attrs.evolve(trainer.players, pairs=[pair])
    for shown in (0, 8, 16):
        trainer.update_discriminator(trainer.schedule.at(shown), shown)
        trainer.update_generator(trainer.schedule.at(shown), shown + 8)
    trainer.feed.close()
    assert trainer.players.modules()["regularizer0"].state_dict()["count"] == 3
    assert any(buffer is pair.regularizers[0].count for buffer in buffers_of(pair)), "an overflow takes it back"


def test_beta2_follows_the_images_shown_in_both_optimizers(tmp_path: Path) -> None:
    overrides = ("optimizer.beta2=0.9", "optimizer.beta2_end=0.99", "optimizer.beta2_images=32")
    trainer = prepare(tiny(tmp_path, *overrides), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    found = []
    for shown in (0, 16, 32, 48):
        stage = trainer.schedule.at(shown)
        trainer.update_discriminator(stage, shown)
        trainer.update_generator(stage, shown)
        found.append([it.param_groups[0]["betas"] for it in trainer.optimizers.values()])
    trainer.feed.close()
    assert [pair[0] for pair in found] == [pair[1] for pair in found]
    assert [pair[0][1] for pair in found] == pytest.approx([0.9, 0.945, 0.99, 0.99])
