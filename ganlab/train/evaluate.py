"""Metrics of a run afterwards, on the averaged generator it left: the numbers that training measures at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import torch

from ganlab.errors import DataError, GanlabError, RunError
from ganlab.interfaces import ImageSet
from ganlab.recipe import LoadedRecipe
from ganlab.track.folder import RunFolder
from ganlab.track.journal import read
from ganlab.track.results import keep, read_results
from ganlab.track.store import reason
from ganlab.train.devices import choose_device, prepare_arithmetic
from ganlab.train.domains import Inputs, inputs_of
from ganlab.train.export import SavedGenerator, read_generator
from ganlab.train.measure import (
    Measured,
    Planned,
    check_names,
    measured,
    planned_metrics,
    refuse_other_definitions,
    try_metrics,
    undisturbed,
)
from ganlab.train.sources import Fakes, Reals


@attrs.frozen
class Evaluation:
    """What was measured of a run."""

    images_shown: int
    """When the generator was saved."""
    resolution: int
    """Full resolution, at which images were compared."""
    level: int
    """Resolution that the generator made."""
    measured: Sequence[Measured]
    problems: Sequence[str]
    """One text for each metric that could not be measured."""

    def told(self, folder: RunFolder) -> list[dict[str, Any]]:
        """Each metric as in `metrics.json`, with its `values` as measured now beside the last and best there."""
        entries = read(folder.path)
        return [{**it.result.told(entries), "measured": dict(it.values)} for it in self.measured]


def evaluate(loaded: LoadedRecipe, folder: RunFolder, *, say: Callable[[str], None]) -> Evaluation:
    """Measure the metrics of `loaded`, a recipe of the run in `folder`, and write journal and `metrics.json`.

    What the journal has already stays as it is. Raises `GanlabError` where nothing can be measured.
    """
    if folder.is_in_use():
        raise RunError(f"{folder.path} is in use: its training is running; evaluate it when it has ended")
    if not folder.generator_path.exists():
        raise RunError(f"{folder.path} has no generator yet: the run saved none before it ended; continue it first")
    with folder.lock():
        recipe = loaded.recipe
        device = choose_device(recipe.run.device)
        prepare_arithmetic(recipe.run.threads)
        saved = read_generator(folder.generator_path, loaded.catalog)
        source = recipe.data.source.build()
        _check_data(folder, source, saved)
        listed = planned_metrics(loaded, source)
        planned = [it for it in listed if _is_kept(it, say)]
        if not planned:
            raise RunError(f"{folder.path}: nothing is left to measure; `ganlab list metric` lists metrics")
        refuse_other_definitions(folder, planned, partial(_key, [_name(it) for it in listed]))
        try_metrics(loaded)
        inputs = inputs_of(saved.system, source, saved.resolution, saved.fade, recipe.data.blend)
        found, problems = _all(folder, planned, source, inputs, saved, device, say)
    return Evaluation(saved.images_shown, saved.images.resolution, saved.resolution, found, problems)


def _name(planned: Planned) -> str:
    return str(planned.definition["metric"]["name"])


def _key(names: Sequence[str], planned: Planned) -> str:
    """What `ganlab evaluate --set` calls an entry: its metric's name, or its number where several have that name."""
    return _name(planned) if names.count(_name(planned)) == 1 else str(planned.number)


def _is_kept(planned: Planned, say: Callable[[str], None]) -> bool:
    if not planned.entry.averaged:
        say(f"{planned.name} is left out: a run that has ended is measured by its averaged generator")
    return planned.entry.averaged


def _all(
    folder: RunFolder,
    planned: Sequence[Planned],
    source: ImageSet,
    inputs: Inputs | None,
    saved: SavedGenerator,
    device: torch.device,
    say: Callable[[str], None],
) -> tuple[list[Measured], list[str]]:
    """Measure one after the other, each kept as soon as it is there."""
    # The layout in memory, too, is that of training: kernels round by it.
    network = saved.network.to(device).to(memory_format=torch.channels_last)
    if isinstance(saved.system, torch.nn.Module):
        saved.system.to(device)
    reals = Reals(source, saved.images.resolution)
    found: list[Measured] = []
    problems = []
    for it in planned:
        known = read_results(folder)
        fakes = Fakes(
            network=network,
            images=saved.images,
            level=saved.resolution,
            fade=saved.fade,
            seed=it.definition["seed"],
            system=saved.system,
            inputs=inputs,
        )
        say(f"measuring {it.name}")
        began = time.perf_counter()
        try:
            with undisturbed(device):
                before = known.get((str(it.definition["metric"]["name"]), str(it.definition["label"])))
                new = measured(it, reals, fakes, before)
            check_names(new, list(known.values()))
        except Exception as error:  # a plugin's metric may raise anything; the others are measured all the same
            said = str(error) if isinstance(error, GanlabError) else f"{type(error).__name__}: {reason(error)}"
            problems.append(f"{it.name} was not measured: {said}")
            continue
        found.append(new)
        _keep(folder, saved.images_shown, new, time.perf_counter() - began, say)
    return found, problems


def _keep(folder: RunFolder, images_shown: int, new: Measured, seconds: float, say: Callable[[str], None]) -> None:
    """Add to the journal what it does not have of this moment."""
    there: dict[str, float] = {}
    for line in read(folder.path):
        if line.images_shown == images_shown:
            there.update(line.values)
    for name in sorted(there.keys() & new.values.keys()):
        if repr(there[name]) != repr(new.values[name]):
            say(f"{name}: the journal keeps {there[name]!r}, which was measured before at the same images shown")
    values = {name: value for name, value in new.values.items() if name not in there}
    if values:
        keep(folder, images_shown, [new.result], values, {"metrics_seconds": seconds})


def _check_data(folder: RunFolder, source: ImageSet, saved: SavedGenerator) -> None:
    """Raise `GanlabError` where the data is not what the generator was trained with."""
    before = (folder.info().get("data") or {}).get("digest")
    if before is not None and before != source.digest:
        raise RunError(
            f"{folder.path}: the data set has changed since this run began (digest {before[:8]}, now "
            f"{source.digest[:8]}); restore it"
        )
    if saved.images.resolution not in source.resolutions:
        raise DataError(f"{source.name} has no images at {saved.images.resolution}, the run's resolution")
    if saved.images.channels != source.channels:
        raise DataError(f"{source.name} has {source.channels} channels, the run's images {saved.images.channels}")
