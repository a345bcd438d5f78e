"""Brings an MLflow store up to date with a run folder: decides what is new, sends that, and remembers it.

It can be interrupted anywhere. After every failure, and in every new process, what the store itself holds is looked up
again, so that no point and no image is ever sent twice, whatever was lost on the way.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.track import describe, sent, store
from ganlab.track.journal import Entry, Follower
from ganlab.track.mlflow.client import BATCH_POINTS, Held, MlflowStore, Point, save_model
from ganlab.track.results import results_path

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlab.recipe.tracking import TrackSettings
    from ganlab.track.folder import RunFolder, State

LoadGenerator = Callable[[Path], "tuple[nn.Module, tuple[Tensor, ...]]"]
"""Of a run folder, its generator as a module `latents[, labels] -> images`, and example inputs for two images."""

RUN_KEY = "ganlab.run_key"
MLFLOW_STATUS: dict[State, str] = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


class Delivery:
    """One run folder, one store. `deliver` may be called again and again, whether or not it failed before."""

    def __init__(
        self,
        folder: RunFolder,
        settings: TrackSettings,
        uri: str,
        load_generator: LoadGenerator | None = None,
        *,
        say: Callable[[str], None],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """`say` is told what a person should know; `progress` is called after each batch and image sent."""
        self.points_sent = 0
        self.samples_sent = 0
        self.models_sent = 0
        self.sent = sent.load(folder.path, uri) or sent.Sent(_experiment(folder, settings))
        self._folder = folder
        self._uri = uri
        self._load_generator = load_generator if settings.log_model else None
        self._say = say
        self._progress = progress
        self._follower = Follower(folder.path)
        self._store: MlflowStore | None = None
        self._tagged = False
        """A run that goes on has been given the tags of this process: it may have been resumed with other versions."""
        self._held: Held | None = None
        """What the store held when last looked: not known at first, nor after a failure."""
        self._last_step: dict[str, int] = {}
        """Metric to the greatest images_shown the store has of it by now."""
        self._samples: set[int] | None = None
        """Images shown of each sample grid the store has by now; None until it was asked."""
        self._begun: dict[int, str] = {}
        """Of those it has half of, the name of that half."""

    def deliver(self, *, state: State | None = None, with_model: bool = False) -> None:
        """Send everything that is new; the generator of a finished run only if `with_model`.

        `state` replaces what the folder says of the run's state. Raises whatever MLflow raises, or `GanlabError`.
        """
        if self._store is None:
            self._store = MlflowStore(self._uri)
        try:
            if self._held is None:
                store.knock(self._uri)
                self._held = self._attach(self._store)
            self._describe(self._store, self._held)
            self._send_points(self._store, self._held.run_id)
            self._send_findings(self._store, self._held.run_id)
            self._send_state(self._store, self._held.run_id, state)
            self._send_files(self._store, self._held.run_id)
            if with_model:
                self._send_model(self._store, self._held.run_id)
        except BaseException:
            self._held = None
            raise

    def _attach(self, mlflow: MlflowStore) -> Held:
        """Find the run in the store, or create it, and learn what the store holds of it."""
        held = None if self.sent.run_id is None else mlflow.held(self.sent.run_id)
        # A process killed between creating a run and noting its id leaves a run that only this key finds.
        started = str(self._folder.info().get("started"))
        key = hashlib.sha256(f"{self._folder.path} {started}".encode()).hexdigest()[:16]
        if held is None and (found := mlflow.find(self.sent.experiment, RUN_KEY, key)):
            held = mlflow.held(found)
        if held is None:
            self.sent = sent.Sent(self.sent.experiment)
            run_id = mlflow.create(
                self.sent.experiment,
                self._folder.path.name,
                int(1000 * _unix_s(started)),
                {**describe.tags(self._folder), RUN_KEY: key},
            )
            held = Held(run_id, "RUNNING", frozenset(), {}, frozenset())
        self._follower.rewind()
        self._last_step, self._samples = dict(held.last_step), None
        self.sent.run_id = held.run_id
        self.sent.models = sorted(held.models)
        if self.sent.state is not None and MLFLOW_STATUS[self.sent.state] != held.status:
            self.sent.state = None
        self._save()
        return held

    def _describe(self, mlflow: MlflowStore, held: Held) -> None:
        """Parameters, tags and the data set."""
        if self.sent.described:
            return
        wanted = describe.parameters(self._folder.recipe())
        mlflow.log_parameters(held.run_id, {key: wanted[key] for key in wanted if key not in held.parameters})
        mlflow.log_tags(held.run_id, describe.tags(self._folder))
        if facts := describe.dataset(self._folder.info()):
            mlflow.log_dataset(held.run_id, **facts)
        self.sent.described = True
        self._save()

    def _send_points(self, mlflow: MlflowStore, run_id: str) -> None:
        points = [point for line in self._follower.new() for point in _points(line)]
        new = [point for point in points if point.images_shown > self._last_step.get(point.name, -1)]
        for start in range(0, len(new), BATCH_POINTS):
            batch = new[start : start + BATCH_POINTS]
            mlflow.log_points(run_id, batch)
            self._last_step.update((point.name, point.images_shown) for point in batch)
            self.points_sent += len(batch)
            self._save()
            self._progress()

    def _send_findings(self, mlflow: MlflowStore, run_id: str) -> None:
        """As they are made; "none" where a run has been resumed before the moment of what was sent."""
        found = describe.findings_tag(self._folder)
        if found != self.sent.findings:
            mlflow.log_tags(run_id, {"ganlab.findings": found or "none"})
            self.sent.findings = found
            self._save()

    def _send_files(self, mlflow: MlflowStore, run_id: str) -> None:
        """The recipe and the sample grids; last, since artifacts often lie with another server than the rest."""
        if not self.sent.recipe:
            mlflow.log_file(run_id, self._folder.path / "recipe.toml")
            self.sent.recipe = True
            self._save()
        results = results_path(self._folder)
        if results.exists() and (digest := hashlib.sha256(results.read_bytes()).hexdigest()) != self.sent.results:
            mlflow.log_file(run_id, results)
            self.sent.results = digest
            self._save()
        if self._samples is None:
            self._samples, self._begun = mlflow.samples(run_id)
        for step in self._folder.sample_steps():
            if step in self._samples:
                continue
            # A grid that is not whole yet is left for the next time.
            if mlflow.log_sample(run_id, self._folder.sample_path(step), step, self._begun.get(step)):
                self._samples.add(step)
                self.samples_sent += 1
                self.sent.samples = sorted(self._samples)
                self._save()
                self._progress()

    def _send_state(self, mlflow: MlflowStore, run_id: str, state: State | None) -> None:
        status = self._folder.status()
        if status is None:
            return
        new = state or status.state
        if new == "running" and not self._tagged:
            mlflow.log_tags(run_id, describe.tags(self._folder))
            self._tagged = True
        if new == self.sent.state:
            return
        self.sent.state = new
        if status.message:
            mlflow.log_tags(run_id, {"ganlab.message": status.message[: describe.LONGEST_VALUE]})
        changed = int(1000 * (self._folder.path / "status.json").stat().st_mtime)
        mlflow.set_status(run_id, MLFLOW_STATUS[self.sent.state], changed)
        self._save()

    def _send_model(self, mlflow: MlflowStore, run_id: str) -> None:
        status = self._folder.status()
        if self._load_generator is None or status is None or status.state != "finished":
            return
        if status.images_shown in self.sent.models or not self._folder.generator_path.exists():
            return
        with tempfile.TemporaryDirectory(prefix="ganlab-") as temporary:
            saved = Path(temporary) / "model"
            try:
                save_model(*self._load_generator(self._folder.path), saved)
            except Exception as error:  # any part of torch.export may refuse a network; the rest is delivered
                self._say(f"the generator cannot be logged to MLflow: {store.reason(error)}")
                self._load_generator = None
                return
            mlflow.log_model(run_id, saved, status.images_shown)
        self.sent.models.append(status.images_shown)
        self.models_sent += 1
        self._save()

    def _save(self) -> None:
        sent.save(self._folder.path, self._uri, self.sent)


def _experiment(folder: RunFolder, settings: TrackSettings) -> str:
    """`[track] experiment`, else MLFLOW_EXPERIMENT_NAME, else the run's name."""
    named = settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or folder.info().get("name")
    return str(named or folder.path.parent.name)


def _points(line: Entry) -> Iterator[Point]:
    """The values of a journal line, those of the clock under `time/`."""
    measured = {key if key.startswith("time/") else f"time/{key}": value for key, value in line.time.items()}
    unix_ms = int(1000 * measured.pop("time/unix_s", 0.0))
    for key, value in {**line.values, **measured}.items():
        yield Point(describe.name(key), value, line.images_shown, unix_ms)


def _unix_s(started: str) -> float:
    """Seconds since 1970 of an ISO date; now, if it is none."""
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:
        return datetime.now(UTC).timestamp()
