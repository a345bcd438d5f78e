"""The strength of the adaptive discriminator noise over a series of values fed to it.

Both ways of feeding the least-squares loss must give the authors' series: the mean loss, and the scores of fakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ganlab_losses.least_squares import Lsgan

if TYPE_CHECKING:
    from ..golden import Case

DEFAULTS = {"gdrop_beta": 0.9, "gdrop_lim": 0.5, "gdrop_coef": 0.2, "gdrop_exp": 2.0}


def check(case: Case) -> None:
    """Running average and strength after every value of each series."""
    names = sorted({key.split(".")[0] for key in case})
    for name in names:
        inputs: tuple[Literal["loss", "output"], ...] = ("loss", "output")
        for noise_input in inputs:
            check_series(case, name, noise_input)


def check_series(case: Case, name: str, noise_input: Literal["loss", "output"]) -> None:
    """One series, fed to the loss as `noise_input` says."""
    settings = DEFAULTS | case.notes.get(name, {})
    loss = Lsgan(
        noise_input=noise_input,
        noise_average=settings["gdrop_beta"],
        noise_limit=settings["gdrop_lim"],
        noise_coefficient=settings["gdrop_coef"],
        noise_exponent=settings["gdrop_exp"],
    ).build()
    averages, strengths = [], []
    for value in torch.from_numpy(case[f"{name}.series"]):
        if noise_input == "loss":
            loss.observe(value, {"scores/fake": torch.full((4,), torch.nan)})
        else:
            spread = torch.tensor([-1.0, 1.0, -0.5, 0.5])
            loss.observe(torch.tensor(torch.nan), {"scores/fake": value + spread})
        averages.append(float(loss.noise.running_average))
        strengths.append(float(loss.noise.strength))
        given = loss.noise_strength()
        assert given is None if settings["gdrop_coef"] == 0 else given == loss.noise.strength
    # Ours is float32, theirs float64 of which the strength is a power: a few units in the last place of a float32.
    case.expect(f"{name}.running_average", np.array(averages), atol=1e-6)
    case.expect(f"{name}.strength", np.array(strengths), atol=1e-6 * max(1.0, settings["gdrop_coef"]))
