"""The losses of the Theano program over its networks: values, reported scores and all gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab_losses.least_squares import Lsgan
from ganlab_losses.regularizers import AcGan
from ganlab_losses.wasserstein import WganGp

from ._full_resolution import AtLod
from ._tf_networks import level

if TYPE_CHECKING:
    from ganlab.interfaces import Loss

    from ..golden import Array, Case
    from ._theano_networks import Player, TheanoPair

LOSS_SETTINGS = {
    "iwass": {"iwass_lambda": "gp_weight", "iwass_epsilon": "drift", "iwass_target": "target"},
    "lsgan": {"L2_fake_weight": "fake_weight"},
}
"""For each type of loss, the program's names for its settings, and ours."""


def check_losses(case: Case, pair: TheanoPair) -> None:
    """Every `loss<j>.*` of a file, each at its own level of detail."""
    numbers = sorted({int(key.split(".")[0].removeprefix("loss")) for key in case.keys_under("loss")})
    assert numbers == list(range(len(case.config["losses"])))
    full = case.config["common"]["resolution"]
    for number in numbers:
        lod = float(case[f"loss{number}.lod"])
        noise = pair.noise(level(full, lod)[0])
        networks = AtLod(pair.generator, pair.discriminator, full, lod, noise)
        check_loss(case, pair, networks, f"loss{number}.")


def check_loss(case: Case, pair: TheanoPair, networks: AtLod, prefix: str) -> None:
    """One loss of both players, who see the same fakes."""
    settings = case.notes[f"{prefix}config"]
    labels, fake_labels = torch.from_numpy(case["D.in.labels"]), torch.from_numpy(case["G.in.labels"])
    reals = torch.from_numpy(case["D.in.images"])
    fakes = networks.fakes(torch.from_numpy(case["G.in.latents"]), fake_labels)
    batch = DiscriminatorPass(
        critic=networks,
        reals=reals,
        fakes=fakes,
        real=networks(reals, "reals"),
        fake=networks(fakes, "fakes"),
        mixing_factors=torch.from_numpy(case["mixing_factors"]),
        labels=labels,
        fake_labels=fake_labels,
    )
    generated = GeneratorPass(critic=networks, fakes=fakes, fake=batch.fake, fake_labels=fake_labels, reals=reals)

    loss, classification = components(case, settings)
    built = loss.build()
    discriminator, generator = [built.discriminator(batch)], [built.generator(generated)]
    if classification is not None:
        term = classification.build()
        discriminator.append(term.discriminator(batch))
        generator.append(term.generator(generated))
    expect_scores(case, prefix, settings["type"], discriminator[0])
    players: tuple[tuple[Player, list[LossValue]], ...] = (("G", generator), ("D", discriminator))
    for player, values in players:
        objective = sum((value.per_sample.mean() for value in values), torch.zeros(()))
        case.expect(f"{prefix}{player}_loss", objective, "theano-output")
        for network in (networks.generator, networks.discriminator):
            network.zero_grad()
        objective.backward(retain_graph=True)
        expect_gradients(case, f"{prefix}grad.{player}/", pair.gradients(player))


def components(case: Case, settings: dict[str, Any]) -> tuple[Loss, AcGan | None]:
    """The loss and, where there are labels, the classification term that a loss's settings stand for."""
    names = LOSS_SETTINGS[settings["type"]]
    unknown = set(settings) - set(names) - {"type", "cond_type", "cond_weight"}
    assert not unknown, f"settings that this check does not know: {sorted(unknown)}"
    ours = {names[name]: value for name, value in settings.items() if name in names}
    loss: Loss = WganGp(**ours) if settings["type"] == "iwass" else Lsgan(**ours)
    assert settings.get("cond_type", "acgan") in ("acgan", None)
    conditioned = case.config["common"]["label_size"] > 0 and settings.get("cond_type", "acgan") == "acgan"
    return loss, AcGan(weight=settings.get("cond_weight", 1.0)) if conditioned else None


def expect_scores(case: Case, prefix: str, kind: str, value: LossValue) -> None:
    """What the program reports: plain scores, but for its WGAN-GP the fakes' minus the reals'."""
    real, fake = value.report["scores/real"], value.report["scores/fake"]
    reported = {"fake": fake - real if kind == "iwass" else fake, "real": real}
    for name, scores in reported.items():
        if f"{prefix}reported_{name}_scores" in case:
            case.expect(f"{prefix}reported_{name}_scores", scores.unsqueeze(1), "theano-output")


def expect_gradients(case: Case, prefix: str, gradients: dict[str, Array]) -> None:
    """All gradients of one network; parameters that the file leaves out do not matter to the loss."""
    stored = {key.removeprefix(prefix): case[key] for key in case.keys_under(prefix)}
    assert stored
    assert set(stored) <= set(gradients)
    largest = max(float(np.abs(value).max(initial=0.0)) for value in stored.values())
    for name, gradient in gradients.items():
        if name in stored:
            allowed = 1e-4 * float(np.abs(stored[name]).max(initial=0.0)) + 1e-6 * largest + 1e-7
            case.expect(prefix + name, gradient, atol=allowed)
        else:
            assert not gradient.any(), f"{prefix}{name}: absent from the file, but not zero"
