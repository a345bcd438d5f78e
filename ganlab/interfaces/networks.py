"""Networks: the roles there are, and what each is called as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import attrs

if TYPE_CHECKING:
    from torch import Tensor, nn


@attrs.frozen
class ImageShape:
    """What the images of a run look like; the networks are built for it."""

    channels: int
    """1 for grey, 3 for RGB."""
    resolution: int
    """Width and height at the finest level, in pixels; a power of two, 4 or more."""
    label_size: int = 0
    """Number of classes that condition the networks; 0 for none."""

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Every resolution the networks grow through: 4, 8, ... `resolution`."""
        return tuple(1 << k for k in range(2, self.resolution.bit_length()))


class Critique(NamedTuple):
    """What a discriminator says about a batch."""

    scores: Tensor
    """`[N]`, unbounded; higher means more like a real image, unless the loss says otherwise.

    A discriminator that judges P patches of each image one by one returns `[N, P]`. Losses are then means over both,
    and a gradient penalty takes the gradient of each image's mean score.
    """
    label_logits: Tensor | None
    """`[N, label_size]`, or None without labels."""


class Network(Protocol):
    """Kind `network`: a generator, a translator or a discriminator, told apart by `role`.

    `generator` and `translator` both stand in a recipe's `[generator]`; which of them a system asks for it says itself.
    """

    @property
    def role(self) -> Literal["generator", "translator", "discriminator"]: ...

    def build(self, images: ImageShape) -> nn.Module:
        """The module, with weights not yet initialized; see `Generator`, `Translator` and `Discriminator` for how it
        is called.

        A module inside it with a method `initialize(draw)`, `draw(name, shape) -> standard normal Tensor`, is
        initialized through it: the draws depend on the run's seed and the module's own name only, so that
        variants share what they have in common. A module with a method `before_update()` has it called, without
        gradients, before each update of the network (unless it is None); that is the place for state that a forward
        must not change.
        Modules with `hold()` and `release()` have them called around the discriminator passes of one update: what is
        derived from weights alone need be worked out once between them. Modules with attributes `resolution` and
        `recomputed` have the latter set from `run.recompute_from` on, and then keep no activations; that is refused
        where a part of them has a true `changes_in_forward`, as calling it twice would count twice.
        """
        ...


class Generator(Protocol):
    """What a built generator is called as. It is an `nn.Module`."""

    latent_size: int
    label_size: int

    def __call__(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """`[N, latent_size]`, `[N, label_size]` -> images `[N, C, resolution, resolution]`, about [-1, 1].

        `fade`, a 0-d tensor in [0, 1], is the weight of the finest level against the doubled image of the one below;
        None means 1 and lets the coarser branch be left out.
        """
        ...


class Translator(Protocol):
    """What a built generator of role "translator" is called as: it turns images into images. It is an `nn.Module`."""

    latent_size: int
    """Of the latents it takes beside the images; 0 for none."""

    def __call__(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        """Images `[N, C, R, R]` at any trained resolution R, latents `[N, latent_size]` -> `[N, C, R, R]`.

        `fade` is as in `Generator`: the weight of the finest level, both where images enter and where they leave.
        """
        ...


class Discriminator(Protocol):
    """What a built discriminator is called as. It is an `nn.Module`."""

    def __call__(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Images `[N, C, R, R]` at any trained resolution R; `noise` has one `[N, channels]` tensor for each entry of
        `noise_channels(R)`, and `noise_strength` is a 0-d tensor (None: the layers' own).
        """
        ...

    # A discriminator with a true attribute `joins_passes` is called with reals and fakes in one batch and `passes=2`:
    # it must keep apart whatever compares samples, as if each pass had been a call of its own. One may also have
    # `start_from(images)`: it is called once, without gradients, with the first minibatch of reals, for layers whose
    # initial weights depend on data. A network whose variables have names in the authors' TensorFlow program may have
    # `load_tf_variables(arrays)` and `tf_variables()`.

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """Channels of each noise layer active at `resolution`, in the order in which they are applied."""
        ...
