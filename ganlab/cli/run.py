"""`ganlab run`: train a recipe."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import click

from ganlab.cli.common import blaming, catalog_with_warnings, recipe_options, recipe_with_warnings
from ganlab.cli.threads import spin_briefly


@click.command()
@recipe_options
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the run; default runs/<name>/<time>.")
@click.option(
    "--resume", is_flag=True, help="Continue the run in --run-dir (or the newest unfinished one), or start it."
)
@click.option("--quiet", is_flag=True, help="No progress bar; errors only.")
def run(
    recipe: Path,
    overrides: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    run_dir: Path | None,
    resume: bool,
    quiet: bool,
) -> int:
    """Train RECIPE, in a run folder of its own.

    Everything is kept in that folder and mirrored in MLflow.

    \b
    ganlab run recipes/pggan.toml
    ganlab run recipes/pggan.toml --set loss=lsgan --set run.images=20000
    ganlab run recipes/pggan.toml --run-dir runs/mine --resume

    An unfinished run of the same recipe in --run-dir is continued where it stopped, bit for bit. Ctrl-C finishes the
    step, saves and ends with exit code 130; again, at once.
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    loaded = recipe_with_warnings(recipe, overrides, catalog_with_warnings(plugin_files))

    spin_briefly()

    from ganlab.train.choose import choose_folder

    choice = choose_folder(loaded, run_dir, resume=resume, runs=Path.cwd() / "runs")
    if choice.plan == "done":
        click.echo(f"{choice.path} is finished already")
        return 0

    from ganlab.cli.progress import TrainingProgress
    from ganlab.train.run import finished_note
    from ganlab.train.run import run as train

    with (
        TrainingProgress(loaded.recipe.run.images, quiet=quiet) as progress,
        warnings.catch_warnings(),
        blaming(loaded),
    ):
        warnings.showwarning = lambda message, *_, **__: progress.say(f"ganlab: warning: {message}")
        code = train(loaded, choice, say=progress.say, listener=progress.show)
    if code == 0:
        progress.say(finished_note(choice.path))
    else:
        words = ["ganlab", "run", str(recipe), "--run-dir", str(choice.path), "--resume"]
        words += [word for assignment in overrides for word in ("--set", assignment)]
        words += [word for file in plugin_files for word in ("--plugin", str(file))]
        progress.say(f"stopped and saved; go on with: {shlex.join(words)}")
    return code
