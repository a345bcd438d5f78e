"""A second plugin of the distribution: a component of every other kind, a command and an observer."""

from __future__ import annotations

import click

import ganlab
from ganlab.interfaces import RunInfo


@ganlab.hookimpl
def register_normalizations(register: ganlab.Register) -> None:
    """Offer the largest value."""
    register("largest", "acme_gan.blocks:Largest", summary="each sample's largest value to 1")


@ganlab.hookimpl
def register_weight_scalings(register: ganlab.Register) -> None:
    """Offer rows of one length."""
    register("unit-rows", "acme_gan.blocks:UnitRows", summary="each output's weights to one length")


@ganlab.hookimpl
def register_regularizers(register: ganlab.Register) -> None:
    """Offer small scores."""
    register("small-scores", "acme_gan.blocks:SmallScores", summary="keeps the generator's scores near 0")


@ganlab.hookimpl
def register_optimizers(register: ganlab.Register) -> None:
    """Offer signs of gradients."""
    register("signs", "acme_gan.blocks:Signs", summary="steps by the sign of the gradient")


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer two networks."""
    register("flat-generator", "acme_gan.players:FlatGenerator", summary="two fully connected layers")
    register("flat-discriminator", "acme_gan.players:FlatDiscriminator", summary="two fully connected layers")


@ganlab.hookimpl
def register_systems(register: ganlab.Register) -> None:
    """Offer a mirror."""
    register("mirrored", "acme_gan.players:Mirrored", summary="a second discriminator sees everything mirrored")


@ganlab.hookimpl
def register_augmentations(register: ganlab.Register) -> None:
    """Offer dimmed light."""
    register("dim", "acme_gan.players:Dim", summary="makes each image paler by its own amount")


@ganlab.hookimpl
def register_datasets(register: ganlab.Register) -> None:
    """Offer checkers."""
    register("checkers", "acme_gan.data:Checkers", summary="grey checkers of every shade")


@ganlab.hookimpl
def register_metrics(register: ganlab.Register) -> None:
    """Offer brightness."""
    register("brightness", "acme_gan.data:Brightness", summary="how much brighter fakes are than reals")


@ganlab.hookimpl
def register_feature_networks(register: ganlab.Register) -> None:
    """Offer quarters."""
    register("quarters", "acme_gan.data:Quarters", summary="mean of each quarter of an image")


@ganlab.hookimpl
def register_executors(register: ganlab.Register) -> None:
    """Offer the wrong way round."""
    register("backwards", "acme_gan.trials:Backwards", summary="one trial at a time, the last first")


@click.command("acme-hello")
@click.option("--name", default="you", help="Who is greeted.")
def acme_hello(name: str) -> None:
    """Greet somebody."""
    click.echo(f"acme-gan greets {name}")


@ganlab.hookimpl
def register_commands(cli: click.Group) -> None:
    """Offer the greeting."""
    cli.add_command(acme_hello)


@ganlab.hookimpl
def before_run(run: RunInfo) -> None:
    """Tell of a beginning."""
    print(f"acme-gan saw {run.name} begin with seed {run.seed}")


@ganlab.hookimpl
def after_stage(run: RunInfo, stage: ganlab.Stage) -> None:
    """Tell of a stage; what it does not need, images_shown, is left out."""
    print(f"acme-gan saw {run.name} leave {stage.resolution}x{stage.resolution}")


@ganlab.hookimpl
def after_run(outcome: str) -> None:
    """Tell of an end."""
    print(f"acme-gan saw it {outcome}")
