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

from ganlab.interfaces.augmentations import Augmentation, BuiltAugmentation
from ganlab.interfaces.blocks import Exchange, Layer, Normalization, WeightScaling
from ganlab.interfaces.data import Dataset, ImageSet
from ganlab.interfaces.executors import BuiltExecutor, Executor, Job
from ganlab.interfaces.losses import (
    AdversarialLoss,
    BuiltRegularizer,
    Critic,
    DiscriminatorPass,
    GeneratorPass,
    Loss,
    LossValue,
    Regularizer,
)
from ganlab.interfaces.metrics import BuiltMetric, FeatureExtractor, FeatureNetwork, Features, ImageSource, Metric
from ganlab.interfaces.networks import Critique, Discriminator, Generator, ImageShape, Network, Translator
from ganlab.interfaces.plugins import KINDS, Register, RunInfo
from ganlab.interfaces.systems import BuiltSystem, Match, Play, System
from ganlab.interfaces.training import BuiltSchedule, Optimizer, Schedule, Stage

__all__ = [
    "KINDS",
    "AdversarialLoss",
    "Augmentation",
    "BuiltAugmentation",
    "BuiltExecutor",
    "BuiltMetric",
    "BuiltRegularizer",
    "BuiltSchedule",
    "BuiltSystem",
    "Critic",
    "Critique",
    "Dataset",
    "Discriminator",
    "DiscriminatorPass",
    "Exchange",
    "Executor",
    "FeatureExtractor",
    "FeatureNetwork",
    "Features",
    "Generator",
    "GeneratorPass",
    "ImageSet",
    "ImageShape",
    "ImageSource",
    "Job",
    "Layer",
    "Loss",
    "LossValue",
    "Match",
    "Metric",
    "Network",
    "Normalization",
    "Optimizer",
    "Play",
    "Register",
    "Regularizer",
    "RunInfo",
    "Schedule",
    "Stage",
    "System",
    "Translator",
    "WeightScaling",
]
