"""A whole run: folder, data, networks, the check of memory, training, and its end, whatever it is."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import torch

from ganlab.errors import DataError, RunError, TrainingFailed
from ganlab.interfaces import BuiltSchedule, ImageSet, ImageShape, RunInfo, Stage
from ganlab.recipe import LoadedRecipe, Recipe, digest
from ganlab.recipe.rules import stages_of
from ganlab.track.files import remove_leftovers, write_atomically
from ganlab.track.folder import RunFolder
from ganlab.track.store import reason
from ganlab.train.allocation import keep_freed_memory
from ganlab.train.choose import Choice
from ganlab.train.devices import choose_device, choose_precision, has_instructions, prepare_arithmetic
from ganlab.train.division import Division, check_divisible
from ganlab.train.events import Position
from ganlab.train.export import load_generator
from ganlab.train.loop import train
from ganlab.train.measure import measure_at_end
from ganlab.train.memory import largest_stages, level_memory, refuse_what_cannot_fit
from ganlab.train.players import build_players
from ganlab.train.ranks import ALONE, RankLost, Ranks
from ganlab.train.samples import enlarge, save_grid
from ganlab.train.state import checkpoints
from ganlab.train.stop import StopRequest, listening_for_stop
from ganlab.train.supply import open_feed
from ganlab.train.tally import NonFinite
from ganlab.train.tensors import DamagedFileError
from ganlab.train.trainer import Listener, Trainer

Say = Callable[[str], None]


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
        if not ranks.first:
            return _follow(trainer, stop)
        if listener is not None:
            trainer.listener = listener
        mirror = _start_mirror(loaded, folder, say)
        observers = _Observers(loaded, folder)
        try:
            return _train(trainer, observers, stop, say)
        finally:
            trainer.feed.close()
            if mirror is not None:
                # A first Ctrl-C now ends the waiting; one that ended the training does not count.
                mirror.close(give_up=(lambda: False) if stop() else stop)


def prepare(loaded: LoadedRecipe, folder: RunFolder, *, fresh: bool, say: Say, ranks: Ranks = ALONE) -> Trainer:
    """Open the data, build the networks and check that every level fits; writes the folder's recipe and facts."""
    recipe = loaded.recipe
    device = choose_device(ranks.device(recipe.run.device))
    prepare_arithmetic(ranks.threads(recipe.run.threads))
    keep_freed_memory()
    source = recipe.data.source.build()
    images = image_shape(loaded, source)
    schedule = recipe.schedule.build(
        resolution=recipe.data.resolution,
        total_images=recipe.run.images,
        learning_rate=recipe.optimizer.learning_rate,
    )
    begun = None if fresh else folder.info().get("precision")
    recipe = _with_precision(recipe, device, begun, ranks, say)
    players = build_players(recipe, images, device)
    division = Division(ranks.size, ranks.rank, recipe.run.micro_batches)
    check_divisible(division, stages_of(schedule, recipe.run.images), players)
    _look_ahead(recipe, schedule, images, source, device, division, ranks, say)
    facts = {**_facts(loaded, source, device), "precision": recipe.run.precision}
    if ranks.first:
        if not fresh:
            _same_data(folder, source)
        folder.write_info(facts, resumed=not fresh)
        folder.write_recipe(loaded.toml())  # on resume too: what decides no number, such as [track], may have changed
    return Trainer(
        recipe=recipe,
        images=images,
        source=source,
        schedule=schedule,
        players=players,
        feed=open_feed(recipe, source, device),
        folder=folder,
        device=device,
        generator_table=loaded.plain()["generator"],
        facts={"digest": facts["digest"]},
        ranks=ranks,
    )


def _with_precision(recipe: Recipe, device: torch.device, begun: str | None, ranks: Ranks, say: Say) -> Recipe:
    """The recipe with the precision that this run computes in, the first rank's choice on all of them.

    `begun` is the one that a resumed run began in.
    """
    precision, why = ranks.broadcast(choose_precision(recipe.run.precision, device, begun))
    say(f"precision: {precision} ({why})")
    if ranks.first and not has_instructions(device, precision):
        slow = f"{precision} has to be emulated on this {device.type} and will be slow; float32 is faster"
        warnings.warn(f"run.precision: {slow}", stacklevel=2)
    return attrs.evolve(recipe, run=attrs.evolve(recipe.run, precision=precision))


def _look_ahead(
    recipe: Recipe,
    schedule: BuiltSchedule,
    images: ImageShape,
    source: ImageSet,
    device: torch.device,
    division: Division,
    ranks: Ranks,
    say: Say,
) -> None:
    """Find out now what would end the run at a later level: data that cannot be read, memory that is not there."""
    for resolution in sorted({stage.resolution for stage in largest_stages(schedule, recipe.run.images)}):
        source.images(resolution, [0])
    if not recipe.run.check_memory or ranks.local_rank:  # one rank of each machine checks for all there
        return
    try:
        levels = level_memory(recipe, schedule, images, device, parts=division.parts)
    except Exception as error:  # somebody's component may not work without content; that is no reason not to train
        say(f"peak memory cannot be worked out beforehand ({reason(error)})")
        return
    say("peak memory by level: " + "; ".join(map(str, levels)))
    refuse_what_cannot_fit(levels, device, sharers=ranks.local_size)


def image_shape(loaded: LoadedRecipe, source: ImageSet) -> ImageShape:
    """What the networks are built for. Raises `DataError` where the data cannot serve the recipe."""
    data = loaded.recipe.data
    where = loaded.document.origin(("data", "resolution"))
    if data.resolution not in source.resolutions:
        known = ", ".join(map(str, source.resolutions))
        raise DataError(f"{where}: data.resolution: {source.name} has no images at {data.resolution} (it has {known})")
    if data.labels and not source.label_size:
        raise DataError(f"{loaded.document.origin(('data', 'labels'))}: data.labels: {source.name} has no labels")
    return ImageShape(source.channels, data.resolution, source.label_size if data.labels else 0)


def _train(trainer: Trainer, observers: _Observers, stop: StopRequest, say: Say) -> int:
    folder = trainer.folder
    trainer.ranks.agree(trainer.source.digest, str)
    position = _resume(trainer, say)
    if position is None:
        folder.journal.truncate_after(-1)
        _save_reals(trainer)
    folder.set_status("running", trainer.images_shown)
    observers.call("before_run")
    try:
        outcome, reached = train(
            trainer,
            position,
            stop_requested=_stopping(trainer, stop),
            stage_ended=lambda stage, shown: observers.call("after_stage", stage=stage, images_shown=shown),
        )
        if outcome == "finished":
            measure_at_end(trainer, reached, say)
    except NonFinite as error:
        path = folder.path / "failure.json"
        write_atomically(path, json.dumps(trainer.explain(error), indent=2) + "\n")
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


def _follow(trainer: Trainer, stop: StopRequest) -> int:
    """What every rank but the first does: the same steps, and nothing of what is written or said."""
    ranks = trainer.ranks
    try:
        ranks.agree(trainer.source.digest, lambda wanted: f"the data is another than the first rank's ({wanted[:8]})")
        path = ranks.broadcast("")
        position = trainer.restore(Path(path)) if path else None
        outcome, reached = train(
            trainer,
            position,
            stop_requested=_stopping(trainer, stop),
            stage_ended=lambda stage, shown: None,
        )
        if outcome == "finished":
            measure_at_end(trainer, reached, lambda text: None)
    except NonFinite as error:  # it is so on all ranks, and the first one says so
        raise RankLost(str(error)) from error
    finally:
        trainer.feed.close()
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
        for step in folder.sample_steps():
            if step > position.images_shown:
                folder.sample_path(step).unlink(missing_ok=True)
        say(f"resuming at {position.images_shown:,} images shown")
        return position
    if found:
        raise RunError(f"none of the {len(found)} checkpoints in {folder.checkpoints} can be read; start a new run")
    trainer.ranks.broadcast("")
    return None


def _facts(loaded: LoadedRecipe, source: ImageSet, device: torch.device) -> dict[str, Any]:
    plain = loaded.plain()
    return {
        "name": loaded.name,
        "seed": loaded.recipe.run.seed,
        "digest": digest(plain),
        "plugins": loaded.catalog.versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "data": {**source.describe(), "name": source.name, "digest": source.digest},
    }


def _same_data(folder: RunFolder, source: ImageSet) -> None:
    before = folder.info().get("data", {}).get("digest")
    if before is not None and before != source.digest:
        raise RunError(
            f"{folder.path}: the data set has changed since this run began (digest {before[:8]}, now "
            f"{source.digest[:8]}); restore it, or start a new run"
        )


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
