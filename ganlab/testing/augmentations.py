"""The suite of augmentations, which change images by uniform draws that are handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.interfaces import ImageShape
from ganlab.testing.contract import Contract, NotApplicable, building, expect, while_doing
from ganlab.testing.modules import EVERY_USE, contracts_of
from ganlab.testing.tensors import Tensors, built, finite, on_meta, uniform
from ganlab.testing.use import Use

COUNT, RESOLUTION = 8, 16
SHAPES = {"for RGB": ImageShape(3, RESOLUTION), "for grey": ImageShape(1, RESOLUTION)}


def _make(component: Any, images: ImageShape) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        with building():
            module: nn.Module | None = component.build(images)
        if module is None:
            raise NotApplicable("it builds nothing")
        for _ in range(30):  # those that adapt begin at nothing
            _observe(module, {"images": torch.ones(COUNT, 1, 4, 4)})
        return module

    return make


@torch.no_grad()
def _observe(module: Any, inputs: Tensors) -> None:
    """An update of a discriminator that knows its reals by heart, more or less."""
    sure = inputs["images"].float().mean().clamp(-1, 1) * 0.1 + 0.9
    module.observe({"scores/real": sure, "scores/fake": -sure, "signs/real": sure}, 4096)


def _images(channels: int, resolution: int = RESOLUTION) -> Tensor:
    return 2 * uniform(COUNT, channels, resolution, resolution, seed=1) - 1


def _uses(component: Any) -> Sequence[Use]:
    def use(what: str, images: ImageShape) -> Use:
        make = _make(component, images)
        draws = int(built(make, 0).draws)
        return Use(
            what=what,
            make=make,
            inputs={"images": _images(images.channels), "uniform": uniform(COUNT, draws, seed=2)},
            call=lambda module, inputs: {"images": module(inputs["images"], inputs["uniform"])},
            learns_from=("images",),
            per_sample=("images", "uniform"),
            float32_anyhow=True,
            again="grey" in what,
            advance=_observe,
        )

    return [use(what, images) for what, images in SHAPES.items()]


def _shapes(component: Any) -> None:
    for what, images in SHAPES.items():
        module: Any = built(_make(component, images), 0)
        with while_doing(what):
            expect(
                isinstance(module.draws, int) and module.draws >= 0,
                f"`draws` is {module.draws!r}",
                "let it be the number of uniform draws that each image needs",
            )
            weights = [name for name, _ in module.named_parameters()]
            expect(not weights, f"it has weights: {', '.join(weights)}", "an augmentation does not learn; use buffers")
            for resolution in images.resolutions:
                for edge in (0.0, 1 - 2**-24, None):
                    draws = (
                        uniform(COUNT, module.draws, seed=3)
                        if edge is None
                        else torch.full((COUNT, module.draws), edge)
                    )
                    given = _images(images.channels, resolution)
                    found = module(given, draws)
                    expect(
                        found.shape == given.shape,
                        f"{list(given.shape)} becomes {list(found.shape)}",
                        "return images of the size that was given",
                    )
                    finite({"images": found}, f"for draws of {edge}," if edge is not None else "")


def _report(component: Any) -> None:
    for what, images in SHAPES.items():
        module: Any = built(_make(component, images), 0)
        with while_doing(what):
            for name, value in module.report().items():
                fits = isinstance(value, Tensor) and value.ndim == 0
                expect(fits, f"report() has '{name}': {value!r}", "report 0-d tensors")
                finite({name: value}, "the report's")
            away = on_meta(module)
            with torch.no_grad():
                signs = torch.zeros((), device="meta")
                away.observe({"scores/real": signs, "scores/fake": signs, "signs/real": signs}, COUNT)


AUGMENTATION = (
    Contract(
        "shapes",
        "images keep their shape at every resolution, for all draws in [0, 1); there are no weights",
        "return images as they were given, changed; build None where there is nothing to do",
        _shapes,
    ),
    *contracts_of(
        _uses,
        *(title for title in EVERY_USE if title != "second-order gradients"),
    ),
    Contract(
        "report",
        "`report` has 0-d tensors, and `observe` does not wait for the device",
        "adapt buffers by tensor operations; no .item() and no `if` on tensors",
        _report,
    ),
)
