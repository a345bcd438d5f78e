"""The whole plugin contract on one page.

A plugin is a module (or object) with functions of these names marked `@ganlab.hookimpl`, named by an entry point of the
group `ganlab`. It may implement any subset, and leave out arguments it does not need. See `ganlab.interfaces` for what
the registered components must do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from ganlab.interfaces import Register

if TYPE_CHECKING:
    import click

    from ganlab.interfaces import RunInfo, Stage

hookspec = pluggy.HookspecMarker("ganlab")
hookimpl = pluggy.HookimplMarker("ganlab")


@hookspec
def register_layers(register: Register) -> None:
    """Offer layers that networks have slots for: `register("minibatch-stddev", "my_gan.layers:Stddev")`."""


@hookspec
def register_normalizations(register: Register) -> None:
    """Offer normalizations of activations: `register("pixel", "my_gan.normalizations:Pixel")`."""


@hookspec
def register_weight_scalings(register: Register) -> None:
    """Offer ways a stored weight becomes the used one: `register("equalized", "my_gan.scaling:Equalized")`."""


@hookspec
def register_losses(register: Register) -> None:
    """Offer losses: `register("hinge", "my_gan.losses:Hinge", summary="Hinge loss (Lim & Ye 2017)")`."""


@hookspec
def register_regularizers(register: Register) -> None:
    """Offer terms any loss can have added: `register("r1", "my_gan.regularizers:R1")`."""


@hookspec
def register_schedules(register: Register) -> None:
    """Offer growth schedules: `register("progressive", "my_gan.schedules:Progressive")`."""


@hookspec
def register_networks(register: Register) -> None:
    """Offer generators and discriminators: `register("dcgan-generator", "my_gan.networks:Generator")`."""


@hookspec
def register_systems(register: Register) -> None:
    """Offer ways for several pairs of networks to play: `register("cycle", "my_gan.systems:Cycle")`."""


@hookspec
def register_augmentations(register: Register) -> None:
    """Offer changes of what discriminators see: `register("cutout", "my_gan.augmentations:Cutout")`."""


@hookspec
def register_datasets(register: Register) -> None:
    """Offer sources of real images: `register("shapes", "my_gan.data:Shapes")`."""


@hookspec
def register_metrics(register: Register) -> None:
    """Offer comparisons of generated with real images: `register("swd", "my_gan.metrics:SlicedWasserstein")`."""


@hookspec
def register_feature_networks(register: Register) -> None:
    """Offer networks whose features metrics compare: `register("my-net", "my_gan.features:MyNet")`."""


@hookspec
def register_optimizers(register: Register) -> None:
    """Offer optimizers: `register("adam", "my_gan.optimizers:Adam")`."""


@hookspec
def register_executors(register: Register) -> None:
    """Offer ways to run the trials of an ablation: `register("slurm", "my_gan.executors:Slurm")`."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to `ganlab`: `cli.add_command(my_command)`. A name that is taken is refused."""


@hookspec
def before_run(run: RunInfo) -> None:
    """See a run before its first step. Observers run on rank 0, may not change the run, and only warn if they raise."""


@hookspec
def after_stage(run: RunInfo, stage: Stage, images_shown: int) -> None:
    """See that a stage (a resolution, fading or stable) has ended after `images_shown` images."""


@hookspec
def after_run(run: RunInfo, outcome: str) -> None:
    """See a run's end; `outcome` is "finished", "interrupted" or "failed"."""
