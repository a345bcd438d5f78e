"""`ganlab run`: train a recipe."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import attrs
import click

from ganlab.cli.common import blaming, catalog_with_warnings, recipe_options, recipe_with_warnings
from ganlab.cli.threads import spin_briefly
from ganlab.cli.unheard import readers_may_leave
from ganlab.errors import GanlabError
from ganlab.jobs import LOST, end_with_starter
from ganlab.train.launch import STORE, launch

if TYPE_CHECKING:
    from ganlab.recipe import LoadedRecipe
    from ganlab.train.choose import Choice
    from ganlab.train.ranks import Ranks


@attrs.frozen
class _Asked:
    """What the user typed."""

    recipe: Path
    overrides: tuple[str, ...]
    plugin_files: tuple[Path, ...]
    run_dir: Path | None
    resume: bool
    quiet: bool

    def load(self) -> LoadedRecipe:
        return recipe_with_warnings(self.recipe, self.overrides, catalog_with_warnings(self.plugin_files))

    def choose(self, loaded: LoadedRecipe) -> Choice:
        from ganlab.train.choose import choose_folder

        if self.resume and self.run_dir is not None:
            _let_others_end(self.run_dir)
        return choose_folder(loaded, self.run_dir, resume=self.resume, runs=Path.cwd() / "runs")

    def words(self, folder: Path) -> list[str]:
        """The command that goes on in `folder`, without `ganlab`."""
        words = ["run", str(self.recipe), "--run-dir", str(folder), "--resume"]
        words += [word for assignment in self.overrides for word in ("--set", assignment)]
        return words + [word for file in self.plugin_files for word in ("--plugin", str(file))]


@click.command()
@recipe_options
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the run; default runs/<name>/<time>.")
@click.option(
    "--resume", is_flag=True, help="Continue the run in --run-dir (or the newest unfinished one), or start it."
)
@click.option(
    "--ranks",
    type=click.IntRange(1, 1024),
    default=1,
    help="Processes on this machine that share every minibatch, one for each GPU; `torchrun` works too.",
)
@click.option("--quiet", is_flag=True, help="No progress bar; errors only.")
def run(
    recipe: Path,
    overrides: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    run_dir: Path | None,
    resume: bool,
    ranks: int,
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
    end_with_starter()
    with readers_may_leave():
        return _run(_Asked(recipe, overrides, plugin_files, run_dir, resume, quiet), ranks)


def _run(asked: _Asked, ranks: int) -> int:
    """Train alone, as one of several ranks, or as the one that starts them."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ:
        if ranks > 1:
            raise GanlabError(f"--ranks {ranks}: this is one of several ranks already; leave the option out")
        _end_at_once(_run_rank(asked))
    if ranks > 1:
        return _run_ranks(asked, ranks)
    loaded = asked.load()
    spin_briefly()
    choice = asked.choose(loaded)
    if choice.plan == "done":
        click.echo(f"{choice.path} is finished already")
        return 0

    from ganlab.train.run import run as train

    return _trained(asked, loaded, choice, lambda say, listener: train(loaded, choice, say=say, listener=listener))


def _let_others_end(path: Path) -> None:
    """Wait for a process that was lost in `path` and is saving: it decides where there is to go on."""
    from ganlab.track.folder import RunFolder

    with contextlib.suppress(OSError):  # a finished run may be in a place that cannot be written
        if (path / ".lock").exists() and RunFolder(path).is_in_use():
            RunFolder(path).lock().__exit__(None, None, None)


def _trained(
    asked: _Asked,
    loaded: LoadedRecipe,
    choice: Choice,
    train: Callable[..., int],
    ranks: int = 1,
) -> int:
    """Train with progress on the terminal, and say at the end how to go on."""
    from ganlab.cli.progress import TrainingProgress
    from ganlab.train.run import finished_note

    with (
        TrainingProgress(loaded.recipe.run.images, quiet=asked.quiet) as progress,
        warnings.catch_warnings(),
        blaming(loaded),
    ):
        warnings.showwarning = lambda message, *_, **__: progress.say(f"ganlab: warning: {message}")
        code = train(progress.say, progress.show)
    if code == 0:
        progress.say(finished_note(choice.path))
    else:
        progress.say(f"stopped and saved; go on with: {_go_on(asked, choice.path, ranks)}")
    return code


def _go_on(asked: _Asked, folder: Path, ranks: int) -> str:
    several = ["--ranks", str(ranks)] if ranks > 1 else []
    return shlex.join(["ganlab", *asked.words(folder), *several])


def _run_ranks(asked: _Asked, ranks: int) -> int:
    """Start all ranks, wait for them, and say which one was lost if one was."""
    choice = asked.choose(asked.load())
    if choice.plan == "done":
        click.echo(f"{choice.path} is finished already")
        return 0
    end = launch([*asked.words(choice.path), *(["--quiet"] if asked.quiet else [])], ranks)
    if end.lost:
        from ganlab.track.folder import RunFolder

        folder = RunFolder(choice.path)
        with folder.lock():
            before = folder.status()
            folder.set_status("failed", 0 if before is None else before.images_shown, end.lost)
            kept = [path.name for path in folder.checkpoints.glob("checkpoint-*.safetensors")]
        last = f"the last checkpoint is {max(kept, key=lambda name: (len(name), name))}" if kept else "nothing is saved"
        click.echo(f"ganlab: {end.lost}; {last}; go on with: {_go_on(asked, choice.path, ranks)}", err=True)
    return end.exit_code


def _run_rank(asked: _Asked) -> int:
    """One of several ranks. The first one says what all would say; the launcher has read the recipe before them."""
    launched = STORE in os.environ
    local_rank = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
    muted = contextlib.redirect_stderr(io.StringIO()) if launched or local_rank else contextlib.nullcontext()
    with _said_once(local_rank), muted:
        loaded = asked.load()
    spin_briefly()

    from ganlab.train.devices import choose_device
    from ganlab.train.ranks import RankLost, Ranks, joined

    ranks = Ranks.from_environment()
    with _said_once(local_rank), blaming(loaded):
        device = choose_device(ranks.device(loaded.recipe.run.device))
    try:
        with joined(ranks, device):
            return _trained_by_rank(asked, loaded, ranks, launched=launched)
    except RankLost as error:
        if ranks.first and not launched:
            click.echo(f"ganlab: {error}", err=True)
        return LOST
    except KeyboardInterrupt:
        if ranks.first:
            raise
        return 128 + signal.SIGINT


def _end_at_once(code: int) -> NoReturn:
    """End this process without the interpreter's own clean-up; everything has been written and closed by now.

    In it a thread of a process group, gone already for Python, may still be found running by the C++ library, which
    then aborts: a rank that has done all its work would count as lost.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _trained_by_rank(asked: _Asked, loaded: LoadedRecipe, ranks: Ranks, *, launched: bool) -> int:
    """Train as this rank in the folder that the first one chooses."""
    from ganlab.train.choose import Choice
    from ganlab.train.run import run as train

    if ranks.first:
        choice = asked.choose(loaded)
        ranks.broadcast([str(choice.path), choice.plan])
    else:
        path, plan = ranks.broadcast(["", ""])
        choice = Choice(Path(path), plan)  # type: ignore[arg-type]  # JSON does not say that it is a plan
    if not ranks.first and choice.plan != "done":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return train(loaded, choice, say=lambda text: None, ranks=ranks)
    if choice.plan == "done":
        if ranks.first:
            click.echo(f"{choice.path} is finished already")
        return 0
    return _trained(
        asked,
        loaded,
        choice,
        lambda say, listener: train(loaded, choice, say=say, listener=listener, ranks=ranks),
        ranks.size if launched else 1,
    )


@contextlib.contextmanager
def _said_once(local_rank: int) -> Iterator[None]:
    """All ranks of a machine find the same mistakes; the first one there tells of them."""
    try:
        yield
    except GanlabError:
        if local_rank:
            raise click.exceptions.Exit(2) from None
        raise
