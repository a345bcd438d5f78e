"""The suite of networks: generators, translators and discriminators, at the smallest images that they are made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab.testing.contract import Contract, NotApplicable, expect, while_doing
from ganlab.testing.images import CHANNELS, COUNT, image_shape, suits, with_labels_if_it_can
from ganlab.testing.modules import EVERY_USE, contracts_of
from ganlab.testing.tensors import Tensors, built, far, finite, normal, one_hot, uniform
from ganlab.testing.use import Use

Role = Literal["generator", "translator", "discriminator"]


class Called:
    """How a network of some role is called at a level."""

    def __init__(self, component: Any, images: ImageShape, level: int, fade: float | None) -> None:
        self.component = component
        self.images = images
        self.level = level
        self.role: Role = component.role
        self._fade = fade

    def make(self) -> nn.Module:
        """Build it."""
        module: nn.Module = self.component.build(self.images)
        return module

    def inputs(self) -> dict[str, Tensor]:
        """What it is called with."""
        network: Any = built(self.make, 0)
        images = 2 * uniform(COUNT, CHANNELS, self.level, self.level, seed=1) - 1
        given = {} if self._fade is None else {"fade": torch.tensor(self._fade)}
        if self.role == "generator":
            given["latents"] = normal(COUNT, network.latent_size, seed=2)
            if self.images.label_size:
                given["labels"] = one_hot(COUNT, self.images.label_size)
        elif self.role == "translator":
            given["images"] = images
            if network.latent_size:
                given["latents"] = normal(COUNT, network.latent_size, seed=2)
        else:
            given["images"] = images
            widths = network.noise_channels(self.level)
            given |= {f"noise{n}": normal(COUNT, width, seed=3 + n) for n, width in enumerate(widths)}
            if widths:
                given["noise_strength"] = torch.tensor(0.2)
        return given

    def __call__(self, network: Any, inputs: Tensors) -> Tensors:
        """Its outputs by name."""
        return self.named(self.returned(network, inputs))

    def returned(self, network: Any, inputs: Tensors) -> Any:
        """What it returns."""
        fade = inputs.get("fade")
        if self.role == "generator":
            return network(inputs["latents"], inputs.get("labels"), resolution=self.level, fade=fade)
        if self.role == "translator":
            return network(inputs["images"], inputs.get("latents"), fade=fade)
        noise = [value for name, value in inputs.items() if name.startswith("noise") and name != "noise_strength"]
        return network(inputs["images"], fade=fade, noise=noise, noise_strength=inputs.get("noise_strength"))

    def named(self, returned: Any) -> Tensors:
        """That by name."""
        if self.role != "discriminator":
            return {"images": returned}
        logits = returned.label_logits
        return {"scores": returned.scores, **({} if logits is None else {"label_logits": logits})}

    def use(self) -> Use:
        """For the contracts that all modules share."""
        source = "latents" if self.role == "generator" else "images"
        inputs = self.inputs()
        return Use(
            what=f"at {self.level}x{self.level}",
            make=self.make,
            inputs=inputs,
            call=self,
            learns_from=(source,),
            per_sample=tuple(name for name, value in inputs.items() if value.ndim),
            penalized=self.role == "discriminator",
        )


def _uses(component: Any) -> Sequence[Use]:
    images = with_labels_if_it_can(component)
    grows = suits(component, images.resolution, images.resolution, 0.5)
    called = Called(component, images, images.resolution, 0.5 if grows else None)
    if grows:
        try:
            with torch.no_grad():
                called(built(called.make, 0), called.inputs())
        except GanlabError:  # it says so only now
            called = Called(component, images, images.resolution, None)
    return [called.use()]


def _shapes(component: Any) -> None:
    roles = ("generator", "translator", "discriminator")
    expect(component.role in roles, f"`role` is {component.role!r}", f"let it be one of {', '.join(roles)}")
    for labels in (False, True):
        try:
            images = image_shape(component, labels=labels)
        except NotApplicable:
            if labels:
                continue
            raise
        for level in images.resolutions:
            with while_doing(f"at {level}x{level}{' with labels' if labels else ''}"):
                _shapes_at(component, images, level)


def _shapes_at(component: Any, images: ImageShape, level: int) -> None:
    finest = level == images.resolution
    for fade in (None, 0.5):
        if not suits(component, images.resolution, level, 1.0 if fade is None else fade):
            continue
        called = Called(component, images, level, fade)
        network: Any = built(called.make, 0)
        if called.role != "discriminator":
            size = getattr(network, "latent_size", None)
            expect(isinstance(size, int), f"the built network's `latent_size` is {size!r}", "set it in __init__")
        if called.role == "generator":
            expect(
                getattr(network, "label_size", None) == images.label_size,
                f"the built network's `label_size` is {getattr(network, 'label_size', None)!r}",
                "set self.label_size = images.label_size, or refuse labels in build() by a GanlabError",
            )
        try:
            with torch.no_grad():
                returned = called.returned(network, called.inputs())
        except GanlabError:
            expect(not finest or fade is not None, "it refuses the resolution that it was built for")
            continue
        if called.role == "discriminator":
            expect(
                isinstance(returned, Critique),
                f"it returns {type(returned).__name__} and no Critique",
                "return ganlab.interfaces.Critique(scores, label logits or None)",
            )
        _check(called.named(returned), images, level)


def _check(outputs: Mapping[str, Any], images: ImageShape, level: int) -> None:
    expected = {
        "images": (COUNT, images.channels, level, level),
        "scores": (COUNT,),
        "label_logits": (COUNT, images.label_size),
    }
    for name, value in outputs.items():
        expect(isinstance(value, Tensor), f"it returns {type(value).__name__} where '{name}' should be a tensor")
        judged_in_patches = name == "scores" and value.ndim == 2 and value.shape[0] == COUNT and value.shape[1] > 1
        expect(
            judged_in_patches or tuple(value.shape) == expected[name],
            f"'{name}' has the shape {list(value.shape)}, expected {list(expected[name])}",
        )
    if "scores" in outputs and images.label_size:
        expect("label_logits" in outputs, "built for labels, it returns no `label_logits`")
    finite(outputs, "output")


def _fade_of_one(component: Any) -> None:
    use = _uses(component)[0]
    if "fade" not in use.inputs:
        raise NotApplicable("it does not grow")
    with torch.no_grad():
        faded = use.call(use.fresh(), {**use.inputs, "fade": torch.ones(())})
        alone = use.call(use.fresh(), {name: value for name, value in use.inputs.items() if name != "fade"})
    for name, value in alone.items():
        off = far(value, faded[name], 1e-3)
        expect(off is None, f"a fade of 1 and none differ in '{name}', by {off}")


def _joined(component: Any) -> None:
    use = _uses(component)[0]
    network: Any = use.fresh()
    if not getattr(network, "joins_passes", False):
        raise NotApplicable("it has no `joins_passes`")
    images = use.inputs["images"]
    others = images.flip(0) * 0.5
    settings: dict[str, Any] = {"fade": use.inputs.get("fade"), "noise_strength": use.inputs.get("noise_strength")}
    noise = [value for name, value in use.inputs.items() if name.startswith("noise") and name != "noise_strength"]
    with torch.no_grad():
        apart = [network(each, noise=noise, **settings).scores for each in (images, others)]
        twice = [torch.cat([draws, draws]) for draws in noise]
        both: Critique = network(torch.cat([images, others]), noise=twice, passes=2, **settings)
    off = far(torch.cat(apart), both.scores, 1e-3)
    expect(off is None, f"two passes in one call give other scores than two calls, by {off}")


def _held(component: Any) -> None:
    use = _uses(component)[0]
    network = use.fresh()
    holders: list[Any] = [part for part in network.modules() if hasattr(part, "hold")]
    if not holders:
        raise NotApplicable("no module in it has hold()")
    with torch.no_grad():
        expected = use.call(network, use.inputs)
        for part in holders:
            part.hold()
        held = [use.call(network, use.inputs) for _ in range(2)]
        for part in holders:
            part.release()
        for parameter in network.parameters():
            parameter.mul_(1.5)
        after = use.call(network, use.inputs)
        other = use.fresh()
        other.load_state_dict(network.state_dict())
        wanted = use.call(other, use.inputs)
    for name, value in expected.items():
        for outputs in held:
            off = far(value, outputs[name], 1e-4)
            expect(off is None, f"between hold() and release() '{name}' differs, by {off}")
        off = far(wanted[name], after[name], 1e-4)
        expect(off is None, f"after release() '{name}' does not follow the weights; it is off by {off}")


def _first_minibatch(component: Any) -> None:
    use = _uses(component)[0]
    if component.role != "discriminator" or not hasattr(use.fresh(), "start_from"):
        raise NotApplicable("it has no start_from()")
    networks: list[Any] = [use.fresh(), use.fresh()]
    kept = use.inputs["images"].clone()
    with torch.no_grad():
        for network in networks:
            network.start_from(use.inputs["images"])
        first, second = (use.call(network, use.inputs) for network in networks)
    expect(torch.equal(kept, use.inputs["images"]), "start_from() changes the images in place")
    for name, value in first.items():
        expect(torch.equal(value, second[name]), f"started twice from the same images, '{name}' differs")
    finite(first, "after start_from(), output")


NETWORK = (
    Contract(
        "shapes",
        "at every level, with labels and without: images `[N, C, R, R]`, or scores `[N]` or `[N, P]`, and label logits",
        "return images, or a Critique; refuse in build() or check_run() what it is not made for",
        _shapes,
    ),
    *contracts_of(
        _uses,
        *EVERY_USE,
    ),
    Contract(
        "fade",
        "a fade of 1 gives what no fade gives",
        "blend by fade * own level + (1 - fade) * level below; see ganlab_layers.fade_in",
        _fade_of_one,
    ),
    Contract(
        "joined passes",
        "with a true `joins_passes`, reals and fakes in one call get the scores of two calls",
        "keep apart what compares samples, for each of the `passes`",
        _joined,
    ),
    Contract(
        "held weights",
        "between `hold()` and `release()` nothing but the work is less",
        "work out in hold() only what follows from weights alone, and forget it in release()",
        _held,
    ),
    Contract(
        "first minibatch",
        "`start_from` depends on the images alone",
        "work out initial weights from the images; draw nothing",
        _first_minibatch,
    ),
)
