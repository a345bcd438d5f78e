"""`ganlab sync`: sends MLflow what a training could not."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import click
import filelock

from ganlab.cli.common import catalog_with_warnings, plugin_option
from ganlab.errors import GanlabError
from ganlab.plugins import Catalog


@click.command()
@click.argument("run_dirs", metavar="RUN_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--uri", help="MLflow store to send to; by default the one the run was trained with.")
@plugin_option
def sync(run_dirs: tuple[Path, ...], uri: str | None, plugin_files: tuple[Path, ...]) -> None:
    """Send MLflow what it does not have yet of the runs in RUN_DIR...

    Nothing is sent twice, so it may be called at any time and again after a failure. A run goes to --uri, else to
    the `[track] uri` of its recipe, else to MLFLOW_TRACKING_URI, else to the store it was last sent to.
    Of the folder of an ablation, all trials and the report are sent.

    \b
      ganlab sync runs/pggan/20260101-120000
      ganlab sync runs/pggan/* --uri http://gpu1:5000
    """  # noqa: D301 - click's mark is the character backspace, not a backslash and a b
    catalog = catalog_with_warnings(plugin_files)
    problems = []
    for run_dir in run_dirs:
        ablation = (run_dir / "ablation.json").is_file()
        try:
            folders = _trials(run_dir) if ablation else [run_dir]
        except GanlabError as error:
            problems.append(str(error))
            continue
        for folder in folders:
            try:
                deliver(folder, uri, catalog)
            except GanlabError as error:
                problems.append(str(error))
        if ablation:
            try:
                _deliver_report(run_dir, uri)
            except GanlabError as error:
                problems.append(str(error))
    if problems:
        raise GanlabError("\n".join(problems))


def _trials(ablation: Path) -> list[Path]:
    """The run folders of the trials that were begun."""
    from ganlab.ablation.results import read_plan
    from ganlab.track.folder import RunFolder

    folders = sorted({ablation / trial.folder for trial in read_plan(ablation).trials})
    return [folder for folder in folders if RunFolder.holds_run(folder)]


def _deliver_report(ablation: Path, uri: str | None) -> None:
    """Write an ablation's report anew and send it to the parent run of its trials."""
    from ganlab.ablation.mirror import send_report
    from ganlab.recipe.tracking import of_recipe
    from ganlab.track import sent, store
    from ganlab.track.folder import RunFolder

    begun = _trials(ablation)
    wanted = of_recipe(RunFolder.open(begun[0]).recipe()) if begun else None
    fallback = sent.last_uri(ablation.absolute()) or (sent.last_uri(begun[0]) if begun else None)
    target = store.resolve_uri(uri, wanted.uri if wanted else None, fallback=fallback)
    try:
        send_report(ablation.absolute(), target, wanted.experiment if wanted else None)
    except GanlabError:
        raise
    except Exception as error:  # as for runs
        raise GanlabError(f"{ablation}: MLflow at {store.without_password(target)}: {store.reason(error)}") from error
    click.echo(f"{ablation}: sent the report to {store.without_password(target)}")


def deliver(run_dir: Path, uri: str | None, catalog: Catalog) -> None:
    """Bring MLflow up to date with one run folder, whose components are in `catalog`.

    Raises `GanlabError` saying what to do if that cannot be done.
    """
    from ganlab.recipe.tracking import of_recipe
    from ganlab.track import sent, store
    from ganlab.track.folder import RunFolder
    from ganlab.track.mlflow.delivery import Delivery
    from ganlab.track.mlflow.mirror import sending

    folder = RunFolder.open(run_dir)
    wanted = of_recipe(folder.recipe())
    uri = store.resolve_uri(uri, wanted.uri, fallback=sent.last_uri(folder.path))
    target = store.without_password(uri)
    started = last_said = time.monotonic()

    def progress() -> None:
        nonlocal last_said
        if time.monotonic() - last_said > 2:
            last_said = time.monotonic()
            click.echo(f"{run_dir}: {delivery.points_sent} points, {delivery.samples_sent} samples so far")

    from ganlab.train.export import load_generator

    make = partial(load_generator, catalog=catalog)
    click.echo(f"{run_dir}: to {target}")
    try:
        # A training that has just ended may need a moment to let go.
        with sending(folder).acquire(timeout=0 if folder.is_in_use() else 10):
            delivery = Delivery(folder, wanted, uri, make, say=click.echo, progress=progress)
            status = folder.status()
            killed = status is not None and status.state == "running" and not folder.is_in_use()
            delivery.deliver(state="interrupted" if killed else None, with_model=True)
    except filelock.Timeout as error:
        raise GanlabError(f"{run_dir}: its training is running and sends it itself; sync when it has ended") from error
    except store.StoreUnreachable as error:
        raise GanlabError(f"{run_dir}: {error}; start the server, or name another store with --uri") from error
    except GanlabError:
        raise
    except Exception as error:  # MLflow lets through what requests, sqlalchemy and any storage client raise
        raise GanlabError(f"{run_dir}: MLflow at {target}: {store.reason(error)}") from error
    models = "the generator" if delivery.models_sent else "no generator"
    click.echo(
        f"{run_dir}: sent {delivery.points_sent} points, {delivery.samples_sent} samples and {models} in "
        f"{time.monotonic() - started:.0f} s: experiment {delivery.sent.experiment!r}, run {delivery.sent.run_id}"
    )
