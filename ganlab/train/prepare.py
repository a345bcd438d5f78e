"""Everything before the first step: data, precision, networks, a look ahead at every level, the folder's facts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import attrs
import torch

from ganlab.derivatives import has_amx
from ganlab.errors import DataError, GanlabError, RunError
from ganlab.interfaces import BuiltSchedule, ImageSet, ImageShape
from ganlab.recipe import LoadedRecipe, Recipe, digest
from ganlab.recipe.rules import stages_of
from ganlab.track.folder import RunFolder
from ganlab.train.allocation import keep_freed_memory
from ganlab.train.classes import label_names
from ganlab.train.devices import choose_device, choose_precision, has_instructions, prepare_arithmetic
from ganlab.train.division import Division, check_divisible
from ganlab.train.domains import domains_of
from ganlab.train.feeds import open_feeds
from ganlab.train.graphs import CudaRecorder
from ganlab.train.measure import planned_metrics, refuse_other_definitions, try_metrics
from ganlab.train.memory import largest_stages, level_memory, refuse_what_cannot_fit
from ganlab.train.players import build_players
from ganlab.train.ranks import ALONE, Ranks
from ganlab.train.rehearsal import obstacle
from ganlab.train.replay import CpuRecorder, hindrance
from ganlab.train.trainer import Trainer

Say = Callable[[str], None]


def prepare(loaded: LoadedRecipe, folder: RunFolder, *, fresh: bool, say: Say, ranks: Ranks = ALONE) -> Trainer:
    """Open the data, build the networks and check that every level fits; writes the folder's recipe and facts."""
    recipe = loaded.recipe
    device = choose_device(ranks.device(recipe.run.device))
    if recipe.run.cuda_graphs == "on" and device.type != "cuda":
        where = loaded.document.origin(("run", "cuda_graphs"))
        raise GanlabError(f"{where}: run.cuda_graphs: on: needs a CUDA device, not {device.type}; use 'auto' or 'off'")
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
    if players.system.chances and division.parts > 1:
        text = "it keeps earlier fakes, which cannot be divided; use one rank and run.micro_batches = 1"
        raise GanlabError(f"{loaded.document.origin(('system',))}: system: {text}")
    if ranks.first:
        try_metrics(loaded)
        if not fresh:
            refuse_other_definitions(folder, planned_metrics(loaded, source))
    _look_ahead(recipe, schedule, images, source, device, division, ranks, say)
    facts = {**_facts(loaded, source, device), "precision": recipe.run.precision}
    if ranks.first:
        if not fresh:
            _same_data(folder, source)
        folder.write_info(facts, resumed=not fresh)
        folder.write_recipe(loaded.toml())  # on resume too: what decides no number, such as [track], may have changed
    feeds = open_feeds(recipe, source, device)
    trainer = Trainer(
        recipe=recipe,
        images=images,
        source=source,
        schedule=schedule,
        players=players,
        feed=feeds[0],
        other_feeds=feeds[1:],
        folder=folder,
        device=device,
        tables={name: loaded.plain()[name] for name in ("generator", "system")},
        facts={"digest": facts["digest"]},
        ranks=ranks,
        say=say,
    )
    _have_updates_recorded(trainer, say)
    return trainer


def _have_updates_recorded(trainer: Trainer, say: Say) -> None:
    run = trainer.recipe.run
    if run.cuda_graphs == "on":
        why = trainer.capture(CudaRecorder(trainer.device), _warn_of_graphs)
        say("cuda graphs: " + ("updates are captured" if why is None else f"none, as {why}"))
    why = hindrance(run, trainer.device)
    if why is None:
        recorder = CpuRecorder(list(trainer.players.modules().values()))
        why = trainer.capture(recorder, lambda later: say(f"replay: none, as {later}"), in_part=True)
    if run.replay == "on":
        say("replay: " + ("updates are replayed" if why is None else f"none, as {why}"))


def _warn_of_graphs(why: str) -> None:
    warnings.warn(f"run.cuda_graphs: an update cannot be captured ({why}); going on without", stacklevel=2)


def _with_precision(recipe: Recipe, device: torch.device, begun: str | None, ranks: Ranks, say: Say) -> Recipe:
    """The recipe with the precision that this run computes in, the first rank's choice on all of them.

    `begun` is the one that a resumed run began in.
    """
    precision, why = ranks.broadcast(choose_precision(recipe.run.precision, device, begun, compiled=recipe.run.compile))
    say(f"precision: {precision} ({why})")
    if ranks.first and not has_instructions(device, precision):
        slow = f"{precision} has to be emulated on this {device.type} and will be slow; float32 is faster"
        warnings.warn(f"run.precision: {slow}", stacklevel=2)
    if ranks.first and recipe.run.compile and precision != "float32" and device.type == "cpu" and has_amx():
        wrong = f"in {precision} the gradients of gradient penalties may be wrong on this processor; use float32"
        warnings.warn(f"run.compile: {wrong}, or run.compile = false", stacklevel=2)
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
        say(f"peak memory cannot be worked out beforehand: {obstacle(error)}")
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
    domains, wanted = len(domains_of(source)), loaded.recipe.system.domains
    if domains != wanted:
        where = loaded.document.origin(("data", "name"))
        remedy = 'data.name = "two-sets" shows two' if wanted == 2 else "name a data set that has"
        raise DataError(
            f"{where}: data.name: the system needs {wanted} data sets side by side, not {domains}; {remedy}"
        )
    return ImageShape(source.channels, data.resolution, source.label_size if data.labels else 0)


def _facts(loaded: LoadedRecipe, source: ImageSet, device: torch.device) -> dict[str, Any]:
    plain = loaded.plain()
    names = label_names(source, source.label_size) if loaded.recipe.data.labels else ()
    return {
        "name": loaded.name,
        "seed": loaded.recipe.run.seed,
        "digest": digest(plain),
        "plugins": loaded.catalog.versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "data": {**source.describe(), "name": source.name, "digest": source.digest}
        | ({"label_names": list(names)} if names else {}),
        "tags": dict(loaded.recipe.track.tags),
    }


def _same_data(folder: RunFolder, source: ImageSet) -> None:
    before = folder.info().get("data", {}).get("digest")
    if before is not None and before != source.digest:
        raise RunError(
            f"{folder.path}: the data set has changed since this run began (digest {before[:8]}, now "
            f"{source.digest[:8]}); restore it, or start a new run"
        )
