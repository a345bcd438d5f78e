"""Whole Theano networks at every level of detail, in training mode with their noise; weight averaging; losses."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ganlab.train.average import average_
from ganlab_layers.resampling import downscale, upscale
from ganlab_networks.theano_names import theano_bindings, theano_parameters

from ._tf_networks import level
from ._theano_networks import TheanoPair, build

if TYPE_CHECKING:
    from ..golden import Case

ROLE = "theano-output"


def check(case: Case) -> None:
    pair = build(case)
    _check_weights(case, pair)
    with torch.no_grad():
        _check_outputs(case, pair)
        if "ema.beta" in case:
            _check_average(case, pair)
    for key in ("D.in.labels", "mixing_factors"):  # inputs of the losses, present in files without any
        case[key]
    if case.keys_under("loss"):
        from ._theano_losses import check_losses

        check_losses(case, pair)


def _check_weights(case: Case, pair: TheanoPair) -> None:
    for player, network in (("G", pair.generator), ("D", pair.discriminator)):
        bindings = theano_bindings(network)
        assert {n for n, b in bindings.items() if b.trained} == set(case.notes[f"{player}_trainable"])
        for name, value in theano_parameters(network).items():
            inverse = name.endswith(".inv_std")  # kept as a variance here, with rounding
            case.expect(f"{player}.w/{name}", value, "exact", atol=1e-5 if inverse else None)


def _check_outputs(case: Case, pair: TheanoPair) -> None:
    generator = copy.deepcopy(pair.generator)  # batch normalization moves its running statistics in training mode
    full = case.config["common"]["resolution"]
    latents, labels = torch.from_numpy(case["G.in.latents"]), torch.from_numpy(case["G.in.labels"])
    reals = torch.from_numpy(case["D.in.images"])
    grows = any(kind == "LODSelectLayer" for _, kind, _ in case.notes["G_layers"])
    critiques = []
    for number, lod in enumerate(case["lods"]):
        resolution, weight = level(full, float(lod) if grows else 0.0)
        fade = torch.tensor(weight) if grows else None
        images = generator(latents, labels, resolution=resolution, fade=fade)
        case.expect(f"G.out.images.lod{number}", upscale(images, full // resolution), ROLE)
        smaller = downscale(reals, full // resolution)
        critiques.append(pair.discriminator(smaller, fade=fade, noise=pair.noise(resolution)))
    case.expect("D.out.scores", torch.stack([critique.scores for critique in critiques]).unsqueeze(2), ROLE)
    if "D.out.labels" in case:
        case.expect("D.out.labels", torch.stack([critique.label_logits for critique in critiques]), ROLE)


def _check_average(case: Case, pair: TheanoPair) -> None:
    """Two updates towards parameters that are 0.5 larger; scales are shared."""
    source, average = copy.deepcopy(pair.generator), copy.deepcopy(pair.generator)
    for parameter in source.parameters():
        parameter.add_(0.5)
    for _ in range(2):
        average_(average, source, float(case["ema.beta"]))
    for name, value in theano_parameters(average).items():
        case.expect(f"ema.Gs/{name}", value, "weight")
