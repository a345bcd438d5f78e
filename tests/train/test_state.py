"""A checkpoint holds everything, exactly, survives crashes, and a damaged one says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ganlab.errors import RunError
from ganlab.track.folder import RunFolder
from ganlab.train.events import Position
from ganlab.train.prepare import prepare
from ganlab.train.state import TrainingState, checkpoints, restore_checkpoint, save_checkpoint
from ganlab.train.tally import NonFinite
from ganlab.train.trainer import Trainer

from .tiny import quiet, tiny


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    trainer = prepare(tiny(tmp_path), RunFolder.create(tmp_path / "run"), fresh=True, say=quiet)
    stage = trainer.schedule.at(100)
    trainer.update_discriminator(stage, 96)
    trainer.update_generator(stage, 96)
    return trainer


def state_of(trainer: Trainer) -> TrainingState:
    return TrainingState(trainer.players, trainer.optimizers, trainer.tally)


def test_saving_again_after_restoring_gives_the_same_bytes(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    position = Position(images_shown=104, steps=13, settings_read_at=96)
    saved = save_checkpoint(tmp_path / "a", state_of(trainer), position, {"digest": "x"}, keep=2)
    other = prepare(tiny(tmp_path / "other"), RunFolder.create(tmp_path / "other_run"), fresh=True, say=quiet)
    assert restore_checkpoint(saved, state_of(other)) == position
    again = save_checkpoint(tmp_path / "b", state_of(other), position, {"digest": "x"}, keep=2)
    assert saved.read_bytes() == again.read_bytes()


def test_only_the_newest_are_kept(trainer: Trainer, tmp_path: Path) -> None:
    for images_shown in (8, 16, 24):
        save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=images_shown), {}, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == [
        "checkpoint-000000016.safetensors",
        "checkpoint-000000024.safetensors",
    ]


def test_a_crash_while_writing_leaves_the_last_good_one(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=8), {}, keep=1)

    def full_disk(*arguments: object, **keywords: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganlab.train.tensors.save_file", full_disk)
    with pytest.raises(RunError, match="no space left on device"):
        save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=16), {}, keep=1)
    assert checkpoints(tmp_path) == [good]
    assert restore_checkpoint(good, state_of(trainer)).images_shown == 8


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut short"])
def test_a_damaged_file_is_named(trainer: Trainer, tmp_path: Path, content: bytes | None) -> None:
    path = save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=8), {}, keep=1)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(RunError, match=f"{path.name}.* damaged"):
        restore_checkpoint(path, state_of(trainer))


def test_a_checkpoint_of_other_networks_is_refused(trainer: Trainer, tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=8), {}, keep=1)
    wider = tiny(tmp_path / "other", "generator.widths=[16, 8, 6]")
    other = prepare(wider, RunFolder.create(tmp_path / "other_run"), fresh=True, say=quiet)
    with pytest.raises(RunError, match="does not fit the recipe's generator"):
        restore_checkpoint(path, state_of(other))


def test_a_checkpoint_is_a_plain_header_and_plain_numbers(trainer: Trainer, tmp_path: Path) -> None:
    content = save_checkpoint(tmp_path, state_of(trainer), Position(images_shown=8), {}, keep=1).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    plain = json.loads(header.pop("__metadata__")["ganlab"])
    assert plain["position"]["images_shown"] == 8
    ends = [entry["data_offsets"][1] for entry in header.values()]
    assert max(ends) == len(content) - 8 - length, "nothing but the tensors the header lists"


def test_a_weight_that_is_not_finite_is_never_saved(trainer: Trainer) -> None:
    with torch.no_grad():
        next(iter(trainer.players.generator.parameters())).view(-1)[0] = torch.inf
    with pytest.raises(NonFinite, match="a weight of the generator is not finite"):
        trainer.save_checkpoint(trainer.schedule.at(104), Position(images_shown=104))
    assert checkpoints(trainer.folder.checkpoints) == []
