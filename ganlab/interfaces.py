"""What each kind of component must do: the contract between the core and every plugin, ours included.

A component is an `attrs.frozen` class of its parameters with a `build(...)` that makes the object training uses. The
class lives in a module that does not import torch; `build` imports what it needs. Activations and images are
`[N, C, H, W]`, latents and labels `[N, C]`, and images run over [-1, 1] inside the networks.

Any component may have a method `check_run(*, resolution, stages)`. When a recipe is loaded it is given the finest
resolution and the `Stage`s of the run, and raises `ValueError` where its parameters do not work with them; a text that
begins with a parameter, such as `widths: expected ...`, is reported at that key's line.

Any class may have a class variable `examples`: tables of parameters, as recipes write them, that `ganlab.testing`
computes with instead of the defaults: needed where a parameter has no default, and useful where defaults are slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import attrs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import Tensor, nn

KINDS: Mapping[str, str] = {
    "layer": "layers",
    "normalization": "normalizations",
    "weight-scaling": "weight_scalings",
    "loss": "losses",
    "regularizer": "regularizers",
    "schedule": "schedules",
    "network": "networks",
    "system": "systems",
    "augmentation": "augmentations",
    "dataset": "datasets",
    "metric": "metrics",
    "feature-network": "feature_networks",
    "optimizer": "optimizers",
    "executor": "executors",
}
"""Kind of component, to the plural in its hook's name: a `loss` is registered by `register_losses`."""


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


# ---------------------------------------------------------------------------------------------------------------------
# Building blocks of networks


class Layer(Protocol):
    """Kind `layer`: something a network has a slot for (minibatch stddev, multiplicative noise, ...).

    The component may say at load what its module will say when built: `draws_noise`, a class variable, and
    `check_channels(channels)`, which raises `ValueError` for a number of channels it cannot work with.

    Any module, here or elsewhere in a network or loss, whose output for one sample depends on others says so by a
    method `sample_groups(count)`: a NumPy integer array `[count]` with the group of each sample of a minibatch of so
    many (all zeros: each depends on all). Groups then stay together when a minibatch is divided into micro-batches or
    among ranks. Where they cannot, micro-batches are refused, and several ranks set the module's attribute `exchange`,
    which it must have (None at first), to an `Exchange`.
    """

    def build(self, channels: int) -> nn.Module:
        """A module for `[N, channels, H, W]` or `[N, channels]`; its attribute `out_channels` tells what it returns.

        A noise layer has the attribute `draws_noise = True` and is called as `module(x, noise, strength)` with
        `noise` `[N, channels]` standard normal and `strength` a 0-d tensor; every other layer as `module(x)`.
        """
        ...


class Exchange(Protocol):
    """What a module that compares samples asks other ranks by; all ranks call it in the same order.

    It can be differentiated any number of times; gradients are those of the sum of all ranks' losses.
    """

    def gather(self, x: Tensor) -> Tensor:
        """`[n, ...]`, of this rank's samples -> `[N, ...]`, of the whole minibatch's."""
        ...

    def own(self, whole: Tensor) -> Tensor:
        """`[N, ...]` -> `[n, ...]`, those of this rank."""
        ...


class Normalization(Protocol):
    """Kind `normalization`: keeps activations in range, after every layer of a network that has it.

    It has two properties. `placement` is "before-activation" or "after-activation". `replaces_bias` is true where the
    module brings its own offset, so that the layer below must have no bias.
    """

    @property
    def placement(self) -> Literal["before-activation", "after-activation"]: ...
    @property
    def replaces_bias(self) -> bool: ...

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module | None:
        """A module `[N, channels, H, W]` -> same shape (also `[N, channels]`), or None where there is nothing to do.

        `track_statistics` is true in generators, which are later evaluated one sample at a time; in discriminators it
        is false: they always use the minibatch's own statistics, and nothing is changed in place.
        """
        ...


class WeightScaling(Protocol):
    """Kind `weight-scaling`: how a stored weight becomes the one that is used (equalized, spectral, none)."""

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        """A module `weight -> weight` for a stored weight of `shape` (`[out, in, k, k]` or `[out, in]`).

        It also has `initial(normal: Tensor) -> Tensor`, which turns standard normal draws of `shape` into the stored
        initial weight (and may remember a scale), and may have `refresh(weight)`, called without gradients once
        before each update (power iteration).
        """
        ...


# ---------------------------------------------------------------------------------------------------------------------
# Networks


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


# ---------------------------------------------------------------------------------------------------------------------
# Systems: which pairs there are


class Match(NamedTuple):
    """What one discriminator has to tell apart, `[N, C, R, R]` each."""

    reals: Tensor
    fakes: Tensor


class Play(NamedTuple):
    """What the generators of a system have made of a minibatch."""

    matches: Mapping[str, Match]
    """One for each of the system's pairs, by its name."""
    terms: LossValue | None = None
    """What the generators minimize beside their loss against the discriminators (cycle consistency)."""


class System(Protocol):
    """Kind `system`: which pairs of networks there are, what each sees of a minibatch, and how samples are made.

    The recipe's loss and regularizers are applied to each pair with a state of its own. One optimizer updates all
    generators and another all discriminators.
    """

    @property
    def generator_role(self) -> Literal["generator", "translator"]:
        """The role that the network in `[generator]` must have."""
        ...

    @property
    def domains(self) -> int:
        """Data sets that are shown side by side; the recipe's must have as many."""
        ...

    def build(self, images: ImageShape) -> BuiltSystem: ...


class BuiltSystem(Protocol):
    """A built system. State, if it has any, goes into buffers of a module; weights belong to the networks. Subclass
    `ganlab.SystemBase` and override what differs from one generator against one discriminator.

    With `chances`, a number, above 0 `remember(matches, uniform)` is called without gradients before each
    discriminator update, with uniform draws `[N, chances]` in [0, 1), and returns the matches to be judged (a pool of
    earlier fakes). Such a system works neither on several ranks nor in micro-batches.
    It may have `show(generators, latents, labels, reals, *, resolution, fade)` -> `[N, K, C, R, R]`, K pictures of each
    sample for the grids of a run; by default a grid shows what `sample` returns.
    """

    pairs: Sequence[str]
    """Names of the pairs, which stand before their values in the journal; `("",)` where there is one only."""
    samples_from_reals: bool
    """Whether `sample` needs real images."""
    chances: int
    """Uniform draws for each sample that `remember` needs; 0 where there is no such method."""

    def generators(self, network: Network) -> nn.Module:
        """Build every generator as the recipe's component says. Its attribute `latent_size` is how many numbers a
        sample takes, 0 for none; the module is averaged, saved and handed back as a whole.
        """
        ...

    def discriminators(self, network: Network) -> nn.Module:
        """Build every discriminator as the recipe's component says."""
        ...

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """The one of a pair."""
        ...

    def play(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor,
        *,
        resolution: int,
        fade: Tensor | None,
        learning: bool,
    ) -> Play:
        """What each pair sees of a minibatch: a pure function. `reals` `[N, domains * C, R, R]` in [-1, 1] hold the
        domains' images one behind the other. `learning` is false, and gradients are off, where discriminators learn;
        `terms` are then not asked for. Where generators learn, `reals` are those of
        the last discriminator update and `labels` are drawn anew: they are not the labels of those reals.
        """
        ...

    def sample(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor | None,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """Images `[N, C, resolution, resolution]` to be looked at and measured against the data set; `reals` as in
        `play`, or None where `samples_from_reals` is false. It may depend on no buffer that changes: a saved generator
        is the networks' weights alone.
        """
        ...


class Augmentation(Protocol):
    """Kind `augmentation`: changes what discriminators are shown, reals and fakes alike, so that they cannot learn a
    small data set by heart. Losses and penalties see the changed images.

    One that adapts to the signs of scores has a true attribute `reads_scores`; it is refused where a loss's scores are
    not around zero.
    """

    def build(self, images: ImageShape) -> nn.Module | None:
        """A module, a `BuiltAugmentation`; None where nothing is to be done. State goes into its buffers."""
        ...


class BuiltAugmentation(Protocol):
    """A built augmentation. It is an `nn.Module` without weights."""

    draws: int
    """Uniform numbers in [0, 1) that it needs for each image."""

    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """`[N, C, R, R]` and `[N, draws]` -> `[N, C, R, R]`; a pure function of both and of the buffers, differentiable
        once with respect to the images, the same for an image whatever else is in the batch.
        """
        ...

    def observe(self, report: Mapping[str, Tensor], minibatch: int) -> None:
        """Called without gradients after each discriminator update: the place to adapt buffers, without waiting for the
        device. `report` has 0-d means over the minibatch: `scores/real`, `scores/fake`, and `signs/real`, the mean sign
        of the scores of reals. `minibatch` is in images.
        """
        ...

    def report(self) -> Mapping[str, Tensor]:
        """0-d tensors to be logged, such as `augment/probability`."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# Losses


class Critic(Protocol):
    """A discriminator at the present level with this step's noise filled in; pure, and differentiable twice.

    Where it computes in float16 it has the attribute `gradient_scale`, a 0-d power of two: multiply scores by it before
    their gradient with respect to images is taken and divide the gradient by it, or it vanishes on its way.
    """

    def __call__(self, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique: ...


class DiscriminatorPass(NamedTuple):
    """Everything a discriminator loss may use. All images `[N, C, R, R]`."""

    critic: Critic
    reals: Tensor
    fakes: Tensor
    """Generated images, without gradients to the generator (unless both are updated together)."""
    real: Critique
    fake: Critique
    mixing_factors: Tensor
    """Uniform draws `[N, 1, 1, 1]` in [0, 1): 0 is real, 1 is fake."""
    labels: Tensor | None
    """One-hot labels `[N, label_size]` of the reals, which the fakes were made with too."""
    fake_labels: Tensor | None
    enlargement: int = 1
    """Full resolution over the present one. The authors show every level as images of full resolution with repeated
    pixels, so their gradients with respect to images are `enlargement` times shorter than those at the level itself."""


class GeneratorPass(NamedTuple):
    """Everything a generator loss may use."""

    critic: Critic
    fakes: Tensor
    fake: Critique
    fake_labels: Tensor | None
    reals: Tensor
    """The real images of the last discriminator step, for losses that compare pairs."""


class LossValue(NamedTuple):
    """A player's loss and what is worth logging beside it."""

    per_sample: Tensor
    """`[N]` (or 0-d); its mean is what is differentiated."""
    report: Mapping[str, Tensor] = {}
    """Name such as `scores/real` to a tensor, whose mean is logged."""


class Loss(Protocol):
    """Kind `loss`: what the two players minimize.

    One with which scores above 0 say "real" and those below "fake" has a true attribute `scores_around_zero`.
    """

    def build(self) -> AdversarialLoss:
        """An `nn.Module` whose buffers are saved in checkpoints."""
        ...


class AdversarialLoss(Protocol):
    """A built loss. Subclass `ganlab.AdversarialLossBase` to get the last three methods for nothing."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue: ...
    def generator(self, batch: GeneratorPass) -> LossValue: ...

    def noise_strength(self) -> Tensor | None:
        """Strength for the discriminator's noise layers as a 0-d tensor, or None to leave them at their own."""
        ...

    def observe(self, loss: Tensor, batch_scores: Mapping[str, Tensor]) -> None:
        """Called without gradients after each discriminator update with its mean loss and what was reported."""
        ...

    def constrain(self, discriminator: nn.Module) -> None:
        """Called without gradients after each discriminator update (weight clipping)."""
        ...


class Regularizer(Protocol):
    """Kind `regularizer`: a term that any loss can have added (R1, the AC-GAN classification term).

    One that learns from labels has the property `needs_labels`, which is true.
    """

    def build(self) -> BuiltRegularizer: ...


class BuiltRegularizer(Protocol):
    """A built regularizer; either method may return None where it adds nothing. State goes into buffers of a module."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue | None: ...
    def generator(self, batch: GeneratorPass) -> LossValue | None: ...


# ---------------------------------------------------------------------------------------------------------------------
# Growth


@attrs.frozen
class Stage:
    """The settings of training at one moment."""

    resolution: int
    fade: float
    """Weight of this resolution's own level in (0, 1]; 1 while it is trained alone."""
    minibatch: int
    """Real images a discriminator step, over all ranks."""
    generator_learning_rate: float
    discriminator_learning_rate: float
    tick_images: int
    """Images shown between two reports."""


class Schedule(Protocol):
    """Kind `schedule`: how resolution, fade, minibatch and learning rates follow the images shown."""

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> BuiltSchedule: ...


class BuiltSchedule(Protocol):
    """A schedule for one run."""

    @property
    def settings_interval_steps(self) -> int:
        """The stage is looked up anew every so many steps (1: at each step)."""
        ...

    def at(self, images_shown: int) -> Stage:
        """A pure function: the stage when so many real images have been shown."""
        ...


class Optimizer(Protocol):
    """Kind `optimizer`. It has the parameter `learning_rate`, which a schedule may override.

    A built one whose steps can be recorded as a CUDA graph has two more methods. `capturable()` asks for that, and
    returns whether it can be had; from then on `prepare()` is called before each `step()` and does all that the host
    has to, such as writing the present learning rate into a tensor, and `step()` only launches work that is the same
    each time once every parameter has its state.
    """

    @property
    def learning_rate(self) -> float: ...

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer: ...


# ---------------------------------------------------------------------------------------------------------------------
# Data and metrics


class Dataset(Protocol):
    """Kind `dataset`: where the real images come from."""

    def build(self) -> ImageSet:
        """Opens the data; raises `DataError` naming the file and the remedy."""
        ...


class ImageSet(Protocol):
    """Real images with the same keys in the same order at every resolution. Knows nothing of torch.

    It may have `label_names`, a sequence of the classes' names. One that stands for several sets shown side by side has
    `domains`, a sequence of the image sets; its own images are then those that samples are compared with. Each domain
    is shown in an order of its own.
    """

    name: str
    count: int
    channels: int
    label_size: int
    """Number of classes, 0 without labels."""
    resolutions: Sequence[int]
    """Resolutions that can be read, ascending."""
    digest: str
    """Identifies the content; the same for every way of storing the same images."""

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8 `[n, C, resolution, resolution]` for sample numbers in [0, count)."""
        ...

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """One-hot float32 `[n, label_size]`."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Plain facts for people and for MLflow: source, licence, counts, digest."""
        ...


class ImageSource(Protocol):
    """Images for a metric: uint8 `[stop - start, C, H, W]` by `source(start, stop)`, always the same for a number."""

    key: str | None
    """Names the images for as long as they are the same (data set's digest, resolution), so that what is worked out
    from them may be kept with `ganlab.cache`; None for images that change, such as fakes."""
    count: int | None
    """How many different images there are, after which they come again; None where there is no end of them."""

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]: ...


class Metric(Protocol):
    """Kind `metric`: compares generated images with real ones.

    The component's class may have `better`, a mapping of a value's name, or of its beginning up to a slash, to "lower"
    or "higher": the best so far is then logged beside the last. A name that is not in it has no best.
    """

    def build(self) -> BuiltMetric: ...


class BuiltMetric(Protocol):
    """Measures. It may have `facts()`, a mapping of plain data with what makes its values comparable: how many images,
    which resize filter, which feature network by which digest. The reference images are added to it by the core.
    """

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """Name such as `swd/mean` to value; draws nothing but from `seed`. Raises `GanlabError` where it cannot."""
        ...


class FeatureNetwork(Protocol):
    """Kind `feature-network`: what turns images into features that metrics compare."""

    def build(self) -> FeatureExtractor:
        """Loads the weights; raises `GanlabError` saying which file or package is missing and how to get it."""
        ...


class Features(NamedTuple):
    """What a feature network says of a batch of images."""

    features: npt.NDArray[np.float32]
    """`[N, feature_size]`."""
    logits: npt.NDArray[np.float32] | None
    """`[N, classes]`, unnormalized; None where it has no classes."""


class FeatureExtractor(Protocol):
    """A built feature network."""

    digest: str
    """Of its weights, and of everything else that decides its features."""
    feature_size: int

    def facts(self) -> Mapping[str, Any]:
        """Plain data for people: name, input size, resize filter, digest."""
        ...

    def __call__(self, images: npt.NDArray[np.uint8]) -> Features:
        """Of uint8 `[N, 1 or 3, H, W]` of any size; the same for an image whatever else is in the batch."""
        ...


# ---------------------------------------------------------------------------------------------------------------------
# Ablations


@attrs.frozen
class Job:
    """A process that an executor has to run: the training of one trial of an ablation, started or gone on with."""

    name: str
    """Such as `spatial-s0-1a2b3c4d`; no two jobs share one."""
    command: tuple[str, ...]
    """Program and arguments. Started again after it was lost, it goes on where it was."""
    log: str
    """File that its output is added to, an absolute path."""
    threads: int = 1
    """CPU threads that it computes with; 0 for its own choice, as many as there are cores."""
    gpus: int = 0
    """GPUs that it needs."""
    environment: Mapping[str, str] = attrs.field(factory=dict)
    """Variables to set beside those of the present environment."""


class Executor(Protocol):
    """Kind `executor`: runs the trials of an ablation, here or elsewhere."""

    def build(self) -> BuiltExecutor:
        """Raises `GanlabError` where it cannot work here, and says why."""
        ...


class BuiltExecutor(Protocol):
    """Runs jobs, each by `ganlab.jobs.start`, so that no process outlives whoever started it."""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        started: Callable[[Job], None],
        ended: Callable[[Job, int], None],
        stop: Callable[[], int],
    ) -> None:
        """Run all jobs, as many at once as there is room for, and return when all have ended.

        `started` and `ended` are called from the calling thread: a job's process begins (again), and it has ended for
        good with this exit code (negative: the signal that killed it). One that a signal killed, or whose machine was
        lost, is started again some times before that. `stop` is asked several times a second: once it returns the
        number of a signal, no job is started any more, those that run are sent it, and they are waited for.
        """
        ...


@attrs.frozen
class RunInfo:
    """What an observer plugin is told about a run."""

    folder: str
    """The run folder, an absolute path."""
    name: str
    seed: int
    recipe: Mapping[str, Any]
    """The resolved recipe as plain data."""


class Register(Protocol):
    """What a plugin's `register_...` hook is given."""

    def __call__(
        self,
        name: str,
        target: str | type,
        *,
        summary: str = "",
        aliases: Sequence[str] = (),
        deprecated: str | None = None,
    ) -> None:
        """Offer a component under `name` (kebab-case). `target` is a class, or better `"module:Class"`, which keeps
        listing fast. Raises `ValueError` for a bad name or target; the plugin is then shown as broken.
        """
        ...
