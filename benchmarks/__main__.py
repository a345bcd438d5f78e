"""`python -m benchmarks`: the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import compare as comparing
from benchmarks import listing as listings
from benchmarks import start as starting
from benchmarks import table as tables
from benchmarks.cases import STANDARD, Case, CaseType
from benchmarks.packed import pack
from benchmarks.process import ROOT, Variant, Worker
from benchmarks.reading import measure_reading
from benchmarks.rounds import Spread, measure, said

PGGAN = ROOT / "recipes" / "pggan.toml"


Option = Callable[[Callable[..., None]], Callable[..., None]]


def _device(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")(command)


def _rounds(default: int) -> Option:
    return click.option("--rounds", default=default, show_default=True, type=click.IntRange(min=1), help="Rounds.")


def _case(default: Case) -> Option:
    return click.option(
        "--case", default=str(default), show_default=True, type=CaseType(), help="WIDTH@RESOLUTIONxMINIBATCH."
    )


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Measure ganlab on this machine; without a command, `table` with its defaults."""
    if context.invoked_subcommand is None:
        context.invoke(table)


@main.command()
@click.option("--case", "cases", multiple=True, type=CaseType(), help="WIDTH@RESOLUTIONxMINIBATCH (repeatable).")
@_rounds(9)
@_device
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write the rows to this file.")
def table(cases: tuple[Case, ...] = (), rounds: int = 9, device: str = "auto", json_file: Path | None = None) -> None:
    """Seconds a step against a step written as the popular ports write it, variants in turns."""
    from benchmarks.machine import choose_device, facts

    machine = facts(choose_device(device))
    said(machine)
    rows: list[dict[str, Any]] = []
    for case in cases or STANDARD:
        measured = tables.measure_case(case, rounds=rounds, device=device, bfloat16=bool(machine["bfloat16"]))
        found = tables.plain(case, measured)
        tables.show(found)
        rows += found
    if not machine["bfloat16"]:
        click.echo(tables.NO_BFLOAT16)
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


@main.command()
@click.option("--a", "a_settings", multiple=True, metavar="KEY=VALUE", help="A setting of A (repeatable).")
@click.option("--b", "b_settings", multiple=True, metavar="KEY=VALUE", help="A setting of B (repeatable).")
@click.option("--a-commit", metavar="REV", help="Commit of A; default: the working tree.")
@click.option("--b-commit", metavar="REV", help="Commit of B; default: the working tree.")
@_case(Case(32, 16, 16))
@_rounds(15)
@_device
def compare(
    a_settings: tuple[str, ...],
    b_settings: tuple[str, ...],
    a_commit: str | None,
    b_commit: str | None,
    case: Case,
    rounds: int,
    device: str,
) -> None:
    """Two settings or two commits in turns: how many times as fast B is as A."""
    with comparing.checkout(a_commit) as a_tree, comparing.checkout(b_commit) as b_tree:
        variants = [Variant("A", a_settings, tree=a_tree), Variant("B", b_settings, tree=b_tree)]
        (a, b), facts = measure(variants, case, rounds=rounds, device=device)
    said(facts)
    for measured, commit, chosen in ((a, a_commit, a_settings), (b, b_commit, b_settings)):
        where = commit or "working tree"
        words = comparing.settings(chosen)
        click.echo(f"{measured.variant}: {measured.median_seconds:.4f} s/step  {where}, {words}")
    click.echo(f"{case}: B is {b.ratio_to(a)} times as fast as A (median and quartiles of {rounds} rounds)")


@main.command()
@_case(Case(32, 16, 16))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe (repeatable).")
@click.option("--steps", default=20, show_default=True, type=click.IntRange(min=1), help="Steps.")
@_device
def parts(case: Case, settings: tuple[str, ...], steps: int, device: str) -> None:
    """Where the time of a step goes. Steps are not replayed here, as parts of a replay cannot be told apart."""
    from benchmarks.parts import WHOLE

    with Worker(Variant("ganlab", ("run.replay=off", *settings)), case, device=device) as worker:
        said(dict(worker.facts))
        seconds: dict[str, float] = worker.ask("parts", count=steps)
    whole = seconds.pop(WHOLE)
    total = sum(seconds.values())
    for name, taken in seconds.items():
        click.echo(f"{name:<40} {taken * 1e3:>10.3f} ms {taken / total:>7.1%}")
    click.echo(f"{'all parts':<40} {total * 1e3:>10.3f} ms")
    click.echo(f"{'the same as one step of the trainer':<40} {whole * 1e3:>10.3f} ms")


@main.command()
@_case(Case(32, 16, 16))
@click.option("--iterations", default=300, show_default=True, type=click.IntRange(min=1), help="Iterations.")
@click.option("--mlflow/--no-mlflow", default=True, show_default=True, help="Whether the run is sent to MLflow.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe (repeatable).")
@_device
def overhead(case: Case, iterations: int, mlflow: bool, settings: tuple[str, ...], device: str) -> None:
    """What the trainer costs around the arithmetic of a step, in ms and as a part of a step of 100 ms."""
    from ganlab.cli.threads import spin_briefly

    spin_briefly()

    from benchmarks.overhead import measure_overhead

    found = measure_overhead(str(PGGAN), case, settings, iterations=iterations, device=device, mlflow=mlflow)
    click.echo(f"iteration {found.whole * 1e3:.3f} ms, of which arithmetic {found.arithmetic * 1e3:.3f} ms")
    click.echo(f"around it: {found.around * 1e3:.3f} ms, {found.around / 0.1:.2%} of a step of 100 ms")


@main.command()
@click.argument("recipe", default=str(PGGAN), type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe (repeatable).")
@_rounds(3)
def start(recipe: Path, settings: tuple[str, ...], rounds: int) -> None:
    """Seconds from the start of `ganlab run RECIPE` to the end of its first step."""
    for _ in range(rounds):
        click.echo(f"{starting.seconds_to_first_step(recipe, settings):.2f} s to the end of the first step")


@main.command()
@click.argument("recipe", default=str(PGGAN), type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the recipe (repeatable).")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(min=0), help="Of each plan.")
def planned(recipe: Path, settings: tuple[str, ...], seconds: float) -> None:
    """The time that `ganlab plan` tells, before and after a run, against that of the run."""
    from ganlab.cli.threads import spin_briefly

    spin_briefly()

    from benchmarks.planned import planned_and_taken

    found = planned_and_taken(recipe, ("track.mlflow=false", "metrics=[]", *settings), seconds=seconds)
    click.echo(f"planned before {found.before:.3f} s, taken {found.taken:.3f} s, planned after {found.after:.3f} s")
    click.echo(f"planned is {found.ratio:.2f} of taken")


@main.command()
@click.option("--plugins", default=50, show_default=True, type=click.IntRange(min=1), help="Installed plugins.")
@click.option("--broken", default=10, show_default=True, type=click.IntRange(min=0), help="Broken ones among them.")
@_rounds(9)
def listing(plugins: int, broken: int, rounds: int) -> None:
    """Seconds that `ganlab plugins` takes where many are installed and some broken; the first round compiles them."""
    with TemporaryDirectory(prefix="ganlab-listing-") as path:
        listings.install(Path(path), plugins=plugins, broken=broken)
        first, *rest = [listings.listing(Path(path)) for _ in range(rounds + 1)]
    click.echo(f"first: {first.seconds:.2f} s, {first.processor_seconds:.2f} s of processor time")
    click.echo(f"then: {Spread.of([each.seconds for each in rest])} s (median and quartiles of {rounds})")
    click.echo(f"      {Spread.of([each.processor_seconds for each in rest])} s of processor time")


@main.command()
@_case(Case(64, 32, 32))
@click.option("--count", default=1000, show_default=True, type=click.IntRange(min=1), help="Images in the data set.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=0), help="Threads that decode.")
@click.option("--format", "formats", multiple=True, default=("png", "webp"), show_default=True, help="Of the shards.")
@_rounds(15)
@_device
def data(case: Case, count: int, workers: int, formats: tuple[str, ...], rounds: int, device: str) -> None:
    """A step with images read from shards against one whose images are on the device already."""
    with TemporaryDirectory(prefix="ganlab-data-") as folder:
        variants = []
        for image_format in formats:
            path = pack(Path(folder), resolution=case.resolution, count=count, image_format=image_format)
            source = ["data.name=shards", f'data.path="{path}"', f"data.workers={workers}"]
            for cache, words in (("cached", []), ("not cached", ["data.cache_gigabytes=0"])):
                variants.append(Variant(f"{image_format}, {cache}", [*source, *words]))
        measured, facts = measure_reading(variants, case, rounds=rounds, device=device)
    said(facts)
    for row in measured:
        click.echo(f"{row.variant:<20} {row.median_seconds * 1e3:>9.2f} ms/step  {row.ratio} of the time on the device")


if __name__ == "__main__":
    main()
