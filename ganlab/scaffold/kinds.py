"""What the project of each kind begins with: a small component that works and is not among ours."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class Example:
    """The component that a project of one kind begins with."""

    noun: str
    """What it is called, after the project's own prefix: `acme-margin`."""
    summary: str
    """The line that `ganlab list` shows."""
    registers: Mapping[str, str] = attrs.field(factory=lambda: {"": ""})
    """What is added to the component's name, to what is added to its class, for each that is registered."""
    needs_build: bool = True
    """Whether what it builds is in a module of its own, because that imports torch or numpy."""
    command: str = "run"
    """The command of ganlab that its recipe is for."""


EXAMPLES: Mapping[str, Example] = {
    "layer": Example("contrast", "Appends each sample's standard deviation as a channel"),
    "normalization": Example("sample-rms", "Each sample to root mean square 1"),
    "weight-scaling": Example("standardized", "Weights of mean 0 and equal spread for each output (Qiao et al. 2019)"),
    "loss": Example("margin", "Logistic loss that asks for a margin between reals and fakes"),
    "regularizer": Example("balance", "Keeps the scores of reals and fakes symmetrical about 0"),
    "schedule": Example(
        "cosine", "Full resolution, with learning rates that fall along half a cosine", needs_build=False
    ),
    "network": Example(
        "conv",
        "A small convolutional network",
        {"-generator": "Generator", "-discriminator": "Discriminator"},
    ),
    "system": Example("critics", "One generator against several discriminators (Durugkar et al. 2017)"),
    "augmentation": Example("tint", "Shifts each channel of an image by an amount of its own"),
    "dataset": Example("discs", "Coloured discs on coloured grounds, drawn when they are asked for"),
    "metric": Example("histogram", "Distance of the histograms of pixel values"),
    "feature-network": Example("grid", "Mean and spread of the colours in each cell of a grid"),
    "optimizer": Example("lion", "Steps by the sign of averaged gradients (Chen et al. 2023)"),
    "executor": Example(
        "polite", "One job after the other, at low priority on this machine", needs_build=False, command="ablate"
    ),
}
"""Kind to what its project begins with; there is one for every kind of `ganlab.interfaces.KINDS`."""
