"""The few things ganlab asks of MLflow, as plain verbs. The only module that imports mlflow, in its functions.

It goes through `MlflowClient` alone, never MLflow's active run or global address, so that a plugin or a notebook may
use MLflow in the same process as it likes.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import warnings
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import filelock

from ganlab.errors import GanlabError
from ganlab.track import store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlflow.entities import Experiment
    from torch import Tensor, nn

ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # with MLflow's own 7, one call to a dead server takes four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Set before mlflow is imported, unless the user has set them."""

BATCH_POINTS = 1000
BATCH_PARAMETERS = 100
SAMPLES = "samples"
MODEL = "generator"


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    images_shown: int
    unix_ms: int


@attrs.frozen
class Held:
    """What the store holds of a run."""

    run_id: str
    status: str
    """RUNNING, FINISHED, KILLED or FAILED."""
    parameters: frozenset[str]
    last_step: Mapping[str, int]
    """Metric to the greatest images_shown there is of it."""
    models: frozenset[int]
    """Images shown of each logged model."""


class MlflowStore:
    """A connection to a store. Every method raises what MLflow raises when it cannot be done."""

    def __init__(self, uri: str) -> None:
        """Raises `StoreUnreachable` if nobody answers at `uri`. The first contact with a new database takes seconds."""
        self.uri = uri
        store.knock(uri)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        if "MLFLOW_LOGGING_LEVEL" not in os.environ:
            # What goes wrong is raised as well, and said in one line by whoever called.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        database = store.sqlite_path(uri)
        if database is None:
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            return
        store.refuse_other_file(database)
        database.parent.mkdir(parents=True, exist_ok=True)
        # Of several processes that create the tables of a database at once, all but one fail.
        with filelock.FileLock(f"{database}.lock", timeout=120, thread_local=False):
            with closing(sqlite3.connect(database, timeout=20)) as connection:
                connection.execute("pragma journal_mode = wal")  # it lasts; several runs then write 3 times as fast
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._client.search_experiments(max_results=1)

    def find(self, experiment: str, tag: str, value: str) -> str | None:
        """The id of a run in `experiment` whose `tag` is `value`."""
        runs = self._client.search_runs([self._experiment(experiment)], f"tags.`{tag}` = '{value}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def create(self, experiment: str, name: str, started_unix_ms: int, tags: Mapping[str, str]) -> str:
        """Create a run, in an experiment that is created if need be; its id."""
        experiment_id = self._experiment(experiment)
        run = self._client.create_run(experiment_id, start_time=started_unix_ms, tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def held(self, run_id: str) -> Held | None:
        """What the store holds of a run, or None if the run has been deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage != "active":
            return None
        models = run.outputs.model_outputs if run.outputs else []
        return Held(
            run_id=run_id,
            status=run.info.status,
            parameters=frozenset(run.data.params),
            last_step={metric.key: metric.step for metric in run.data.to_proto().metrics},
            models=frozenset(model.step for model in models),
        )

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Add parameters; MLflow refuses to change one."""
        from mlflow.entities import Param

        listed = [Param(name, value) for name, value in parameters.items()]
        for start in range(0, len(listed), BATCH_PARAMETERS):
            self._client.log_batch(run_id, params=listed[start : start + BATCH_PARAMETERS], synchronous=True)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags, up to 100 of them."""
        from mlflow.entities import RunTag

        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()], synchronous=True)

    def log_file(self, run_id: str, path: Path) -> None:
        """Add a file to the run's artifacts, or replace it."""
        self._client.log_artifact(run_id, str(path))

    def log_dataset(self, run_id: str, name: str, digest: str, source: str, profile: str) -> None:
        """Note the training data; saying it again changes nothing."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name, digest, "local", source, profile=profile)
        self._client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "train")])])

    def log_points(self, run_id: str, points: Sequence[Point]) -> None:
        """Add at most `BATCH_POINTS` values, all or none."""
        from mlflow.entities import Metric

        metrics = [Metric(name, value, unix_ms, step) for name, value, step, unix_ms in points]
        self._client.log_batch(run_id, metrics=metrics, synchronous=True)

    def samples(self, run_id: str) -> tuple[set[int], dict[int, str]]:
        """Images shown of each sample grid that the store holds; and of those that came in half, by a kill between
        the two files of an image, with the name of the first, without its ending.
        """
        # MLflow writes the compressed one last.
        pattern = rf"(images/{SAMPLES}\+step\+(\d+)\+timestamp\+\d+\+[\w-]+)(\+compressed)?\.\w+"
        found = [re.fullmatch(pattern, image.path) for image in self._client.list_artifacts(run_id, "images")]
        whole = {int(match[2]) for match in found if match and match[3]}
        return whole, {int(match[2]): match[1] for match in found if match and int(match[2]) not in whole}

    def log_sample(self, run_id: str, path: Path, images_shown: int, begun: str | None = None) -> bool:
        """Add a PNG to the run's image slider; false, and nothing done, if the file is not a whole PNG (yet).

        `begun` is the name, without ending, of an image that came in half, whose files are then written again.
        """
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image

        try:
            with Image.open(path) as opened:
                image = opened.copy()
            unix_ms = int(1000 * path.stat().st_mtime)
        except (OSError, SyntaxError):
            return False
        if begun is None:
            self._client.log_image(
                run_id, image, key=SAMPLES, step=int(images_shown), timestamp=unix_ms, synchronous=True
            )
            return True
        self._client.log_image(run_id, image, artifact_file=f"{begun}.png")
        self._client.log_image(run_id, compress_image_size(image), artifact_file=f"{begun}+compressed.webp")
        self._client.set_tag(run_id, "mlflow.loggedImages", True, synchronous=True)  # as log_image would have
        return True

    def set_status(self, run_id: str, status: str, unix_ms: int) -> None:
        """Set RUNNING, or how the run ended and when."""
        if status == "RUNNING":
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, unix_ms)

    def log_model(self, run_id: str, folder: Path, images_shown: int) -> None:
        """Log what `save_model` left in `folder` as the run's generator."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        run = self._client.get_run(run_id)
        model = self._client.create_logged_model(run.info.experiment_id, name=MODEL, source_run_id=run_id)
        saved = Model.load(str(folder))
        saved.run_id, saved.model_id, saved.artifact_path = run_id, model.model_id, model.artifact_location
        saved.model_uuid = model.model_id
        saved.save(str(folder / "MLmodel"))
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=int(images_shown))])

    def _experiment(self, name: str) -> str:
        """The id of an experiment, created if need be; several processes may do so at once."""
        from mlflow.exceptions import MlflowException

        found: Experiment | None = self._client.get_experiment_by_name(name)
        if found is None:
            database = store.sqlite_path(self.uri)
            folder = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip(".-") or "experiment"
            place = None if database is None else str(database.parent / store.ARTIFACTS / folder)
            try:
                # Without this tag the page opens with the menus for language models.
                kind = {"mlflow.experimentKind": "custom_model_development"}
                return str(self._client.create_experiment(name, artifact_location=place, tags=kind))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            raise GanlabError(f"the MLflow experiment {name!r} is deleted; restore it, or set [track] experiment")
        return str(found.experiment_id)


def save_model(module: nn.Module, examples: Sequence[Tensor], folder: Path) -> None:
    """Write `module` in MLflow's format to `folder`: a traced graph that loads and generates without ganlab.

    `examples` are inputs for two or more images: latents `[N, C]`, and labels if there are any; the number of images
    stays free. Needs no store.
    """
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    examples = tuple(example.detach().cpu() for example in examples)
    names = ("latents", "labels")[: len(examples)]
    with torch.no_grad():
        images = module(*examples)
    single = np.dtype("float32")
    shapes = [(-1, *example.shape[1:]) for example in examples]
    inputs: list[Any] = [TensorSpec(single, shape, name) for shape, name in zip(shapes, names, strict=True)]
    if len(inputs) == 1:  # MLflow has a single input be nameless
        inputs = [TensorSpec(single, shapes[0])]
    arrays: Any = tuple(example.numpy() for example in examples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            module,
            str(folder),
            input_example=arrays if len(arrays) > 1 else arrays[0],
            signature=ModelSignature(Schema(inputs), Schema([TensorSpec(single, (-1, *images.shape[1:]))])),
            serialization_format="pt2",
            pip_requirements=[f"{package}=={version(package).partition('+')[0]}" for package in ("torch", "mlflow")],
        )
