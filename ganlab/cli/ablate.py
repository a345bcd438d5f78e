"""`ganlab ablate`: train every variant of an ablation with every seed, and compare them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlab.cli.common import ablation_with_warnings, catalog_with_warnings, plugin_option
from ganlab.cli.plan import duration
from ganlab.cli.unheard import readers_may_leave
from ganlab.errors import GanlabError

if TYPE_CHECKING:
    from ganlab.ablation.folder import AblationFolder
    from ganlab.ablation.plan import AblationPlan


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value in all variants, or of the ablation: scale=small, ablation.seeds=[0] (repeatable).",
)
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Folder of the ablation; default runs/<name>.")
@click.option("--executor", help="Where trials run, such as local or ray; as --set ablation.executor=NAME.")
@click.option("--at-once", type=click.IntRange(min=1), help="Trials at once; as --set ablation.executor.at_once=N.")
@click.option(
    "--ranks", type=click.IntRange(1, 1024), default=1, help="Processes that share each trial, one for each GPU."
)
@click.option("--dry-run", is_flag=True, help="List trials, differences and expected cost; train nothing.")
@click.option(
    "--seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How long --dry-run measures to tell the cost, about; 0 for not at all.",
)
@click.option("--quiet", is_flag=True, help="No progress; errors only.")
@plugin_option
def ablate(
    file: Path,
    overrides: tuple[str, ...],
    folder: Path | None,
    executor: str | None,
    at_once: int | None,
    ranks: int,
    dry_run: bool,
    seconds: float,
    quiet: bool,
    plugin_files: tuple[Path, ...],
) -> int:
    """Train the variants that FILE describes, each with every seed, and compare them in a report.

    \b
    ganlab ablate recipes/ablations/stddev.toml --set scale=small
    ganlab ablate recipes/ablations/losses.toml --dry-run

    The same command again goes on: finished trials are left as they are, half-done ones go on where they were, failed
    ones are tried again. Ctrl-C saves all trials that run and ends with exit code 130.
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.ablation.folder import AblationFolder

    shorthands = [f"ablation.executor={executor}"] if executor else []
    shorthands += [f"ablation.executor.at_once={at_once}"] if at_once else []
    catalog = catalog_with_warnings(plugin_files)
    plan = ablation_with_warnings(file, [*overrides, *shorthands], catalog)
    where = AblationFolder(folder or Path.cwd() / "runs" / plan.name)
    if dry_run:
        _list(plan, where, seconds)
        return 0
    with readers_may_leave():
        return _carry_out(plan, where, plugin_files, ranks, quiet)


def _carry_out(
    plan: AblationPlan, folder: AblationFolder, plugin_files: tuple[Path, ...], ranks: int, quiet: bool
) -> int:
    from ganlab.ablation.folder import same_recipe
    from ganlab.ablation.run import carry_out, conclude, unmeasured
    from ganlab.cli.ablation_progress import AblationProgress
    from ganlab.train.stop import listening_for_stop

    trials = list(same_recipe(plan.trials).values())
    with listening_for_stop() as stop, AblationProgress(plan, trials, folder, quiet=quiet) as progress:
        outcome = carry_out(
            plan,
            folder,
            plugin_files=plugin_files,
            ranks=ranks,
            gpus=_on_gpus(plan),
            stop=lambda: stop.signal_number,
            watcher=progress,
            say=progress.say,
        )
        report = conclude(plan, folder, progress.say)
    for name, problem in outcome.failed.items():
        click.echo(f"ganlab: {name}: {problem}", err=True)
    if lacking := unmeasured(plan, folder):
        more = f"\nand {len(lacking) - 1} more trials" if len(lacking) > 1 else ""
        click.echo(f"ganlab: some values are not measured yet; this does it: {lacking[0]}{more}", err=True)
    done = f"{len(outcome.finished)} of {len(trials)} trials are finished"
    click.echo(f"{done}\nreport: {report / 'index.html'}")
    if stop() and outcome.left:
        click.echo(f"stopped and saved; the same command goes on with the {len(outcome.left)} trials that are left")
        return stop.exit_code
    if outcome.failed:
        click.echo("ganlab: the same command tries the failed trials again", err=True)
        return 1
    return 0


def _on_gpus(plan: AblationPlan) -> bool:
    from ganlab.train.devices import choose_device

    devices = {trial.loaded.recipe.run.device for trial in plan.trials}
    if numbered := sorted(device for device in devices if device.startswith("cuda:")):
        text = f"run.device: {numbered[0]}: the executor gives each trial a GPU of its own; set it to cuda or auto"
        raise GanlabError(f"{text}, and list GPUs in ablation.executor.gpus")
    return any(choose_device(device).type == "cuda" for device in devices if device != "cpu")


def _list(plan: AblationPlan, folder: AblationFolder, seconds: float) -> None:
    """Variants with their differences, trials with how they stand, and what is left to be computed."""
    from ganlab.ablation.folder import same_recipe

    if plan.table.question:
        click.echo(plan.table.question)
    for variant in plan.variants:
        mark = " (baseline)" if variant.label == plan.baseline else ""
        click.echo(f"{variant.label}{mark}" + (f", after {variant.against}" if variant.against else ""))
        for line in variant.differences or ["nothing differs" + (" from the base" if not variant.against else "")]:
            click.echo(f"    {line}")
    states = {}
    for trial in same_recipe(plan.trials).values():
        states[trial.id] = folder.state(trial)
    click.echo(f"{len(states)} trials in {folder.path}:")
    for trial in same_recipe(plan.trials).values():
        click.echo(f"    {folder.name(trial)}  {states[trial.id]}")
    if seconds > 0:
        _tell_cost(plan, states, seconds)


def _tell_cost(plan: AblationPlan, states: Mapping[str, str], seconds: float) -> None:
    from ganlab.ablation.folder import same_recipe
    from ganlab.train.plan import make_plan

    left = [trial for trial in same_recipe(plan.trials).values() if states[trial.id] != "finished"]
    variants = list(dict.fromkeys(trial.variant for trial in left))
    if not left:
        click.echo("nothing is left to be trained")
        return
    total, operations = 0.0, 0.0
    for label in variants:
        of_it = [trial for trial in left if trial.variant == label]
        try:
            made = make_plan(of_it[0].loaded, seconds=seconds / len(variants), say=lambda text: None)
        except GanlabError as error:
            raise GanlabError(f"variant '{label}': {error}") from error
        total += made.seconds * len(of_it)
        operations += made.operations * len(of_it)
        click.echo(f"    {label}: {duration(made.seconds)} a trial on {made.device}, {made.operations:.3g} operations")
    click.echo(
        f"left to train: about {duration(total)} one after the other, {operations:.3g} operations; "
        "metrics and starting up are not in it"
    )
