"""The steps that are measured: networks of one width grown to one resolution, half faded in, at one minibatch."""

from __future__ import annotations

import re

import attrs
import click

from ganlab_datasets.synthetic import RESOLUTIONS

HALFWAY = 1_000_000_000
"""Images shown at which a measured stage stands: the level is half faded in and stays so."""
LARGEST_EMBEDDED = 64


@attrs.frozen
class Case:
    """Networks `width` wide at every level."""

    width: int
    resolution: int
    minibatch: int

    def __str__(self) -> str:
        return f"{self.width}@{self.resolution}x{self.minibatch}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """`32@16x8`: 32 wide, at 16x16, minibatch 8. Raises `click.BadParameter`."""
        found = re.fullmatch(r"(\d+)@(\d+)x(\d+)", text)
        if not found:
            raise click.BadParameter(f"{text!r}: expected WIDTH@RESOLUTIONxMINIBATCH, such as 32@16x8")
        case = cls(*map(int, found.groups()))
        if case.resolution not in RESOLUTIONS:
            raise click.BadParameter(f"{text!r}: expected a resolution of {RESOLUTIONS}, got {case.resolution}")
        if not (case.width and case.minibatch):
            raise click.BadParameter(f"{text!r}: expected a width and a minibatch of 1 or more")
        return case

    @property
    def levels(self) -> int:
        """How many levels the networks have."""
        return self.resolution.bit_length() - 2

    def overrides(self) -> list[str]:
        """The changes that make `recipes/pggan.toml` this case."""
        widths = [self.width] * self.levels
        growing = self.resolution > 4
        schedule = [
            f"schedule.initial_resolution={self.resolution // 2}",
            "schedule.stabilize_images=0",
            f"schedule.fade_images={2 * HALFWAY}",
        ]
        return [
            "track.mlflow=false",
            "run.check_memory=false",
            f"run.images={4 * HALFWAY}",
            f"data.name={'pixel-faces' if self.resolution <= LARGEST_EMBEDDED else 'synthetic'}",
            f"data.resolution={self.resolution}",
            f"generator.widths={widths}",
            f"generator.latent_size={self.width}",
            f"discriminator.widths={widths}",
            f"schedule.minibatch={self.minibatch}",
            f"schedule.minibatches.{self.resolution}={self.minibatch}",
            "schedule.tick_images=4000",
            *(schedule if growing else ["schedule.stabilize_images=0", "schedule.fade_images=0"]),
        ]


STANDARD = [Case(512, 16, 8), Case(128, 64, 8), Case(64, 32, 32), Case(32, 16, 16)]
"""What is measured unless `--case` says otherwise."""


class CaseType(click.ParamType[Case]):
    """`--case WIDTH@RESOLUTIONxMINIBATCH`."""

    name = "case"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Case:
        """A `Case`, which may be one already."""
        return value if isinstance(value, Case) else Case.parse(str(value))
