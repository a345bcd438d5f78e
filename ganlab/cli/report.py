"""`ganlab report`: what an ablation found so far, as a page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; by default DIR/report.")
def report(folder: Path, out: Path | None) -> None:
    """Write the report of the ablation in DIR.

    A page that needs nothing else (index.html), the same as Markdown (report.md), and its numbers (results.csv,
    curves.csv), all from the journals of its trials. Unfinished and failed trials are shown as such.

    \b
    ganlab report runs/stddev
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.ablation.report import write_report

    click.echo(write_report(folder, out) / "index.html")
