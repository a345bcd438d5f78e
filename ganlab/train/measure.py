"""Measures the recipe's metrics in the course of a training and at its end, without a trace in the training itself.

The first rank measures; fakes are made by all ranks together. A metric that fails is told of and stops nothing.
"""

from __future__ import annotations

import copy
import json
import shlex
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import torch

from ganlab.errors import GanlabError, RunError
from ganlab.interfaces import ImageSet
from ganlab.problems import dotted, keyed, parameter_names
from ganlab.recipe import LoadedRecipe
from ganlab.recipe.digest import flat, with_bare_names
from ganlab.recipe.schema import MetricTable, shared_metric_keys
from ganlab.track.folder import RunFolder
from ganlab.track.journal import read
from ganlab.track.results import Result, keep, read_results
from ganlab.train.events import Finish, Measure
from ganlab.train.ranks import RankLost
from ganlab.train.sources import Fakes, Reals
from ganlab.train.trainer import Trainer


@attrs.frozen
class Planned:
    """One entry of `[[metrics]]`, ready to be measured."""

    number: int
    """In the recipe, from 0."""
    entry: MetricTable
    definition: Mapping[str, Any]
    """What is known before of how it is measured; see `ganlab.track.results.Result`."""

    @property
    def name(self) -> str:
        """For people, such as `swd` or `swd/quick`."""
        return "/".join(filter(None, (str(self.definition["metric"]["name"]), self.entry.ending)))


@attrs.frozen
class Measured:
    """What one entry has given."""

    result: Result
    values: Mapping[str, float]
    """By names in the journal, such as `metric/swd/mean`."""


def planned_metrics(loaded: LoadedRecipe, source: ImageSet) -> list[Planned]:
    """The recipe's metrics and what their values are of."""
    resolution = loaded.recipe.data.resolution
    shared = shared_metric_keys()
    planned = []
    tables = with_bare_names(loaded.plain()["metrics"])
    for number, (entry, table) in enumerate(zip(loaded.recipe.metrics, tables, strict=True)):
        definition = {
            "metric": {key: value for key, value in table.items() if key not in shared},
            "label": entry.ending,
            "averaged": entry.averaged,
            "seed": loaded.recipe.run.seed,
            "reference": {
                "name": source.name,
                "digest": source.digest,
                "resolution": resolution,
                "count": source.count,
                "mirrored": False,
            },
            "generated": {"resolution": resolution, "coarser_levels": "enlarged by repeating pixels"},
        }
        planned.append(Planned(number, entry, _as_json(definition)))
    return planned


def try_metrics(loaded: LoadedRecipe) -> None:
    """Build every metric once, so that a missing package or file ends a run before its first step.

    Raises `GanlabError` naming file, line and key.
    """
    for number, entry in enumerate(loaded.recipe.metrics):
        try:
            entry.metric.build()
        except Exception as error:
            text = str(error) if isinstance(error, GanlabError) else f"cannot be built: {type(error).__name__}: {error}"
            problem = keyed(("metrics", number), text, parameter_names(type(entry.metric)))
            raise GanlabError(
                f"{loaded.document.origin(problem.path)}: {dotted(problem.path)}: {problem.text}"
            ) from error


def refuse_other_definitions(
    folder: RunFolder, planned: Sequence[Planned], key: Callable[[Planned], str] = lambda it: f"metrics.{it.number}"
) -> None:
    """Raise `RunError` where the folder has values of the same names that were measured in another way.

    `key` is what `--set` calls an entry.
    """
    known = read_results(folder)
    for it in planned:
        before = known.get(Result(it.definition, {}, {}).key)
        if before is None or not (changed := _differences(before.definition, it)):
            continue
        settable = [(each.removeprefix("metric"), old) for each, old, _ in changed if each.startswith("metric.")]
        back = " ".join(
            shlex.join(["--set", f"{key(it)}{name}={json.dumps(old)}"]) for name, old in settable if old is not None
        )
        remedies = " or ".join(filter(None, (back, f"--set {key(it)}.label=NAME")))
        name, old, new = changed[0]
        raise RunError(
            f"{folder.path}: {key(it)}: {it.name} has been measured with {name.removeprefix('metric.')} {_said(old)}, "
            f"not {_said(new)}; undo that, or give it another `label`, so that its values get names of their own: "
            f"{remedies}"
        )


def measured(planned: Planned, reals: Reals, fakes: Fakes, before: Result | None) -> Measured:
    """Measure once. `before` is what the run folder has of this entry.

    Raises `GanlabError` where it cannot be measured or has become another measure, and whatever a plugin raises.
    """
    built = planned.entry.metric.build()  # anew each time: nothing is carried over from one measurement to the next
    values, better = {}, {}
    directions = getattr(type(planned.entry.metric), "better", {})
    for name, value in built(reals, fakes, seed=planned.definition["seed"]).items():
        named = "/".join(filter(None, ("metric", str(name), planned.entry.ending)))
        values[named], better[named] = float(value), _direction(directions, str(name))
    facts = _as_json(dict(built.facts())) if hasattr(built, "facts") else {}
    if before is not None and before.facts and before.facts != facts:
        changed = sorted(key for key in {*before.facts, *facts} if before.facts.get(key) != facts.get(key))
        raise GanlabError(
            f"it is no longer what it was when this run was measured before ({', '.join(changed)}); restore that, or "
            "give it another `label`"
        )
    known = {} if before is None else dict(before.better)
    return Measured(Result(planned.definition, facts, {**known, **better}), values)


@attrs.define
class Measurer:
    """Measures what is due at an event. Called with the same events on all ranks."""

    trainer: Trainer
    planned: Sequence[Planned]
    say: Callable[[str], None]
    _said: set[str] = attrs.field(init=False, factory=set)

    def __call__(self, event: Measure | Finish) -> None:
        """Measure, and write journal and `metrics.json`; at the end what a process killed then has not written yet."""
        if not self.planned:
            return
        trainer, began = self.trainer, time.perf_counter()
        due = trainer.ranks.broadcast(self._due(event) if trainer.ranks.first else [])
        found: list[Measured] = []
        with undisturbed(trainer.device):
            for averaged in (True, False):
                some = [it for it in self.planned if it.number in due and it.entry.averaged == averaged]
                if some:
                    found += self._group(event, averaged, some)
        seconds = time.perf_counter() - began
        trainer.leave_out(seconds)
        values = {name: value for it in found for name, value in it.values.items()}
        if not values:
            return
        where = "" if isinstance(event, Finish) else f"{event.images_shown:,} images: "
        self.say(where + "; ".join(f"{name.removeprefix('metric/')} {values[name]:.4g}" for name in sorted(values)))
        keep(trainer.folder, event.images_shown, [it.result for it in found], values, {"metrics_seconds": seconds})

    def _due(self, event: Measure | Finish) -> list[int]:
        if isinstance(event, Measure):
            return [it.number for it in self.planned if it.entry.every_images in event.intervals]
        known = read_results(self.trainer.folder)
        there = {name for line in read(self.trainer.folder.path) if line.images_shown == event.images_shown
                 for name in line.values}  # fmt: skip
        results = {it.number: known.get(Result(it.definition, {}, {}).key) for it in self.planned}
        return [number for number, result in results.items() if result is None or not {*result.better} <= there]

    def _group(self, event: Measure | Finish, averaged: bool, planned: Sequence[Planned]) -> list[Measured]:
        """Measure entries of one generator; nothing on ranks other than the first."""
        trainer = self.trainer
        network = trainer.players.averaged
        if not averaged:  # a copy, whose mode and statistics are nobody else's
            network = copy.deepcopy(network)
            network.load_state_dict(trainer.players.generator.state_dict())
        fakes = Fakes(
            network=network,
            images=trainer.images,
            level=event.stage.resolution,
            fade=event.stage.fade,
            seed=trainer.recipe.run.seed,
            system=trainer.players.system,
            inputs=trainer.inputs(event.stage),
            ranks=trainer.ranks,
        )
        if not trainer.ranks.first:
            fakes.help()
            return []
        reals = Reals(trainer.source, trainer.images.resolution)
        known = read_results(trainer.folder)
        found: list[Measured] = []
        for it in planned:
            try:
                new = measured(it, reals, fakes, known.get(Result(it.definition, {}, {}).key))
                check_names(new, [*known.values(), *(other.result for other in found)])
                found.append(new)
            except RankLost:
                raise
            except GanlabError as error:
                self._tell(event, f"{it.name} was not measured: {error}", self.say)
            except Exception as error:  # a fault in a plugin must not cost a training
                text = f"{it.name} was not measured: it raised {type(error).__name__}: {error}"
                self._tell(event, text, lambda said: warnings.warn(said, stacklevel=2))
        fakes.end()
        return found

    def _tell(self, event: Measure | Finish, text: str, say: Callable[[str], None]) -> None:
        """Say it the first time, and at the end, where the run's last values are missed."""
        if isinstance(event, Finish) or text not in self._said:
            say(text)
        self._said.add(text)


def check_names(new: Measured, others: Sequence[Result]) -> None:
    """Raise `GanlabError` where one of the values has the name of another metric's."""
    for other in others:
        taken = sorted(other.better.keys() & new.values.keys()) if other.key != new.result.key else []
        if taken:
            raise GanlabError(f"its value {taken[0]} has the name of one of {other.key[0]}'s; give it a `label`")


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Leaves torch's random numbers and settings as they were, whatever a metric does with them inside."""
    threads, gradients, kind = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            torch.set_grad_enabled(gradients)
            torch.set_default_dtype(kind)


def _direction(directions: Mapping[str, str], name: str) -> str:
    """Whether lower or higher is better by a metric's `better`; the most of the name that it knows counts."""
    known = [part for part in directions if name == part or name.startswith(f"{part}/")]
    return str(directions[max(known, key=len)]) if known else ""


def _said(value: Any) -> str:
    return "not set" if value is None else repr(value)


def _differences(before: Mapping[str, Any], planned: Planned) -> list[tuple[str, Any, Any]]:
    """Key, old and new value of what a kept definition differs in, None for one that is not set.

    Where files lie and what the data is called does not count.
    """
    old, new = (_comparable(it, planned.entry.metric) for it in (before, planned.definition))
    return [(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _comparable(definition: Mapping[str, Any], metric: Any) -> dict[str, Any]:
    plain = _as_json(definition)
    _drop_paths(plain["metric"], metric)
    plain["reference"].pop("name", None)
    return dict(flat(plain))


def _drop_paths(table: Any, component: Any) -> None:
    """Take out the places of files, whose content a metric's facts tell."""
    if not isinstance(table, dict) or not attrs.has(type(component)):
        return
    for attribute in attrs.fields(type(component)):
        value = getattr(component, attribute.name)
        if isinstance(value, Path):
            table.pop(attribute.name, None)
        else:
            _drop_paths(table.get(attribute.name), value)


def _as_json(data: Any) -> Any:
    """As it is read again from `metrics.json`."""
    return json.loads(json.dumps(data, default=str))
