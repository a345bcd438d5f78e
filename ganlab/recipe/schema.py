"""What a recipe is: its tables and keys, with defaults, ranges and help. The names are fixed; scripts rely on them."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from ganlab.annealing import half_cosine
from ganlab.interfaces import Augmentation, Loss, Network, Optimizer, Regularizer, Schedule, System
from ganlab.parameters import component, parameter
from ganlab.recipe.tracking import TrackSettings


def _device(value: str) -> None:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,3})?", value):
        raise ValueError(f"'{value}' is no device; expected auto, cpu, cuda, cuda:N or mps")


def _resolution(value: int) -> None:
    if value & (value - 1) or not 4 <= value <= 1024:
        raise ValueError(f"expected a power of two from 4 to 1024, got {value}")


def _label(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", value):
        raise ValueError(f"'{value}' cannot be part of a value's name; use letters, digits, '-', '_' and '.'")


def _name(value: str) -> None:
    if not re.fullmatch(r"[\w][\w.+-]*", value):
        raise ValueError(f"'{value}' cannot name a folder; use letters, digits, '-', '_' and '.'")


@attrs.frozen
class RunTable:
    """`[run]`: how long, from which seed and on what."""

    name: str | None = parameter(
        None, check=_name, help="name of the run's folder and MLflow experiment; default: the file's"
    )
    seed: int = parameter(0, ge=0, help="equal seeds give equal initial weights, data order and latents")
    images: int = parameter(ge=1, unit="images", help="real images to show in all")
    device: str = parameter("auto", check=_device, help="auto takes CUDA, then MPS, then the CPU")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = parameter(
        "auto",
        help="arithmetic of the networks; losses and penalties stay in float32. "
        "auto takes bfloat16 where the hardware has the instructions, else float32",
    )
    threads: int = parameter(0, ge=0, le=4096, help="CPU threads for the arithmetic; 0 leaves torch's choice")
    lanes: Literal["auto", "one", "two"] = parameter(
        "auto",
        help="two: the two halves of a discriminator update at once, each on half of the CPU's threads. "
        "auto takes two where networks and images are small and replays are ruled out",
    )
    replay: Literal["auto", "on", "off"] = parameter(
        "auto",
        help="record each update's operations once a level and replay them without Python, to the same bits; on the "
        "CPU. auto does so where nothing is in the way, on also says so",
    )
    micro_batches: int = parameter(
        1, ge=1, le=65536, help="equal parts of each minibatch (of each rank's share) worked out one after the other"
    )
    compile: bool = parameter(
        False, help="torch.compile the step: minutes of waiting at each level; meant for GPUs, of no use on two cores"
    )
    cuda_graphs: Literal["auto", "on", "off"] = parameter(
        "auto",
        help="capture whole updates as CUDA graphs and replay them; needs a CUDA device. auto is off: not measured yet",
    )
    recompute_from: int = parameter(
        0,
        check=lambda value: _resolution(value) if value else None,
        unit="pixels",
        help="blocks of this resolution and finer keep no activations and work them out again for gradients: "
        "less memory, about a third more time; 0 for none",
    )
    check_memory: bool = parameter(
        True, help="before training, work out the peak memory of every level and refuse what cannot fit"
    )


@attrs.frozen
class DataTable:
    """`[data]`: the source of real images (its `name` and parameters stand in the same table), how they are shown."""

    source: Any = component("dataset", help="where the images come from")
    resolution: int = parameter(check=_resolution, unit="pixels", help="width and height of the finest level")
    mirror: bool = parameter(True, help="show every image flipped left-right half of the time")
    labels: bool = parameter(False, help="condition both networks on the data set's labels")
    blend: Literal["float", "bytes", "none"] = parameter(
        "float", help="how reals are blended during a fade: as floats (TF), truncated to bytes (Theano), or not at all"
    )
    workers: int = parameter(2, ge=0, le=1024, help="threads that read and decode images ahead of need")
    cache: Literal["auto", "device", "memory", "none"] = parameter(
        "auto",
        help="where decoded images are kept: auto takes the device if they fit there, else memory, else reads each "
        "time; device insists",
    )
    cache_gigabytes: float = parameter(
        2.0, ge=0, le=1_000_000, unit="GB", help="decoded images are kept if a level of them fits in this"
    )


def shared_data_keys() -> list[str]:
    """The keys of `[data]` that do not belong to the source of the images."""
    return [attribute.name for attribute in attrs.fields(DataTable) if attribute.name != "source"]


@attrs.frozen
class MetricTable:
    """`[[metrics]]`: a metric (its `name` and parameters stand in the same table), when it is measured and on what."""

    metric: Any = component("metric", help="what is measured")
    every_images: int = parameter(
        0,
        ge=0,
        unit="images",
        help="measured also at the first report at which another so many images have been shown; 0: at the end only",
    )
    averaged: bool = parameter(True, help="measure the averaged generator; false: the one that is trained")
    label: str | None = parameter(
        None,
        check=_label,
        help="added to the names of its values, as in metric/swd/mean/quick, so that two of one metric can be told "
        "apart; default: training with averaged = false, else nothing",
    )

    @property
    def ending(self) -> str:
        """What is added to the names of its values after a slash; empty for nothing."""
        return self.label or ("" if self.averaged else "training")


def shared_metric_keys() -> list[str]:
    """The keys of `[[metrics]]` that do not belong to the metric."""
    return [attribute.name for attribute in attrs.fields(MetricTable) if attribute.name != "metric"]


@attrs.frozen
class UpdatesTable:
    """`[updates]`: how the two players take turns."""

    discriminator_steps: int = parameter(1, ge=1, help="discriminator updates for each generator update")
    together: bool = parameter(False, help="update both from one pass over the same latents, instead of in turn")
    clear_optimizer: bool = parameter(True, help="clear both optimizers' state when a level is added or fully faded in")

    def __attrs_post_init__(self) -> None:
        if self.together and self.discriminator_steps != 1:
            raise ValueError(f"together: true needs discriminator_steps = 1, got {self.discriminator_steps}")


@attrs.frozen
class EmaTable:
    """`[ema]`: the averaged generator, which is the one that is sampled."""

    beta: float = parameter(0.999, ge=0, lt=1, help="weight of the past at each discriminator update")
    half_life_images: int | None = parameter(
        None, ge=1, unit="images", help="half of the past is forgotten in so many images; goes before `beta`"
    )
    rampup_images: int | None = parameter(
        None, ge=1, unit="images", help="the half-life rises from 0 to its value over the first so many images"
    )

    def __attrs_post_init__(self) -> None:
        if self.rampup_images is not None and self.half_life_images is None:
            raise ValueError("rampup_images: expected half_life_images too, which it leads to")

    def keeps(self, images_shown: int, minibatch: int) -> float:
        """The weight of the past in an update of so many images that follows `images_shown` others.

        The half-life rises along half a cosine, as in the program of Huang et al. 2024 (arXiv 2501.05441).
        """
        if self.half_life_images is None:
            return self.beta
        half_life = float(self.half_life_images)
        if self.rampup_images is not None:
            half_life = half_cosine(images_shown, start=0.0, end=half_life, images=self.rampup_images)
        return float(0.5 ** (minibatch / half_life)) if half_life > 0 else 0.0


@attrs.frozen
class PluginsTable:
    """`[plugins]`: what the recipe needs installed."""

    require: tuple[str, ...] = parameter((), help='requirements such as "acme-gan>=0.2"')


@attrs.frozen
class Recipe:
    """A whole experiment, checked."""

    run: RunTable = parameter(help="how long, from which seed and on what")
    data: DataTable = parameter(help="the real images")
    system: System = component("system", "pair", help="which pairs of networks there are and how they play")
    generator: Network = component("network", "pggan-generator", help="the generator")
    discriminator: Network = component("network", "pggan-discriminator", help="the discriminator")
    loss: Loss = component("loss", "wgan-gp", help="what the two players minimize")
    regularizers: tuple[Regularizer, ...] = component("regularizer", (), many=True, help="terms added to the loss")
    augmentation: Augmentation = component(
        "augmentation", "none", help="how reals and fakes are changed before discriminators see them"
    )
    schedule: Schedule = component("schedule", "progressive", help="resolution, fade, minibatch and rates over time")
    optimizer: Optimizer = component("optimizer", "adam", help="one for each player, with the same settings")
    updates: UpdatesTable = parameter(attrs.Factory(UpdatesTable), help="how the two players take turns")
    ema: EmaTable = parameter(attrs.Factory(EmaTable), help="the averaged generator")
    metrics: tuple[MetricTable, ...] = parameter((), help="what is measured of the generator, and when")
    track: TrackSettings = parameter(attrs.Factory(TrackSettings), help="reports, samples, checkpoints, MLflow")
    plugins: PluginsTable = parameter(attrs.Factory(PluginsTable), help="what must be installed")
