"""Whole TensorFlow networks at every level of detail, with the outputs of their layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ganlab_layers.resampling import downscale, upscale
from ganlab_networks.tf_names import tf_layers, tf_variables

from ._tf_linear import discriminator_layers, generator_layers
from ._tf_networks import Player, TfPair, build, level

if TYPE_CHECKING:
    from ..golden import Case


def check(case: Case) -> None:
    settings = case.config["network"]
    weights: dict[Player, dict[str, np.ndarray]] = {"G": case.under("G.w/"), "D": case.under("D.w/")}
    pair = build(settings, weights["G"], weights["D"])
    for player in ("G", "D"):
        _check_weights(case, pair, player, weights[player])
    with torch.no_grad():
        _check_outputs(case, pair)
        if "inter.lod" in case:
            _check_layers(case, pair)


def _check_weights(case: Case, pair: TfPair, player: Player, weights: dict[str, np.ndarray]) -> None:
    network = pair.network(player)
    written = tf_variables(network)
    assert list(written) == list(weights), "variables in order of creation"
    for name in weights:
        case.expect(f"{player}.w/{name}", written[name], "exact")
    if f"{player}_num_params" in case.notes:
        assert sum(p.numel() for p in network.parameters()) == case.notes[f"{player}_num_params"]
    for name, layer in tf_layers(network).items():
        scaling = layer.modules[0].scaling
        spread = scaling.initial(torch.ones(layer.modules[0].weight.shape)).flatten()[0]
        case.expect(f"{player}.init_std/{name}", spread, "output")
        if f"{player}.wscale/{name}" in case:
            case.expect(f"{player}.wscale/{name}", np.float32(scaling.scale), "output")
        else:
            assert scaling.scale == 1.0


def _check_outputs(case: Case, pair: TfPair) -> None:
    latents, labels = torch.from_numpy(case["G.in.latents"]), torch.from_numpy(case["G.in.labels"])
    full = pair.resolution
    scores: dict[str, list[Tensor]] = {}
    inputs = {"D.out": "D.in.images", "D.out_recursive": "D.in.images", "D.out2": "D.in2.images"}
    for number, lod in enumerate(case["lods"]):
        resolution, fade = level(full, float(lod))
        weight = torch.tensor(fade)
        images = pair.generator(latents, labels, resolution=resolution, fade=weight)
        if fade == 1.0:
            alone = pair.generator(latents, labels, resolution=resolution)
            torch.testing.assert_close(alone, images, rtol=1e-5, atol=1e-5)
        for key in (f"G.out.images.lod{number}", f"G.out_recursive.images.lod{number}"):
            if key in case:
                case.expect(key, upscale(images, full // resolution))
        for kind, key in inputs.items():
            if key in case and case.keys_under(f"{kind}."):
                reals = downscale(torch.from_numpy(case[key]), full // resolution)
                critique = pair.discriminator(reals, fade=weight)
                logits = reals.new_zeros(len(reals), 0) if critique.label_logits is None else critique.label_logits
                scores.setdefault(kind, []).append(torch.cat([critique.scores.unsqueeze(1), logits], 1))
    for kind, values in scores.items():
        combined = torch.stack(values)
        for name, part in (("scores", combined[:, :, :1]), ("labels", combined[:, :, 1:]), ("combined", combined)):
            if f"{kind}.{name}" in case:
                case.expect(f"{kind}.{name}", part)


def _check_layers(case: Case, pair: TfPair) -> None:
    lod = float(case["inter.lod"])
    keys = {player: case.keys_under(f"inter.{player}/") for player in ("G", "D")}
    rows = {player: len(case[keys[player][0]]) for player in ("G", "D")}
    latents = torch.from_numpy(case["G.in.latents"])[: rows["G"]]
    labels = torch.from_numpy(case["G.in.labels"])[: rows["G"]]
    images = torch.from_numpy(case["D.in.images"])[: rows["D"]]
    outputs = {
        "G": generator_layers(pair.generator, latents, labels, lod),
        "D": discriminator_layers(pair.discriminator, images, lod),
    }
    for player in ("G", "D"):
        for key in keys[player]:
            case.expect(key, outputs[player][key.removeprefix(f"inter.{player}/")])
