"""Which precision a run computes in, that low ones find the losses and gradients of float32, and loss scaling."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab.track.folder import RunFolder
from ganlab.track.journal import read
from ganlab.train import memory, scaling
from ganlab.train.devices import autocast, choose_precision, has_instructions
from ganlab.train.prepare import prepare
from ganlab.train.step import discriminator_step, generator_step
from ganlab.train.tally import NonFinite
from ganlab.train.trainer import Trainer
from ganlab_losses.built.gradients import score_gradients

from .test_step import setup
from .tiny import assert_equal_runs, quiet, tiny, train_all, train_in_pieces

CPU = torch.device("cpu")


def processor(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    """Let torch believe that it runs on a processor with these instructions."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", **capabilities})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)


def prepared(folder: Path, *overrides: str, fresh: bool = True, said: list[str] | None = None) -> Trainer:
    run = folder / "run"
    place = RunFolder.create(run) if fresh else RunFolder.open(run)
    say = quiet if said is None else said.append
    return prepare(
        tiny(folder, 'run.device="cpu"', "run.precision=auto", "data.workers=0", *overrides),
        place,
        fresh=fresh,
        say=say,
    )


# -- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16", "bf16"])
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, instructions: str) -> None:
    processor(monkeypatch, **{instructions: True})
    assert choose_precision("auto", CPU)[0] == "bfloat16"


def test_auto_takes_float32_where_bfloat16_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, avx2=True, avx512_f=True, avx512_bw=True, avx512_vnni=True, avx_ne_convert=True)
    assert choose_precision("auto", CPU) == ("float32", "this processor has no bfloat16 instructions")
    assert choose_precision("auto", torch.device("mps"))[0] == "float32"
    assert not has_instructions(CPU, "float16")


def test_the_choice_is_said_once_kept_with_the_run_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, amx_bf16=True)
    said: list[str] = []
    trainer = prepared(tmp_path, said=said)
    assert [line for line in said if "precision" in line] == [
        "precision: bfloat16 (this processor has instructions for it)"
    ]
    assert trainer.folder.info()["precision"] == "bfloat16"
    assert trainer.folder.recipe()["run"]["precision"] == "auto"
    with trainer._autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_a_resumed_run_goes_on_as_it_began_on_any_hardware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, then: bool
) -> None:
    began = "bfloat16" if first else "float32"
    processor(monkeypatch, avx512_bf16=first)
    prepared(tmp_path)
    processor(monkeypatch, avx512_bf16=then)
    said: list[str] = []
    if first:
        with pytest.warns(UserWarning, match="run.precision: bfloat16 has to be emulated on this cpu"):
            trainer = prepared(tmp_path, fresh=False, said=said)
    else:
        trainer = prepared(tmp_path, fresh=False, said=said)
    assert f"precision: {began} (as this run began)" in said
    assert trainer.recipe.run.precision == trainer.folder.info()["precision"] == began


def test_a_run_of_a_precision_that_is_not_known_is_refused(tmp_path: Path) -> None:
    trainer = prepared(tmp_path)
    path = trainer.folder.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "float8"}))
    with pytest.raises(GanlabError, match="this run began in precision 'float8'"):
        prepared(tmp_path, fresh=False)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_asking_for_an_emulated_precision_is_allowed_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    processor(monkeypatch, avx2=True)
    with pytest.warns(UserWarning, match=f"run.precision: {precision} has to be emulated") as warned:
        trainer = prepared(tmp_path, f"run.precision={precision}")
    assert sum("precision" in str(item.message) for item in warned) == 1
    assert trainer.recipe.run.precision == precision


def test_memory_is_worked_out_for_the_precision_that_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def finest() -> int:
        recipe = tiny(tmp_path, "run.precision=auto").recipe
        schedule = recipe.schedule.build(resolution=16, total_images=recipe.run.images, learning_rate=0.001)
        return memory.level_memory(recipe, schedule, ImageShape(3, 16), CPU)[-1].peak_bytes

    processor(monkeypatch, avx2=True)
    full = finest()
    processor(monkeypatch, amx_bf16=True)
    assert finest() < full


# -- the same numbers within rounding ---------------------------------------------------------------------------------

ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "overrides",
    [
        ("loss=wgan-gp",),
        ("loss=lsgan",),
        ("loss=non-saturating", "regularizers=['r1']"),
        ("loss=wgan-gp", "generator.normalization=batch"),
    ],
    ids=["wgan-gp", "lsgan", "r1", "batch"],
)
def test_losses_and_gradients_are_those_of_float32(tmp_path: Path, overrides: tuple[str, ...], precision: str) -> None:
    players, reals, draws, level = setup(tmp_path, *overrides)
    scales = scaling.loss_scales(precision, CPU)
    for name, step in (("discriminator", discriminator_step), ("generator", generator_step)):
        full = step(players, reals, None, draws, level, autocast(CPU, "float32"))  # type: ignore[arg-type]  # a Draws
        scale = scales[name].scale if scales else None
        half = step(players, reals, None, draws, level, autocast(CPU, precision), scale)  # type: ignore[arg-type]  # a Draws
        if scales:
            assert not scales[name].unscale_(half.gradients)
        assert half.loss.dtype == torch.float32
        # Measured: losses within one rounding, a cosine of 0.9993 in bfloat16 and of 0.9999 in float16, a norm within
        # four roundings.
        assert half.loss.item() == pytest.approx(full.loss.item(), rel=3 * ROUNDING[precision], abs=ROUNDING[precision])
        assert [g is None for g in half.gradients] == [g is None for g in full.gradients]
        assert all(g is None or g.dtype == torch.float32 for g in half.gradients)
        ours, theirs = (torch.cat([g.flatten() for g in o.gradients if g is not None]) for o in (half, full))
        assert F.cosine_similarity(ours, theirs, dim=0) > 1 - ROUNDING[precision] / 2
        assert ours.norm().item() == pytest.approx(theirs.norm().item(), rel=8 * ROUNDING[precision])


def test_a_discriminator_s_weights_and_biases_are_rounded_once_for_all_passes(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path)
    rounded: list[tuple[int, ...]] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            to = (kwargs or {}).get("dtype")
            if func is torch.ops.aten._to_copy.default and to == torch.bfloat16 and args[0].dtype == torch.float32:
                rounded.append(tuple(args[0].shape))
            return func(*args, **(kwargs or {}))

    with Watch():
        outcome = discriminator_step(players, reals, None, draws, level, autocast(CPU, "bfloat16"))
    assert rounded.count((8, 9, 3, 3)) == rounded.count((8, 128)) == 1  # shapes that only the discriminator's have
    assert {gradient.dtype for gradient in outcome.gradients if gradient is not None} == {torch.float32}
    layer = players.discriminator.blocks["8x8"].conv0
    layer.hold()
    with autocast(CPU, "bfloat16")():
        assert layer.current_bias().dtype == torch.bfloat16
        assert layer.current_bias() is layer.current_bias()
    assert layer.current_bias() is layer.bias
    layer.release()


def test_scores_and_images_are_not_rounded_at_the_end(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path)
    with torch.no_grad(), autocast(CPU, "bfloat16")():
        images = players.generator(draws.latents, resolution=8, fade=level.fade)  # type: ignore[attr-defined]  # a Draws
        scores = players.discriminator(reals, fade=level.fade).scores
    for values in (images, scores):
        assert (values.bfloat16().float() != values).float().mean() > 0.5


# -- loss scaling -----------------------------------------------------------------------------------------------------


def test_the_gradients_of_scores_do_not_vanish_in_float16() -> None:
    def critic(images: Tensor, draw: str) -> Critique:
        return Critique((images.half() * 2.0**-13 * 2.0**-13).float().flatten(1).sum(1), None)

    images = torch.ones(2, 1, 2, 2)
    assert not score_gradients(critic, images, "mixed")[0].any()
    critic.gradient_scale = scaling.gradient_scale(torch.tensor(scaling.FIRST))  # type: ignore[attr-defined]  # a function takes attributes
    assert torch.equal(score_gradients(critic, images, "mixed")[0], torch.full_like(images, 2.0**-26))


def test_a_scaled_step_in_float32_is_exactly_the_plain_one(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path, "regularizers=['r1']")
    scale = scaling.LossScale(CPU)
    for step in (discriminator_step, generator_step):
        plain = step(players, reals, None, draws, level, autocast(CPU, "float32"))  # type: ignore[arg-type]  # a Draws
        scaled = step(players, reals, None, draws, level, autocast(CPU, "float32"), scale.scale)  # type: ignore[arg-type]  # a Draws
        assert torch.equal(plain.loss, scaled.loss)
        assert [g is None for g in plain.gradients] == [g is None for g in scaled.gradients]
        ours, theirs = ([g for g in outcome.gradients if g is not None] for outcome in (scaled, plain))
        assert not any(g.any() and torch.equal(g, h) for g, h in zip(ours, theirs, strict=True))
        scale.unscale_(ours)
        assert all(torch.equal(g, h) for g, h in zip(ours, theirs, strict=True))


def test_the_scale_follows_overflows_and_good_updates() -> None:
    scale = scaling.LossScale(CPU)
    held = scale.scale
    no, yes = torch.tensor(False), torch.tensor(True)
    for _ in range(scaling.INTERVAL - 1):
        scale.update_(no)
    assert held == scaling.FIRST
    scale.update_(no)
    assert held == 2 * scaling.FIRST
    assert scale.good_updates == 0
    scale.update_(no)
    scale.update_(yes)
    assert held == scaling.FIRST
    assert scale.good_updates == 0
    assert scale.scale is held


def everything(trainer: Trainer) -> dict[str, Tensor]:
    """All that an update may change, copied."""
    found: dict[str, Tensor] = {}
    for name, module in trainer.players.modules().items():
        if name != "averaged":
            found.update({f"{name}/{key}": value.clone() for key, value in module.state_dict().items()})
    for name, optimizer in trainer.optimizers.items():
        for number, entry in optimizer.state_dict()["state"].items():
            tensors: Mapping[str, Tensor] = {k: v for k, v in entry.items() if isinstance(v, Tensor) and k != "step"}
            found.update({f"{name}/{number}/{key}": value.clone() for key, value in tensors.items()})
    return found


@pytest.mark.filterwarnings("ignore:run.precision")
@pytest.mark.parametrize("optimizer", ["adam", "{name='sgd', momentum=0.9}", "rmsprop"])
def test_an_update_that_overflows_changes_nothing_but_the_scale(tmp_path: Path, optimizer: str) -> None:
    trainer = prepared(tmp_path, "run.precision=float16", f"optimizer={optimizer}", "loss=lsgan")
    stage = trainer.schedule.at(0)
    trainer.update_discriminator(stage, 0)
    trainer.update_generator(stage, 8)
    before = everything(trainer)
    trainer.scaling["discriminator"].scale.fill_(2.0**40)
    trainer.scaling["generator"].scale.fill_(2.0**40)
    trainer.update_discriminator(stage, 8)
    trainer.update_generator(stage, 16)
    after = everything(trainer)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert trainer.scaling["discriminator"].scale == trainer.scaling["generator"].scale == scaling.LARGEST
    assert all(math.isfinite(value) for value in trainer.tally.take_means().values())
    for player in ("discriminator", "generator"):
        trainer.scaling[player].scale.fill_(scaling.FIRST)
    trainer.update_discriminator(stage, 16)
    trainer.update_generator(stage, 24)
    moved = {name.split("/")[0] for name, value in everything(trainer).items() if not torch.equal(before[name], value)}
    assert {"generator", "discriminator"} <= moved


@pytest.mark.filterwarnings("ignore:run.precision")
def test_an_optimizer_s_first_update_may_overflow(tmp_path: Path) -> None:
    trainer = prepared(tmp_path, "run.precision=float16")
    before = everything(trainer)
    trainer.scaling["discriminator"].scale.fill_(2.0**40)
    trainer.update_discriminator(trainer.schedule.at(0), 0)
    after = everything(trainer)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(after[name].any() for name in after.keys() - before.keys())


@pytest.mark.filterwarnings("ignore:run.precision")
def test_what_overflows_at_any_scale_is_a_failure(tmp_path: Path) -> None:
    trainer = prepared(tmp_path, "run.precision=float16", "loss=lsgan")
    stage = trainer.schedule.at(0)
    trainer.update_discriminator(stage, 0)
    with torch.no_grad():
        for parameter in trainer.players.discriminator.parameters():
            parameter.mul_(1e6)  # activations beyond float16's largest number
    weights = everything(trainer)
    for update in range(round(math.log2(scaling.FIRST))):
        trainer.update_discriminator(stage, 8 * update)
    assert trainer.scaling["discriminator"].scale == scaling.LEAST
    with pytest.raises(NonFinite, match="loss/discriminator is not finite in the step that began at 800 images"):
        trainer.update_discriminator(stage, 800)
    assert all(torch.equal(weights[name], value) for name, value in everything(trainer).items())


@pytest.mark.filterwarnings("ignore:run.precision")
@pytest.mark.parametrize("updates", ["updates.discriminator_steps=2", "updates.together=true"])
def test_a_resumed_float16_run_equals_one_that_was_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: str
) -> None:
    monkeypatch.setattr(scaling, "INTERVAL", 2)  # doubles until it overflows, again and again
    loaded = tiny(tmp_path, 'run.device="cpu"', "run.precision=float16", "run.images=200", "loss=lsgan", updates)
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [56, 96]))
    scales = [entry.values["loss_scale/discriminator"] for entry in read(whole.path)]
    assert scales[0] > scaling.FIRST
    assert any(math.log2(scale) % 1 for scale in scales)
