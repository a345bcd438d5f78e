"""The parent run of an ablation in MLflow: its trials are its children, its report and tables are its artifacts.

Like a run's mirror it only repeats what lies in a folder, can be called again and again, and sends nothing twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganlab.track import describe, sent
from ganlab.track.folder import RunFolder, State
from ganlab.track.mlflow.client import MlflowStore, Point
from ganlab.track.mlflow.delivery import MLFLOW_STATUS, RUN_KEY


class Parent:
    """The parent run of the ablation in `folder`. Every method raises what MLflow raises, or `GanlabError`."""

    def __init__(self, folder: Path, experiment: str, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._store = MlflowStore(uri)
        self._sent = sent.load(folder, uri) or sent.Sent(experiment)

    def begin(self, tags: Mapping[str, str]) -> str:
        """Find the run, or create it, and say that it is running, with these tags; returns its id."""
        held = None if self._sent.run_id is None else self._store.held(self._sent.run_id)
        key = hashlib.sha256(str(self._folder).encode()).hexdigest()[:16]
        if held is None and (found := self._store.find(self._sent.experiment, RUN_KEY, key)):
            held = self._store.held(found)
        if held is None:
            named = {**tags, RUN_KEY: key}
            run_id = self._store.create(self._sent.experiment, self._folder.name, int(1000 * time.time()), named)
        else:
            run_id = held.run_id
            self._store.log_tags(run_id, tags)
            self._store.set_status(run_id, "RUNNING", 0)
        self._sent.run_id = run_id
        sent.save(self._folder, self._uri, self._sent)
        return run_id

    def adopt(self, trials: Sequence[RunFolder]) -> None:
        """Make the trials that the store knows children, those too that were begun while nobody could be asked."""
        for trial in trials:
            known = sent.load(trial.path, self._uri)
            if known is not None and known.run_id is not None and self._store.held(known.run_id) is not None:
                self._store.log_tags(known.run_id, {"mlflow.parentRunId": str(self._sent.run_id)})

    def end(self, state: State, values: Mapping[str, float], files: Sequence[Path]) -> None:
        """Say how it ended, with its results by name and the files of its report."""
        assert self._sent.run_id is not None, "begin first"
        now = int(1000 * time.time())
        if values:
            self._store.log_points(
                self._sent.run_id, [Point(describe.name(name), value, 0, now) for name, value in values.items()]
            )
        for path in files:
            self._store.log_file(self._sent.run_id, path)
        self._store.set_status(self._sent.run_id, MLFLOW_STATUS[state], now)
