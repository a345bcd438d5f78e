"""Augmentations: what happens to an image, how often, and that nothing happens that was not asked for."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganlab.interfaces import ImageShape
from ganlab_augmentations.ada import AdaModule
from ganlab_augmentations.blit import blit
from ganlab_augmentations.colour import Colour, recoloured
from ganlab_augmentations.components import Ada, DiffAugment, NoAugmentation
from ganlab_augmentations.draws import Columns
from ganlab_augmentations.geometry import Affine, transformed

from ..train.tiny import assert_equal_runs, tiny, train_all, train_in_pieces

CHANGES = (
    "flip", "turn", "shift", "scale", "rotation", "stretch", "drift",
    "brightness", "contrast", "luma_flip", "hue", "saturation",
)  # fmt: skip
SHAPE = ImageShape(channels=3, resolution=16)


def ada(**settings: Any) -> AdaModule:
    built = Ada(**settings).build(SHAPE)
    assert isinstance(built, AdaModule)
    return built


def only(*changes: str, **settings: Any) -> AdaModule:
    """Nothing but these changes, at p = 1."""
    return ada(**{change: float(change in changes) for change in CHANGES}, **({"probability": 1.0} | settings))


def pictures(count: int, channels: int = 3, size: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def uniform(count: int, draws: int, seed: int = 1) -> Tensor:
    return torch.rand(count, draws, generator=torch.Generator().manual_seed(seed))


def each_built() -> list[Any]:
    return [DiffAugment().build(SHAPE), ada(probability=0.8)]


# -- every augmentation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", each_built(), ids=["diffaugment", "ada"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 8, 32])
def test_the_result_depends_on_the_image_and_its_own_draws_alone(module: Any, channels: int, size: int) -> None:
    images, draws = pictures(9, channels, size), uniform(9, module.draws)
    changed = module(images, draws)
    assert changed.shape == images.shape
    assert (changed != images).flatten(1).any(1).sum() >= 7
    torch.testing.assert_close(module(images, draws), changed, rtol=0, atol=0)
    for row in range(9):
        alone = module(images[row : row + 1], draws[row : row + 1])
        torch.testing.assert_close(alone, changed[row : row + 1], rtol=0, atol=0)


@pytest.mark.parametrize("module", each_built(), ids=["diffaugment", "ada"])
def test_images_get_finite_gradients_and_the_right_ones(module: Any) -> None:
    draws = uniform(6, module.draws)
    images = pictures(6, size=4).double().requires_grad_()
    (gradient,) = torch.autograd.grad(module(images, draws).square().sum(), images)
    assert torch.isfinite(gradient).all()
    # Every change is affine in the pixels, so the derivative along a direction is a difference, exactly.
    direction = pictures(6, size=4, seed=2).double()
    (slope,) = torch.autograd.grad((module(images, draws) * direction).sum(), images)
    step = pictures(6, size=4, seed=3).double()
    with torch.no_grad():
        difference = ((module(images + step, draws) - module(images, draws)) * direction).sum()
    torch.testing.assert_close((slope * step).sum(), difference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("module", each_built(), ids=["diffaugment", "ada"])
def test_the_dtype_stays_and_autocast_changes_nothing(module: Any) -> None:
    images, draws = pictures(8), uniform(8, module.draws)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        changed = module(images, draws)
    torch.testing.assert_close(changed, module(images, draws), rtol=0, atol=0)
    low = module(images.bfloat16(), draws)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), module(images, draws), rtol=0.05, atol=0.05)
    last = module(images.contiguous(memory_format=torch.channels_last), draws)
    torch.testing.assert_close(last, module(images, draws))


@pytest.mark.parametrize("module", each_built(), ids=["diffaugment", "ada"])
def test_nothing_waits_for_a_value(module: Any) -> None:
    """In one graph, which a branch on a tensor's value would break; and without values at all."""
    images, draws = pictures(4, size=8), uniform(4, module.draws)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images, draws), module(images, draws))
    hollow = copy.deepcopy(module).to("meta")
    assert hollow(images.to("meta"), draws.to("meta")).shape == images.shape
    hollow.observe({"signs/real": torch.empty((), device="meta")}, 4)


@pytest.mark.parametrize("module", each_built(), ids=["diffaugment", "ada"])
@pytest.mark.parametrize("draw", [0.0, 1 - 2**-24])
def test_the_outermost_draws_are_as_good_as_any(module: Any, draw: float) -> None:
    changed = module(pictures(2), torch.full((2, module.draws), draw))
    assert torch.isfinite(changed).all()
    assert changed.abs().max() < 100


@pytest.mark.parametrize(
    ("component", "nothing"),
    [
        (NoAugmentation(), True),
        (Ada(probability=0.0), True),
        (Ada(), False),
        (DiffAugment(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.0, cutout=0.0), True),
        (DiffAugment(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.0), False),
    ],
)
def test_what_would_change_nothing_is_not_built(component: Any, nothing: bool) -> None:
    assert (component.build(SHAPE) is None) is nothing


def test_a_probability_over_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"probability: expected at most the limit 0.5"):
        Ada(probability=0.8, limit=0.5)


# -- ADA: what does not leak -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_at_probability_0_images_stay_bit_for_bit(channels: int) -> None:
    module = ada()
    assert module.probability == 0
    images = pictures(64, channels)
    torch.testing.assert_close(module(images, uniform(64, module.draws)), images, rtol=0, atol=0)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_with_probability_0_never_happens_and_alone_it_does(change: str) -> None:
    images, draws = pictures(200), uniform(200, AdaModule.draws)
    changed = only(change)(images, draws)
    assert (changed != images).flatten(1).any(1).float().mean() > 0.4
    torch.testing.assert_close(only()(images, draws), images, rtol=0, atol=0)


def share_changed(change: str, p: float, count: int = 4000) -> float:
    module = only(change, probability=p)
    images = pictures(1, size=8).expand(count, -1, -1, -1)
    return float((module(images, uniform(count, module.draws)) != images).flatten(1).any(1).float().mean())


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("flip", 1 / 2),
        ("turn", 3 / 4),
        ("shift", 3 / 4),  # of 8 pixels, each way by -1, 0 or 1, by 0 half of the time
        ("scale", 1.0),
        ("rotation", 1.0),
        ("stretch", 1.0),
        ("drift", 1.0),
        ("brightness", 1.0),
        ("contrast", 1.0),
        ("luma_flip", 1 / 2),
        ("hue", 1.0),
        ("saturation", 1.0),
    ],
)
@pytest.mark.parametrize("p", [0.2, 0.7, 1.0])
def test_changes_happen_as_often_as_they_should(change: str, seen: float, p: float) -> None:
    expected = p * seen
    margin = 4 * math.sqrt(expected * (1 - expected) / 4000) + 1e-3
    assert abs(share_changed(change, p) - expected) < margin


def test_multipliers_scale_the_probability() -> None:
    module = ada(probability=0.8, **{change: 0.0 for change in CHANGES if change != "flip"}, flip=0.5)
    images = pictures(1, size=8).expand(4000, -1, -1, -1)
    changed = (module(images, uniform(4000, module.draws)) != images).flatten(1).any(1).float().mean()
    assert abs(float(changed) - 0.8 * 0.5 / 2) < 0.025


def test_flips_and_turns_come_out_evenly_at_p_1() -> None:
    """At p = 1 all eight orientations are as likely, whatever came in: the one case that must leak."""
    images = pictures(1, 1, 4).expand(8000, -1, -1, -1)
    changed = only("flip", "turn")(images, uniform(8000, AdaModule.draws))
    kinds, counts = changed.flatten(1).unique(dim=0, return_counts=True)
    assert len(kinds) == 8
    assert (counts / 8000 - 1 / 8).abs().max() < 0.015


def test_below_p_1_the_image_as_it_was_stays_the_likeliest() -> None:
    """What keeps ADA from leaking: the original orientation stands out, so what the reals look like can be told."""
    images = pictures(1, 1, 4).expand(8000, -1, -1, -1)
    module = only("flip", "turn", probability=0.8)
    changed = module(images, uniform(8000, module.draws))
    unchanged = (changed == images).flatten(1).all(1).float().mean()
    assert abs(float(unchanged) - (1 - 0.8 / 2) * (1 - 0.8 * 3 / 4)) < 0.02
    _, counts = changed.flatten(1).unique(dim=0, return_counts=True)
    assert counts.max() / 8000 == unchanged


# -- ADA: the changes themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, -1), (-3, 5)])
def test_blits_are_exact(flip: bool, turns: int, right: int, down: int) -> None:
    images = pictures(2, size=8)
    found = blit(images, torch.tensor([flip] * 2), *(torch.tensor([value] * 2) for value in (turns, right, down)))
    expected = images.flip(3) if flip else images
    expected = torch.rot90(expected, turns, (2, 3)).numpy()
    around = np.pad(expected, ((0, 0), (0, 0), (7, 7), (7, 7)), mode="reflect")
    expected = around[:, :, 7 - down : 15 - down, 7 - right : 15 - right]
    np.testing.assert_array_equal(found.numpy(), expected)


def affine(**changes: float) -> Affine:
    nothing = {"scale": 1.0, "rotation": 0.0, "stretch": 1.0, "second_rotation": 0.0, "drift_x": 0.0, "drift_y": 0.0}
    return Affine(**{name: torch.tensor([value]) for name, value in (nothing | changes).items()})


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_an_affine_map_by_whole_pixels_and_quarter_turns_is_the_blit(interpolation: Any) -> None:
    images = pictures(1, size=8)
    still, none = torch.tensor([0]), torch.tensor([False])
    for changes, arguments in (
        ({"rotation": -math.pi / 2}, (none, torch.tensor([1]), still, still)),
        ({"second_rotation": math.pi}, (none, torch.tensor([2]), still, still)),
        ({"drift_x": 2.0, "drift_y": -3.0}, (none, still, torch.tensor([2]), torch.tensor([-3]))),
    ):
        found = transformed(images, affine(**changes), interpolation)
        torch.testing.assert_close(found, blit(images, *arguments), rtol=1e-4, atol=1e-4)


def test_scales_and_stretches_change_the_size_of_what_is_shown() -> None:
    line = torch.arange(32) - 15.5
    blob = torch.exp(-(line[:, None].square() + line[None, :].square()) / (2 * 3.0**2))[None, None]

    def widths(**changes: float) -> tuple[float, float]:
        shown = transformed(blob, affine(**changes), "bicubic")[0, 0]
        spread = [float((shown.sum(dim) * line.square()).sum() / shown.sum()) ** 0.5 for dim in (0, 1)]
        return round(spread[0], 1), round(spread[1], 1)

    assert widths() == pytest.approx((3.0, 3.0), abs=0.11)
    assert widths(scale=0.8) == pytest.approx((2.4, 2.4), abs=0.11)
    assert widths(scale=1.25) == pytest.approx((3.75, 3.75), abs=0.11)
    assert widths(stretch=1.25) == pytest.approx((3.75, 2.4), abs=0.11)
    assert widths(stretch=1.25, second_rotation=math.pi / 2) == pytest.approx((2.4, 3.75), abs=0.11)
    assert widths(stretch=1.25, rotation=math.pi / 2) == pytest.approx((3.75, 2.4), abs=0.11)


def test_colours_follow_the_published_matrices() -> None:
    """The chain of matrices of appendix B, written out, on colours as column vectors with a 1 below."""
    b, c, theta, s = 0.3, 1.4, 0.7, 1.8
    v = np.ones(3) / math.sqrt(3)
    grey = np.outer(v, v)
    across = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    turned = np.cos(theta) * np.eye(3) + np.sin(theta) * across + (1 - np.cos(theta)) * grey
    whole = (grey + (np.eye(3) - grey) * s) @ turned @ (np.eye(3) - 2 * grey) @ (c * np.eye(3))
    images = pictures(2, size=4).double()
    expected = np.einsum("ij,njhw->nihw", whole, images.numpy() + b)
    values = (torch.tensor([value] * 2, dtype=torch.float64) for value in (b, c, -1.0, theta, s))
    torch.testing.assert_close(recoloured(images, Colour(*values)), torch.from_numpy(expected))


def test_grey_images_change_as_grey_ones_in_three_channels() -> None:
    images = pictures(50, 1)
    module, draws = ada(probability=1.0), uniform(50, AdaModule.draws)
    three = module(images.expand(-1, 3, -1, -1), draws)
    torch.testing.assert_close(module(images, draws).expand(-1, 3, -1, -1), three, rtol=1e-4, atol=1e-5)


def test_the_amounts_have_the_published_spread() -> None:
    columns = Columns(uniform(50_000, 3))
    scale = columns.power_of_two(0.2).log2()
    assert abs(float(scale.std()) - 0.2) < 0.002
    assert abs(float(scale.mean())) < 0.003
    shift = columns.normal(0.125)
    assert abs(float((shift.abs() < 0.125).float().mean()) - 0.6827) < 0.01
    turns = columns.whole(4)
    assert torch.bincount(turns).div(50_000).sub(0.25).abs().max() < 0.01
    assert Columns(torch.tensor([[1 - 2**-24]])).whole(1000) == 999


# -- ADA: how it adapts ------------------------------------------------------------------------------------------------


def seen(module: AdaModule, signs: list[float], minibatch: int = 10) -> list[float]:
    """The probability after each update in which reals had this mean sign."""
    found = []
    for sign in signs:
        module.observe({"signs/real": torch.tensor(sign)}, minibatch)
        found.append(round(float(module.probability), 6))
    return found


def test_the_probability_follows_the_mean_sign_of_an_interval() -> None:
    module = ada(adjust_images=1000)
    assert seen(module, [1.0, 1.0, 1.0, 1.0]) == [0, 0, 0, 0.04]
    assert float(module.report()["augment/overfitting"]) == 1
    assert seen(module, [1.0, 0.5, 0.5, 0.5]) == [0.04, 0.04, 0.04, 0.08]  # the mean, 0.625, is over the target
    assert seen(module, [1.0, 0.5, 0.4, 0.4], minibatch=20) == [0.08, 0.08, 0.08, 0]  # 0.575 is under it
    assert seen(module, [-1.0] * 4) == [0, 0, 0, 0]
    assert float(module.report()["augment/probability"]) == 0


def test_the_probability_rises_in_adjust_images_and_stays_at_the_limit() -> None:
    module = ada(adjust_images=400, limit=0.8)
    found = seen(module, [1.0] * 80)
    assert found[39] == found[-1] == pytest.approx(0.8)
    assert found[31] == pytest.approx(0.8)
    assert found[27] == pytest.approx(0.7)
    assert max(found) <= 0.8 + 1e-6


def test_a_fixed_probability_stays_while_overfitting_is_told() -> None:
    module = ada(probability=0.3)
    assert set(seen(module, [1.0] * 8)) == {0.3}
    report = module.report()
    assert float(report["augment/overfitting"]) == 1
    before = {name: float(value) for name, value in report.items()}
    seen(module, [-1.0] * 4)
    assert {name: float(value) for name, value in report.items()} == before, "a report must not change afterwards"


def test_an_interval_that_was_cut_in_two_by_a_checkpoint_goes_on() -> None:
    signs = [1.0, 0.9, 0.3, 0.8, 0.7, 0.2]
    whole, first, second = (ada(adjust_images=100, interval=3) for _ in range(3))
    expected = seen(whole, signs)
    begun = seen(first, signs[:4])
    second.load_state_dict(first.state_dict())
    assert begun + seen(second, signs[4:]) == expected
    assert expected[-1] != expected[2] != 0


# -- DiffAugment -------------------------------------------------------------------------------------------------------


def alone(**settings: float) -> Any:
    nothing = {"brightness": 0.0, "saturation": 0.0, "contrast": 0.0, "translation": 0.0, "cutout": 0.0}
    return DiffAugment(**(nothing | settings)).build(SHAPE)


def test_brightness_moves_all_values_by_one_amount() -> None:
    images = pictures(2000, size=4)
    moved = (alone(brightness=0.5)(images, uniform(2000, 7)) - images).flatten(1)
    assert (moved.max(1).values - moved.min(1).values).max() < 1e-5
    assert -0.5 <= moved.min() < -0.48
    assert 0.48 < moved.max() <= 0.5001
    assert abs(float(moved.mean())) < 0.03


@pytest.mark.parametrize(("setting", "dims", "least", "most"), [
    ("saturation", (1,), 0.0, 2.0),
    ("contrast", (1, 2, 3), 0.5, 1.5),
])  # fmt: skip
def test_saturation_and_contrast_stretch_about_their_means(
    setting: str, dims: tuple[int, ...], least: float, most: float
) -> None:
    images = pictures(2000, size=4)
    changed = alone(**{setting: {"saturation": 1.0, "contrast": 0.5}[setting]})(images, uniform(2000, 7))
    mean = images.mean(dims, keepdim=True)
    torch.testing.assert_close(changed.mean(dims, keepdim=True), mean, rtol=0, atol=1e-5)
    factors = (changed - mean).flatten(1).norm(dim=1) / (images - mean).flatten(1).norm(dim=1)
    assert least <= factors.min() < least + 0.02
    assert most - 0.02 < factors.max() <= most + 1e-4


@pytest.mark.parametrize(("size", "most"), [(4, 1), (8, 1), (16, 2), (24, 3)])
def test_translation_shifts_by_up_to_an_eighth_and_fills_with_0(size: int, most: int) -> None:
    images = pictures(1, 1, size).abs() + 0.1
    moved = alone(translation=0.125)(images.expand(3000, -1, -1, -1), uniform(3000, 7))
    padded = torch.nn.functional.pad(images, (most,) * 4)[0, 0]
    possible = torch.stack([
        padded[most - y : most - y + size, most - x : most - x + size]
        for y in range(-most, most + 1)
        for x in range(-most, most + 1)
    ])  # fmt: skip
    found = (moved == possible[None]).flatten(2).all(2)
    assert found.any(1).all()
    counts = found.float().mean(0)
    assert (counts - 1 / len(possible)).abs().max() < 0.035


@pytest.mark.parametrize("size", [4, 16])
def test_cutout_empties_a_square_whose_middle_lies_in_the_image(size: int) -> None:
    images = pictures(1, 3, size).abs() + 0.1
    cut = alone(cutout=0.5)(images.expand(4000, -1, -1, -1), uniform(4000, 7))
    empty = cut == 0
    assert (cut[~empty] == images.expand_as(cut)[~empty]).all()
    assert (empty == empty[:, :1]).all()
    areas = empty[:, 0].flatten(1).sum(1)
    assert areas.max() == (size // 2) ** 2
    assert areas.min() == (size // 4) ** 2  # in a corner
    rows = empty[:, 0].any(2).sum(1)
    assert set(rows.tolist()) == set(range(size // 4, size // 2 + 1))


# -- in a run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "augmentation",
    ["{name='ada', adjust_images=100, interval=3, target=0.0}", "diffaugment"],
    ids=["ada", "diffaugment"],
)
def test_a_resumed_run_on_few_images_is_the_same(tmp_path: Path, augmentation: str) -> None:
    loaded = tiny(
        tmp_path,
        "run.images=120",
        "data={name='first', of='pixel-faces', count=20, resolution=16}",
        "loss=non-saturating",
        "schedule={stabilize_images=16, fade_images=16}",
        "metrics=[{name='swd', count=24, patches_per_image=4}]",
        f"augmentation={augmentation}",
    )
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [40]))
    values = [json.loads(line)["values"] for line in (whole.path / "metrics.jsonl").read_text().splitlines()]
    seen = [value["augment/probability"] for value in values if "augment/probability" in value]
    assert (max(seen, default=0) > 0) == ("ada" in augmentation)
    assert whole.info()["data"]["trained_count"] == 20
