"""Parameters of Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

import ganlab
from ganlab.annealing import half_cosine
from ganlab.parameters import check_together

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import nn


@attrs.frozen
class Adam:
    """Adam, with the settings of Progressive GAN.

    With m and v the running averages of the gradient and of its square, and t the updates since the state was last
    cleared: w -= learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). That is
    `epsilon_placement = "authors"`, the form before section 2.1 of the paper and of TensorFlow 1, where epsilon is
    added to the uncorrected root; `"corrected"` adds it after the correction, as algorithm 1 and PyTorch do, which
    is as if epsilon were ten times smaller in the first update with beta2 = 0.99.

    Source: Kingma & Ba 2015 (arXiv 1412.6980), section 2; Karras et al. 2018, appendix A.1.
    """

    learning_rate: float = ganlab.parameter(0.001, ge=0, help="step size; a schedule may override it")
    beta1: float = ganlab.parameter(0.0, ge=0, lt=1, help="what the average of gradients keeps at each update")
    beta2: float = ganlab.parameter(0.99, ge=0, lt=1, help="what the average of squared gradients keeps at each update")
    beta2_end: float | None = ganlab.parameter(None, ge=0, lt=1, help="what beta2 comes to along half a cosine")
    beta2_images: int | None = ganlab.parameter(
        None, ge=1, unit="images", help="images shown until `beta2_end` is reached"
    )
    epsilon: float = ganlab.parameter(1e-8, gt=0, help="keeps the division finite where gradients vanish")
    epsilon_placement: Literal["authors", "corrected"] = ganlab.parameter(
        "authors",
        choices=("authors", "corrected"),
        help="epsilon beside the root before bias correction, or after it (PyTorch)",
    )

    def __attrs_post_init__(self) -> None:
        check_together(self, "beta2_end", "beta2_images")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer; `state.clear()` starts it afresh, and t with it. Raises `ValueError` for no parameters."""
        from ganlab_optimizers.built import adam

        return adam(
            parameters,
            learning_rate=self.learning_rate,
            betas=(self.beta1, self.beta2),
            epsilon=self.epsilon,
            authors_epsilon=self.epsilon_placement == "authors",
        )

    def settings_at(self, images_shown: int) -> dict[str, tuple[float, float]] | None:
        """Both betas when so many images have been shown, or None where they never change.

        Bias is corrected as if beta2 had always been what it is now, as PyTorch does.
        """
        if self.beta2_end is None or self.beta2_images is None:
            return None
        beta2 = half_cosine(images_shown, start=self.beta2, end=self.beta2_end, images=self.beta2_images)
        return {"betas": (self.beta1, beta2)}
