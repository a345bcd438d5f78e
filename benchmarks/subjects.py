"""What is measured, in the worker's process: a yardstick or a real ganlab trainer, one step at a time.

Everything here uses names that ganlab has had since its first version, so that older commits can be measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.cases import HALFWAY, Case


class GanlabSubject:
    """ganlab's own trainer, standing in the middle of the fade."""

    def __init__(self, trainer: Any, *, resident: bool) -> None:
        self.trainer = trainer
        self.device: torch.device = trainer.device
        self.images_shown = HALFWAY
        self.stage = trainer.schedule.at(HALFWAY)
        self._supplied = trainer.supply.next
        self.keep_resident(resident)

    def keep_resident(self, resident: bool) -> None:
        """From now on the same real images each time, which are there before they are asked for; or the data set's."""
        if resident:
            reals = self._supplied(self.stage, HALFWAY)
            self.trainer.supply.next = lambda *_, **__: reals
        else:
            self.trainer.supply.next = self._supplied

    def step(self) -> None:
        """One iteration: a discriminator update, a generator update."""
        self.trainer.update_discriminator(self.stage, self.images_shown)
        self.images_shown += self.stage.minibatch
        self.trainer.update_generator(self.stage, self.images_shown)


@contextlib.contextmanager
def ganlab_subject(
    recipe: str, case: Case | None, overrides: Sequence[str], *, resident: bool = False
) -> Iterator[GanlabSubject]:
    """A trainer in a folder that disappears afterwards."""
    with trainer_of(recipe, [*(case.overrides() if case else []), *overrides]) as trainer:
        yield GanlabSubject(trainer, resident=resident)


@contextlib.contextmanager
def trainer_of(recipe: str, overrides: Sequence[str]) -> Iterator[Any]:
    """A trainer that is ready for its first step."""
    from ganlab.recipe import load_recipe
    from ganlab.track.folder import RunFolder
    from ganlab.train.run import prepare  # type: ignore[attr-defined]  # older commits have it there

    with TemporaryDirectory(prefix="ganlab-benchmark-") as path:
        folder = RunFolder.create(Path(path) / "run")
        trainer = prepare(load_recipe(recipe, overrides), folder, fresh=True, say=lambda text: None)
        try:
            yield trainer
        finally:
            trainer.close()


def yardstick_subject(case: Case, device: torch.device, *, halve_first: bool) -> Any:
    """The yardstick, with real images that are on the device already."""
    from benchmarks.yardstick import Yardstick

    reals = torch.rand(case.minibatch, 3, case.resolution, case.resolution, device=device) * 2 - 1
    made = Yardstick(case, reals, halve_first=halve_first)
    made.device = device  # type: ignore[attr-defined]  # as every subject has it
    return made


def operations_of(trainer: Any, stage: Any, *, as_defined: bool) -> int:
    """Floating-point operations of one iteration. Needs this version of ganlab.

    Of the algorithms in use, or `as_defined`: a multiply-add for each tap of a kernel and pixel of a result.
    """
    from ganlab.train.rehearsal import Rehearsal

    with _algorithms_by_definition() if as_defined else contextlib.nullcontext():
        rehearsal = Rehearsal(trainer.recipe, trainer.images, trainer.device)
        return rehearsal.step(stage, faded=stage.fade < 1).operations


@contextlib.contextmanager
def _algorithms_by_definition() -> Iterator[None]:
    from ganlab_layers import winograd
    from ganlab_layers.convolution import Convolution

    with (
        patch.object(winograd, "suits", return_value=False),
        patch.object(Convolution, "sums_pixels", return_value=False),
    ):
        yield
