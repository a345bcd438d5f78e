"""The TensorFlow program's losses: every term, and every gradient to second order, of both players.

The official functions add scores [N, 1] to penalties [N], which broadcasts to [N, N] (`raw`); ours are [N], and the
matrix is rebuilt from the parts that vary along each axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import torch

from ganlab.interfaces import DiscriminatorPass, GeneratorPass
from ganlab_losses.built.gradients import mixed_images, score_gradients
from ganlab_losses.regularizers import AcGan
from ganlab_losses.wasserstein import WganGp

from ._full_resolution import AtLod
from ._tf_networks import TfPair, build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from ..golden import Case

LOSS_SETTINGS = {"wgan_lambda": "gp_weight", "wgan_epsilon": "drift", "wgan_target": "target"}
"""The program's names for the settings of the loss, and ours."""


def check(case: Case) -> None:
    """Both players' losses of one file."""
    settings = case.config["network"]
    pair = build(settings, case.under("G.w/"), case.under("D.w/"))
    networks = AtLod(pair.generator, pair.discriminator, settings["resolution"], float(case["lod"]))
    check_generator(case, pair, networks)
    check_discriminator(case, pair, networks)


def check_generator(case: Case, pair: TfPair, networks: AtLod) -> None:
    """`Gloss.*`."""
    loss, classification = components(case, case.config["G_loss_kwargs"], ("cond_weight",))
    labels = torch.from_numpy(case["Gloss.in.labels"])
    fakes = networks.fakes(torch.from_numpy(case["Gloss.in.latents"]), labels)
    fake = networks(fakes, "fakes")
    batch = GeneratorPass(critic=networks, fakes=fakes, fake=fake, fake_labels=labels, reals=torch.zeros_like(fakes))

    rows = loss.build().generator(batch).per_sample
    total, raw = rows, rows.unsqueeze(1)
    terms = {"fake_images": fakes, "fake_scores": column(fake.scores), "fake_logits": logits(fake.label_logits, labels)}
    if classification is not None:
        term = classification.build().generator(batch)
        total, raw = total + term.per_sample, raw + term.per_sample
        terms["label_penalty_fakes"] = term.report["cross_entropy/fake"]
    expect_terms(case, "Gloss", terms | {"raw": raw, "per_sample": total, "mean": total.mean()})
    expect_gradients(case, pair, total.mean(), {"Gloss.grad.G/": "G", "Gloss.grad.D/": "D"})


def check_discriminator(case: Case, pair: TfPair, networks: AtLod) -> None:
    """`Dloss.*`; the fakes keep their graph, for the gradients with respect to the generator."""
    loss, classification = components(case, case.config["D_loss_kwargs"], (*LOSS_SETTINGS, "cond_weight"))
    labels = torch.from_numpy(case["Dloss.in.labels"])
    reals = torch.from_numpy(case["Dloss.in.reals"])
    fakes = networks.fakes(torch.from_numpy(case["Dloss.in.latents"]), labels)
    batch = DiscriminatorPass(
        critic=networks,
        reals=reals,
        fakes=fakes,
        real=networks(reals, "reals"),
        fake=networks(fakes, "fakes"),
        mixing_factors=torch.from_numpy(case["Dloss.in.mixing_factors"]),
        labels=labels,
        fake_labels=labels,
    )

    built = loss.build()
    total, report = built.discriminator(batch)
    rows = attrs.evolve(loss, gp_weight=0.0).build().discriminator(batch).per_sample
    terms = {
        "fake_images": fakes,
        "real_scores": column(report["scores/real"]),
        "fake_scores": column(report["scores/fake"]),
        "mixed_scores": column(report["scores/mixed"]),
        "real_logits": logits(batch.real.label_logits, labels),
        "fake_logits": logits(batch.fake.label_logits, labels),
        "mixed_images": (mixed := mixed_images(reals, fakes, batch.mixing_factors)),
        "mixed_norms": report["gradient_norm"],
        "epsilon_penalty": column(report["drift"]),
        "gradient_penalty": report["gradient_penalty"],
    }
    if classification is not None:
        term = classification.build().discriminator(batch)
        total = total + term.per_sample
        terms["label_penalty_reals"] = term.report["cross_entropy/real"]
        terms["label_penalty_fakes"] = term.report["cross_entropy/fake"]
    raw = rows.unsqueeze(1) + (total - rows)
    expect_terms(case, "Dloss", terms | {"raw": raw, "per_sample": total, "mean": total.mean()})
    if "Dloss.mixed_grads" in case:
        case.expect("Dloss.mixed_grads", score_gradients(networks, mixed, "mixed")[0], "gradient")
    expect_gradients(case, pair, total.mean(), {"Dloss.grad.D/": "D", "Dloss.grad.G/": "G"})
    penalty = built.gradient_penalty(batch).penalties.mean()
    expect_gradients(case, pair, penalty, {"Dloss.grad_gp.D/": "D"})


def components(case: Case, settings: Mapping[str, Any], known: tuple[str, ...]) -> tuple[WganGp, AcGan | None]:
    """The loss and, where there are labels, the classification term that these settings of a player stand for."""
    assert set(settings) <= set(known), f"settings that this check does not know: {sorted(set(settings) - set(known))}"
    loss = WganGp(**{LOSS_SETTINGS[name]: value for name, value in settings.items() if name in LOSS_SETTINGS})
    labelled = case.config["network"]["label_size"] > 0
    return loss, AcGan(weight=settings.get("cond_weight", 1.0)) if labelled else None


def column(scores: Tensor) -> Tensor:
    """[N] -> [N, 1]."""
    return scores.unsqueeze(1)


def logits(values: Tensor | None, labels: Tensor) -> Tensor:
    """The program's logits, of width 0 where there are no labels."""
    return torch.empty_like(labels) if values is None else values


def expect_terms(case: Case, player: str, terms: Mapping[str, Tensor]) -> None:
    """Compare whatever of `terms` the file holds; large files leave some images out."""
    for name, value in terms.items():
        if f"{player}.{name}" in case:
            case.expect(f"{player}.{name}", value)


def expect_gradients(case: Case, pair: TfPair, objective: Tensor, prefixes: Mapping[str, Any]) -> None:
    """Compare the gradients of `objective` with respect to all variables of a network, where the file holds them."""
    for network in (pair.generator, pair.discriminator):
        network.zero_grad()
    objective.backward(retain_graph=True)
    for prefix, player in prefixes.items():
        if not case.keys_under(prefix):
            continue
        gradients = pair.gradients(player)
        assert set(gradients) == {key.removeprefix(prefix) for key in case.keys_under(prefix)}
        for name, gradient in gradients.items():
            case.expect(prefix + name, gradient, "gradient")
