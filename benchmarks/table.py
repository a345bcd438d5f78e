"""The table: each case's step as popular ports write it, and ganlab's in its variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import click

from benchmarks.cases import Case
from benchmarks.process import Variant
from benchmarks.rounds import Measured, measure

SEPARATE = ["generator.fused_scale=false", "discriminator.fused_scale=false"]
FUSED = ["generator.fused_scale=true", "discriminator.fused_scale=true"]
NO_BFLOAT16 = "bfloat16 is not measured: this device has no instructions for it"


def variants(bfloat16: bool) -> list[Variant]:
    """The rows of the table, the yardstick first."""
    full = "run.precision=float32"
    rows = [
        Variant("yardstick", yardstick="halve last"),
        Variant("ganlab", [full, *SEPARATE]),
        Variant("yardstick of fused_scale", yardstick="halve first"),
        Variant("ganlab fused_scale", [full, *FUSED]),
    ]
    if bfloat16:
        half = "run.precision=bfloat16"
        rows.append(Variant("ganlab bfloat16", [half, *SEPARATE], dtype="bfloat16"))
        rows.append(Variant("ganlab bfloat16 fused_scale", [half, *FUSED], dtype="bfloat16"))
    return rows


def measure_case(case: Case, *, rounds: int, device: str, bfloat16: bool) -> list[Measured]:
    """One case in all variants; the yardsticks do the same operations as ganlab without fused_scale."""
    measured, _ = measure(variants(bfloat16), case, rounds=rounds, device=device, matrix=True, count_operations=True)
    separate = next(row.operations for row in measured if row.variant == "ganlab")
    return [
        attrs.evolve(row, operations=separate, done=separate) if row.operations is None else row for row in measured
    ]


def plain(case: Case, rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """The rows as plain data."""
    found = []
    for row in rows:
        ratio, fraction = row.ratio_to(yardstick_of(row, rows)), row.matrix_fraction()
        found.append(
            {
                "case": str(case),
                "variant": row.variant,
                "dtype": row.dtype,
                "seconds_per_step": row.median_seconds,
                "images_per_second": case.minibatch / row.median_seconds,
                "operations_per_step": row.operations,
                "operations_done_per_step": row.done,
                "operations_per_second": (row.operations or 0) / row.median_seconds,
                "fraction_of_matrix_rate": None if fraction is None else fraction.median,
                "speed_up": ratio.median,
                "speed_up_quartiles": [ratio.lower, ratio.upper],
                "peak_bytes": row.peak_bytes,
                "rounds": len(row.seconds),
            }
        )
    return found


def yardstick_of(row: Measured, rows: Sequence[Measured]) -> Measured:
    """The one that computes the same function: with fused scaling, discriminators halve before the activation."""
    wanted = "yardstick of fused_scale" if "fused_scale" in row.variant else "yardstick"
    return next(it for it in rows if it.variant == wanted)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The rows as a table for people."""
    head = f"{'case':<12} {'variant':<28} {'s/step':>8} {'images/s':>9} {'GFLOP':>8} {'done':>8} {'GFLOP/s':>8} "
    click.echo(head + f"{'of matrix':>9} {'speed-up':>8}  {'quartiles':<12} {'MiB':>7}")
    for row in rows:
        lower, upper = row["speed_up_quartiles"]
        click.echo(
            f"{row['case']:<12} {row['variant']:<28} {row['seconds_per_step']:>8.4f} {row['images_per_second']:>9.1f} "
            f"{row['operations_per_step'] / 1e9:>8.1f} {row['operations_done_per_step'] / 1e9:>8.1f} "
            f"{row['operations_per_second'] / 1e9:>8.1f} "
            f"{row['fraction_of_matrix_rate']:>9.2f} {row['speed_up']:>8.2f}  {f'{lower:.2f} to {upper:.2f}':<12} "
            f"{row['peak_bytes'] / 2**20:>7,.0f}"
        )
