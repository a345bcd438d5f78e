"""Gradients of gradient penalties are right in bfloat16 too, on processors where PyTorch's own are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab import derivatives
from ganlab.interfaces import Critique, ImageShape
from ganlab.recipe import load_recipe
from ganlab.train.critics import Level, make_critic
from ganlab.train.devices import autocast, choose_precision
from ganlab.train.players import Pair, bare_players
from ganlab_layers import wide
from ganlab_layers.convolution import Convolution
from ganlab_losses.built.gradients import score_gradients
from ganlab_normalizations.scaling_components import Equalized

from .test_precision import prepared

RECIPES = Path(__file__).parents[2] / "recipes"
CPU = torch.device("cpu")
SIZES = [(2, 32), (4, 16), (8, 8), (8, 16), (12, 8), (14, 16), (16, 16)]
"""Images and their height: where PyTorch's own derivatives are wrong with AMX, and the first minibatch that is well."""


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor with AMX."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "amx_bf16": True})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)


class Plain(nn.Module):
    """A discriminator as others write them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(0.2)
        )
        self.seen: list[bool] = []

    def forward(self, images: Tensor, **_: object) -> Critique:
        self.seen.append(torch.is_autocast_enabled("cpu"))
        return Critique(self.layers(images).float().square().mean((1, 2, 3)), None)


class Ours(Plain):
    """The same of our layers."""

    def __init__(self) -> None:
        super().__init__()
        how: dict[str, Any] = {"weight_scaling": Equalized(), "leaky_slope": 0.2}
        self.layers = nn.Sequential(Convolution(3, 8, 3, **how), Convolution(8, 8, 3, **how))
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))


def penalty_gradient(discriminator: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Of the squared gradient of scores, with respect to the first weight."""
    pair = Pair("", discriminator, _Loss())  # type: ignore[arg-type]  # a critic asks it for its noise alone
    noise: Mapping[str, Sequence[Tensor]] = {"mixed": ()}
    critic = make_critic(pair, noise, Level(images.shape[-1], None), autocast(CPU, precision))
    gradients, _ = score_gradients(critic, images, "mixed")
    (found,) = torch.autograd.grad(gradients.square().sum(), next(discriminator.parameters()))
    return found.flatten()


class _Loss:
    def noise_strength(self) -> None:
        return None

    def observe(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("kind", [Plain, Ours])
@pytest.mark.parametrize(("count", "size"), SIZES)
def test_a_penalty_s_gradient_in_bfloat16_is_that_of_float32_within_rounding(
    kind: type[Plain], count: int, size: int
) -> None:
    torch.manual_seed(1)
    discriminator, images = kind(), torch.randn(count, 3, size, size)
    exact, rounded = (penalty_gradient(discriminator, images, precision) for precision in ("float32", "bfloat16"))
    assert F.cosine_similarity(exact, rounded, dim=0) > 0.999


@pytest.mark.parametrize(("count", "expected"), [(15, [False]), (16, [True])])
def test_a_discriminator_of_other_convolutions_stays_in_float32_where_they_are_not_trusted(
    amx: None, count: int, expected: list[bool]
) -> None:
    plain, ours = Plain(), Ours()
    for discriminator in (plain, ours):
        penalty_gradient(discriminator, torch.randn(count, 3, 8, 8), "bfloat16")
    assert plain.seen == expected
    assert ours.seen == [True]


def test_images_whose_gradients_nobody_will_ask_for_are_judged_in_bfloat16(amx: None) -> None:
    plain = Plain()
    pair = Pair("", plain, _Loss())  # type: ignore[arg-type]  # a critic asks it for its noise alone
    how = ({"fakes": ()}, Level(8, None), autocast(CPU, "bfloat16"))
    make_critic(pair, *how)(torch.randn(4, 3, 8, 8), "fakes")
    made = torch.randn(4, 3, 8, 8, requires_grad=True) * 1  # as by a generator
    make_critic(pair, *how, penalized=False)(made, "fakes")
    assert plain.seen == [True, True]
    make_critic(pair, *how)(made, "fakes")
    assert plain.seen[2:] == [False]


@pytest.mark.parametrize("transposed", [False, True])
def test_where_care_is_taken_our_layers_compute_in_float32_or_in_three_maps(
    amx: None, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, weight = torch.randn(4, 2, 16, 16), torch.randn(2, 2, 3, 3, requires_grad=True)
    convolve = wide.convolve_transposed if transposed else wide.convolve
    how = {"stride": 1, "padding": 1}
    with torch.autocast("cpu", torch.bfloat16):
        exact = convolve(x, weight, None, **how)
        monkeypatch.setattr(wide, "worthwhile", lambda x, weight, pixels: True)
        mapped = convolve(x, weight, None, **how)
    plain = (F.conv_transpose2d if transposed else F.conv2d)(x, weight, None, **how)
    assert exact.dtype == mapped.dtype == torch.bfloat16
    assert torch.equal(exact, plain.bfloat16())
    torch.testing.assert_close(mapped.float(), plain, rtol=0.02, atol=0.05)


def test_our_layers_step_in_where_it_is_needed(amx: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(count: int, *, columns: int = 16, learns: bool = True, dtype: torch.dtype = torch.bfloat16) -> bool:
        x = torch.zeros(count, 2, columns, columns, dtype=dtype)
        return wide.needs_care(x, torch.zeros(2, 2, 3, 3, dtype=dtype, requires_grad=learns), columns)

    assert taken(4)
    assert not taken(16)
    assert not taken(4, columns=8)  # too small to go wrong
    assert not taken(4, learns=False)
    assert not taken(4, dtype=torch.float32)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not taken(4)


@pytest.mark.parametrize(
    ("recipe", "own"),
    [("pggan", True), ("wgan-gp", True), ("dcgan", True), ("lapgan", True), ("began", True), ("r3gan", False)],
)
def test_networks_say_whether_they_bring_their_own_derivatives(recipe: str, own: bool) -> None:
    players = bare_players(load_recipe(RECIPES / f"{recipe}.toml").recipe, ImageShape(3, 16))
    assert derivatives.brings_its_own(players.discriminator) is own


def test_auto_stays_in_float32_where_the_layers_would_be_compiled(amx: None) -> None:
    assert choose_precision("auto", CPU)[0] == "bfloat16"
    assert choose_precision("auto", CPU, compiled=True)[0] == "float32"


def test_compiling_in_bfloat16_all_the_same_is_warned_of(amx: None, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"run\.compile: in bfloat16 the gradients of gradient penalties may be wrong"):
        prepared(tmp_path, "run.compile=true", "run.precision=bfloat16")
