"""A whole run, from its folder to its end, whatever that is."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from ganlab.errors import RunError, TrainingFailed
from ganlab.interfaces import RunInfo, Stage
from ganlab.recipe import LoadedRecipe
from ganlab.track.files import remove_leftovers, write_atomically
from ganlab.track.findings import drop_findings_after
from ganlab.track.folder import RunFolder
from ganlab.track.results import rebuild_results
from ganlab.train.choose import Choice
from ganlab.train.events import Position
from ganlab.train.export import load_generator
from ganlab.train.loop import train
from ganlab.train.measure import Measurer, planned_metrics
from ganlab.train.prepare import Say, prepare
from ganlab.train.ranks import ALONE, RankLost, Ranks
from ganlab.train.samples import enlarge, save_grid
from ganlab.train.state import checkpoints
from ganlab.train.stop import StopRequest, listening_for_stop
from ganlab.train.tally import NonFinite
from ganlab.train.tensors import DamagedFileError
from ganlab.train.trainer import Trainer
from ganlab.train.updates import Listener


def run(
    loaded: LoadedRecipe, choice: Choice, *, say: Say, listener: Listener | None = None, ranks: Ranks = ALONE
) -> int:
    """Train a recipe in a folder and return the exit code: 0, or 130/143 after Ctrl-C/SIGTERM. Raises `GanlabError`.

    Every one of several `ranks` calls this, with the first one's choice, and none but the first writes or says
    anything. Raises `RankLost` where another rank has ended.
    """
    with ExitStack() as stack:
        folder = RunFolder(choice.path)
        if ranks.first:
            folder = RunFolder.open(choice.path) if choice.plan == "resume" else RunFolder.create(choice.path)
            stack.enter_context(folder.lock())
        stop = stack.enter_context(listening_for_stop())
        with ranks.first_speaks():
            trainer = prepare(loaded, folder, fresh=choice.plan == "start", say=say, ranks=ranks)
        planned = planned_metrics(loaded, trainer.source)
        if not ranks.first:
            return _follow(trainer, stop, Measurer(trainer, planned, lambda text: None))
        if listener is not None:
            trainer.listener = listener
        mirror = _start_mirror(loaded, folder, say)
        observers = _Observers(loaded, folder)
        try:
            return _train(trainer, observers, stop, Measurer(trainer, planned, say), say)
        finally:
            trainer.close()
            if mirror is not None:
                # A first Ctrl-C now ends the waiting; one that ended the training does not count.
                mirror.close(give_up=(lambda: False) if stop() else stop)


def _train(trainer: Trainer, observers: _Observers, stop: StopRequest, measure: Measurer, say: Say) -> int:
    folder = trainer.folder
    trainer.ranks.agree(trainer.source.digest, str)
    position = _resume(trainer, say)
    if position is None:
        folder.journal.truncate_after(-1)
        drop_findings_after(folder.path, -1)
        rebuild_results(folder)
        _save_reals(trainer)
    folder.set_status("running", trainer.images_shown)
    observers.call("before_run")
    try:
        outcome, reached = train(
            trainer,
            position,
            stop_requested=_stopping(trainer, stop),
            stage_ended=lambda stage, shown: observers.call("after_stage", stage=stage, images_shown=shown),
            measure=measure,
        )
    except NonFinite as error:
        path = folder.path / "failure.json"
        write_atomically(path, json.dumps(trainer.explain(error), indent=2) + "\n")
        trainer.note_failure(error)
        folder.set_status("failed", error.images_shown, str(error))
        observers.call("after_run", outcome="failed")
        remedy = "a lower optimizer.learning_rate, or another loss, usually helps"
        raise TrainingFailed(f"{error}; {_last_checkpoint(folder)}; the batch is named in {path}; {remedy}") from error
    except RankLost as error:
        text = f"{error}; {_last_checkpoint(folder)}, from which the same command goes on with --resume"
        folder.set_status("failed", trainer.images_shown, text)
        observers.call("after_run", outcome="failed")
        raise RankLost(text) from error
    except KeyboardInterrupt:  # Ctrl-C a second time: nothing is saved, what was saved before is good
        folder.set_status("interrupted", trainer.images_shown)
        observers.call("after_run", outcome="interrupted")
        raise
    except BaseException as error:
        folder.set_status("failed", trainer.images_shown, f"{type(error).__name__}: {error}")
        observers.call("after_run", outcome="failed")
        raise
    folder.set_status(outcome, reached)
    observers.call("after_run", outcome=outcome)
    return stop.exit_code if outcome == "interrupted" else 0


def _follow(trainer: Trainer, stop: StopRequest, measure: Measurer) -> int:
    """What every rank but the first does: the same steps, and nothing of what is written or said."""
    ranks = trainer.ranks
    try:
        ranks.agree(trainer.source.digest, lambda wanted: f"the data is another than the first rank's ({wanted[:8]})")
        path = ranks.broadcast("")
        position = trainer.restore(Path(path)) if path else None
        outcome, _ = train(
            trainer,
            position,
            stop_requested=_stopping(trainer, stop),
            stage_ended=lambda stage, shown: None,
            measure=measure,
        )
    except NonFinite as error:  # it is so on all ranks, and the first one says so
        raise RankLost(str(error)) from error
    finally:
        trainer.close()
    return stop.exit_code if outcome == "interrupted" else 0


def _stopping(trainer: Trainer, stop: StopRequest) -> Callable[[], bool]:
    """Whether to stop, asked after each iteration and answered alike on all ranks."""
    if not trainer.ranks.several:
        return stop
    trainer.whole.stop_signal = lambda: stop.signal_number

    def agreed() -> bool:
        number = trainer.whole.agreed_stop()
        stop.signal_number = number or stop.signal_number
        return bool(number)

    return agreed


def _last_checkpoint(folder: RunFolder) -> str:
    kept = [item.name for item in checkpoints(folder.checkpoints)]
    return f"the last good checkpoint is {kept[-1]}" if kept else "there is no checkpoint yet"


def _resume(trainer: Trainer, say: Say) -> Position | None:
    """Take over the newest whole checkpoint; the journal and samples past it are dropped, to be written again.

    None where there is no checkpoint yet. A damaged one is renamed, so that it does not stand for a good one.
    Raises `RunError` where checkpoints are there but none can be used.
    """
    folder = trainer.folder
    for part in (folder.path, folder.checkpoints):
        remove_leftovers(part)
    found = checkpoints(folder.checkpoints)
    for path in reversed(found):
        try:
            position = trainer.restore(path)
        except DamagedFileError as error:
            path.rename(path.with_suffix(".damaged"))
            say(f"{error}; it is now {path.with_suffix('.damaged').name}, trying the checkpoint before it")
            continue
        trainer.ranks.broadcast(str(path))
        folder.journal.truncate_after(position.images_shown)
        drop_findings_after(folder.path, position.images_shown)
        rebuild_results(folder)
        for step in folder.sample_steps():
            if step > position.images_shown:
                folder.sample_path(step).unlink(missing_ok=True)
        say(f"resuming at {position.images_shown:,} images shown")
        return position
    if found:
        raise RunError(f"none of the {len(found)} checkpoints in {folder.checkpoints} can be read; start a new run")
    trainer.ranks.broadcast("")
    return None


def _save_reals(trainer: Trainer) -> None:
    """Some real images beside the samples, to compare with."""
    count = min(trainer.recipe.track.samples, trainer.source.count)
    images = trainer.source.images(trainer.images.resolution, range(count))
    save_grid(enlarge(images, trainer.images.resolution), trainer.folder.path / "reals.png")


def _start_mirror(loaded: LoadedRecipe, folder: RunFolder, say: Say) -> Any:
    if not loaded.recipe.track.mlflow:
        return None
    from ganlab.track.mlflow import Mirror

    make = (lambda path: load_generator(path, loaded.catalog)) if loaded.recipe.track.log_model else None
    mirror = Mirror(folder, loaded.recipe.track, load_generator=make, say=say)
    mirror.start()
    return mirror


@attrs.define
class _Observers:
    """Calls the observer hooks of every plugin; one that raises is warned about and never stops a training."""

    loaded: LoadedRecipe
    folder: RunFolder

    def call(self, hook: str, **arguments: Stage | int | str) -> None:
        manager = self.loaded.catalog.manager
        info = RunInfo(str(self.folder.path), self.loaded.name, self.loaded.recipe.run.seed, self.loaded.plain())
        for caller in manager.get_plugins():
            others = [other for other in manager.get_plugins() if other is not caller]
            try:
                manager.subset_hook_caller(hook, others)(run=info, **arguments)
            except (Exception, SystemExit) as error:
                warnings.warn(f"plugin {manager.get_name(caller)}: {hook} raised {error!r}", stacklevel=2)


def finished_note(path: Path) -> str:
    """What to do with a run that has ended."""
    return f"run folder: {path}\nlook at it with `ganlab ui`; `ganlab generate {path} --out images` writes images"
