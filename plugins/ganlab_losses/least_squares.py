"""Parameters of the least-squares loss and of the discriminator noise that follows how well it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

import ganlab

if TYPE_CHECKING:
    from ganlab_losses.built.least_squares import LeastSquaresLoss


@attrs.frozen
class Lsgan:
    """Least squares: each player pulls the scores to a number of its own.

    Discriminator, per sample: (real - real_target)^2 + fake_weight * (fake - fake_target)^2; generator:
    (fake - generator_target)^2. By default reals are pulled to 0 and fakes to 1, as in the Progressive GAN program, so
    **a higher score means more like a fake**. For Mao et al.'s own loss set `real_target = 1`, `fake_target = 0`,
    `generator_target = 1`, `fake_weight = 1`.

    Noise: least squares runs away when the discriminator is too good, so the strength of the noise in its layers
    follows an average d of a number in [0, 1]: strength = noise_coefficient * max(d - noise_limit, 0)^noise_exponent,
    where after each discriminator update d = noise_average * d + (1 - noise_average) * input. `noise_input` says which:

    * `"output"`, the paper: the discriminator's mean output for the fakes, put on a scale on which `real_target` is 0
      and `fake_target` is 1, and clipped to it. (The paper says only "the discriminator output d" and that training is
      unstable when d nears 1. With the program's targets only fakes are pulled to 1: d = 1 means that every fake is
      recognised, whereas the mean over reals and fakes would stand near 1/2 then.)
    * `"loss"`, the authors' Theano program: the discriminator's mean loss clipped to [0, 1], although the program's own
      variable is named after a fake score.

    Source: Karras et al. 2018 (arXiv 1710.10196), appendix B; Mao et al. 2017, equation 2. Raises `ValueError` for
    equal targets of reals and fakes.
    """

    fake_weight: float = ganlab.parameter(0.1, ge=0, help="weight of the fakes in the discriminator's loss")
    real_target: float = ganlab.parameter(0.0, help="score to which the discriminator pulls reals")
    fake_target: float = ganlab.parameter(1.0, help="score to which the discriminator pulls fakes")
    generator_target: float = ganlab.parameter(0.0, help="score to which the generator pulls fakes")
    noise_input: Literal["output", "loss"] = ganlab.parameter(
        "output", choices=("output", "loss"), help="what the noise follows: the scores of fakes, or the mean loss"
    )
    noise_coefficient: float = ganlab.parameter(
        0.2, ge=0, help="scale of the noise strength; 0 leaves the noise layers at their own strength"
    )
    noise_limit: float = ganlab.parameter(0.5, help="average above which there is noise")
    noise_exponent: float = ganlab.parameter(2.0, gt=0, help="power with which the noise grows above the limit")
    noise_average: float = ganlab.parameter(0.9, ge=0, lt=1, help="what the running average keeps at each update")

    def __attrs_post_init__(self) -> None:
        if self.real_target == self.fake_target:
            raise ValueError(f"real_target and fake_target must differ; both are {self.real_target:g}")

    def build(self) -> LeastSquaresLoss:
        from ganlab_losses.built.least_squares import AdaptiveNoise, LeastSquaresLoss

        return LeastSquaresLoss(
            fake_weight=self.fake_weight,
            real_target=self.real_target,
            fake_target=self.fake_target,
            generator_target=self.generator_target,
            noise_input=self.noise_input,
            noise=AdaptiveNoise(
                coefficient=self.noise_coefficient,
                limit=self.noise_limit,
                exponent=self.noise_exponent,
                average=self.noise_average,
            ),
        )
