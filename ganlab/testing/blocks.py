"""Suites of what networks are built of: layers and normalizations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.testing.contract import Contract, NotApplicable, building, expect, while_doing
from ganlab.testing.modules import EVERY_USE, contracts_of
from ganlab.testing.tensors import Tensors, far, normal
from ganlab.testing.use import Use

COUNT = 8
"""Samples in a minibatch: two groups of four."""
CHANNELS = (8, 6, 5, 7, 16)
"""Tried in turn, for layers whose `check_channels` takes certain numbers only."""
STRENGTH = torch.tensor(0.3)


def channels_for(component: Any) -> int:
    """A number of channels that a layer works with."""
    asked = getattr(component, "check_channels", None)
    for channels in CHANNELS:
        try:
            if asked is not None:
                asked(channels)
        except ValueError as error:
            refusal = error
        else:
            return channels
    raise NotApplicable(f"check_channels() takes none of {', '.join(map(str, CHANNELS))}: {refusal}")


def activations(channels: int) -> dict[str, Tensor]:
    """By what they are: those with pixels and those without."""
    return {"for images": normal(COUNT, channels, 4, 4), "for vectors": normal(COUNT, channels, seed=1)}


def _layer_uses(component: Any) -> Sequence[Use]:
    channels = channels_for(component)

    def make() -> nn.Module:
        with building():
            module: nn.Module = component.build(channels)
        return module

    noisy = bool(getattr(make(), "draws_noise", False))

    def call(module: Any, inputs: Tensors) -> Tensors:
        if noisy:
            return {"x": module(inputs["x"], inputs["noise"], inputs["strength"])}
        return {"x": module(inputs["x"])}

    noise = {"noise": normal(COUNT, channels, seed=2), "strength": STRENGTH} if noisy else {}
    return [
        Use(
            what=what,
            make=make,
            inputs={"x": x, **noise},
            call=call,
            learns_from=("x",),
            per_sample=("x", "noise") if noisy else ("x",),
            keeps_dtype=True,
            again="vectors" in what,
        )
        for what, x in activations(channels).items()
    ]


def _layer_shapes(component: Any) -> None:
    for use in _layer_uses(component):
        module, x = use.fresh(), use.inputs["x"]
        out = getattr(module, "out_channels", None)
        expect(
            isinstance(out, int) and out > 0,
            f"the built module's `out_channels` is {out!r}",
            "set self.out_channels to the number of channels that it returns",
        )
        said = getattr(component, "draws_noise", None)
        is_so = bool(getattr(module, "draws_noise", False))
        expect(
            said is None or bool(said) == is_so,
            f"the component's `draws_noise` is {said}, the built module's {is_so}",
            "let both say the same",
        )
        with while_doing(use.what):
            has_shape(use.call(module, use.inputs)["x"], (COUNT, out, *x.shape[2:]))


def has_shape(found: Any, expected: tuple[Any, ...], name: str = "it") -> None:
    """Raise `Broken` for another shape, and for what is no tensor."""
    expect(isinstance(found, Tensor), f"{name} returns {type(found).__name__} and no tensor")
    expect(tuple(found.shape) == expected, f"{name} returns the shape {list(found.shape)}, expected {list(expected)}")


LAYER = (
    Contract(
        "shapes",
        "`[N, C, H, W]` becomes `[N, out_channels, H, W]`, and `[N, C]` `[N, out_channels]`",
        "return what `out_channels` says, for activations with pixels and without",
        _layer_shapes,
    ),
    *contracts_of(
        _layer_uses,
        *EVERY_USE,
    ),
)


# ---------------------------------------------------------------------------------------------------------------------


def _normalization_uses(component: Any) -> Sequence[Use]:
    def make(track: bool) -> Callable[[], nn.Module]:
        def build() -> nn.Module:
            with building():
                module = component.build(8, track_statistics=track)
            if module is None:
                raise NotApplicable("it builds nothing")
            return module  # type: ignore[no-any-return]  # the component is anybody's

        return build

    return [
        Use(
            what=f"{what} in a {'generator' if track else 'discriminator'}",
            make=make(track),
            inputs={"x": x},
            call=lambda module, inputs: {"x": module(inputs["x"])},
            learns_from=("x",),
            per_sample=("x",),
            keeps_dtype=True,
            penalized=not track,
            again="vectors" in what,
        )
        for track in (True, False)
        for what, x in activations(8).items()
    ]


def _normalization_shapes(component: Any) -> None:
    expect(
        component.placement in ("before-activation", "after-activation"),
        f"`placement` is {component.placement!r}",
        'let it be "before-activation" or "after-activation"',
    )
    expect(
        isinstance(component.replaces_bias, bool),
        f"`replaces_bias` is {component.replaces_bias!r}",
        "let it be True where the module brings its own offset, else False",
    )
    for use in _normalization_uses(component):
        with while_doing(use.what):
            has_shape(use.call(use.fresh(), use.inputs)["x"], tuple(use.inputs["x"].shape))


def _normalization_evaluates(component: Any) -> None:
    for use in _normalization_uses(component):
        module = use.fresh()
        with torch.no_grad(), while_doing(use.what):
            for seed in range(3):
                use.call(module, use.other_inputs(seed))
            before = {name: value.clone() for name, value in module.state_dict().items()}
            if "generator" in use.what:
                module.eval()
                whole = module(use.inputs["x"])
                alone = torch.cat([module(row.unsqueeze(0)) for row in use.inputs["x"]])
                off = far(whole, alone, 1e-3)
                expect(off is None, f"in evaluation mode a sample alone differs from one in a minibatch, by {off}")
            after = module.state_dict()
            same = all(torch.equal(before[name], after[name]) for name in before)
            expect(same, "in evaluation mode it changes its state")
            tracked = list(before) if "discriminator" in use.what else []
            kept = [name for name in tracked if name in dict(module.named_buffers())]
            fresh = use.fresh().state_dict()
            moved = [name for name in kept if not torch.equal(fresh[name], after[name])]
            expect(
                not moved,
                f"in a discriminator a forward changes {', '.join(moved)}",
                "without track_statistics use the minibatch's own statistics, and change nothing in place",
            )


NORMALIZATION = (
    Contract(
        "shapes",
        "it returns the shape that it is given; `placement` and `replaces_bias` are what the interface says",
        "normalize without changing the shape, for activations with pixels and without",
        _normalization_shapes,
    ),
    Contract(
        "evaluation",
        "in evaluation mode generators work sample by sample; discriminators track nothing",
        "keep running statistics where track_statistics is true, and use them when not self.training",
        _normalization_evaluates,
    ),
    *contracts_of(
        _normalization_uses,
        *EVERY_USE,
    ),
)
