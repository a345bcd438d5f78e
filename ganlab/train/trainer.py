"""Carries out the events of a training that are no updates: reports, samples, checkpoints, and their taking over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from ganlab.interfaces import Stage
from ganlab.track.findings import read_findings, write_findings
from ganlab.track.folder import RunFolder
from ganlab.track.journal import Entry, read
from ganlab.train import state as checkpointing
from ganlab.train.classes import class_grid, label_names
from ganlab.train.diagnosis import Diagnosis, diagnosed, not_finite
from ganlab.train.domains import Inputs, inputs_of
from ganlab.train.events import Cadence, EndTick, Position
from ganlab.train.export import save_generator
from ganlab.train.samples import enlarge, pictures, save_grid
from ganlab.train.signs import Signs, gap
from ganlab.train.tally import NonFinite
from ganlab.train.updates import Updates


@attrs.define(kw_only=True)
class Trainer(Updates):
    """The live objects of one training."""

    folder: RunFolder
    tables: Mapping[str, Any]
    """The recipe's tables for the generator and the system, kept beside the weights."""
    facts: Mapping[str, Any]
    """Plain facts that every checkpoint carries (the recipe's digest)."""
    say: Callable[[str], None] = attrs.field(default=lambda text: None)
    """Told what a person should know."""
    _tick_began: float = attrs.field(init=False, factory=time.perf_counter)
    _tick_images: int = attrs.field(init=False, default=0)
    _measured: Signs | None = attrs.field(init=False, default=None)
    _diagnosis: Diagnosis | None = attrs.field(init=False, default=None)

    @property
    def cadence(self) -> Cadence:
        """How often things happen, from the recipe."""
        updates, track = self.recipe.updates, self.recipe.track
        return Cadence(
            discriminator_steps=updates.discriminator_steps,
            together=updates.together,
            clear_optimizer=updates.clear_optimizer,
            samples_every_ticks=track.samples_every_ticks,
            checkpoint_every_ticks=track.checkpoint_every_ticks,
            measure_every_images=tuple(sorted({entry.every_images for entry in self.recipe.metrics} - {0})),
        )

    def report(self, event: EndTick) -> None:
        """Write the journal's line for a tick. Raises `TrainingFailed` if a loss is not finite any more."""
        self.tally.check_finite()
        stage = event.stage
        values = self.tally.take_means()
        values["growth/resolution"] = float(stage.resolution)
        values["growth/fade"] = stage.fade
        values["growth/minibatch"] = float(stage.minibatch)
        values["learning_rate/generator"] = stage.generator_learning_rate
        values["learning_rate/discriminator"] = stage.discriminator_learning_rate
        values.update(self._signs(stage, values))
        seconds = time.perf_counter() - self._tick_began
        shown = event.images_shown - self._tick_images
        if self.ranks.first:
            if self._diagnosis is None and self.recipe.track.diagnose:
                self._diagnosis = diagnosed(read(self.folder.path))
            self.folder.journal.write(
                event.images_shown, values, {"seconds": seconds, "images_per_second": shown / max(seconds, 1e-9)}
            )
            self.folder.set_status("running", event.images_shown)
        self._tick_began, self._tick_images = time.perf_counter(), event.images_shown
        self.listener(stage, event.images_shown, values)
        if self._diagnosis is not None:
            found = self._diagnosis.take(Entry(event.images_shown, values, {}))
            if found:
                write_findings(self.folder.path, self._diagnosis.findings)
            for finding in found:
                self.say(str(finding))

    def note_failure(self, error: NonFinite) -> None:
        """Keep among the findings what ends the run."""
        if self.recipe.track.diagnose:
            known = read_findings(self.folder.path)
            write_findings(self.folder.path, [*known, not_finite(error.name, error.images_shown)])

    def _signs(self, stage: Stage, values: Mapping[str, float]) -> Mapping[str, float]:
        """What is measured beside what the steps reported, on the first rank."""
        if not self.recipe.track.diagnose:
            return {}
        assert self._reals is not None, "a report follows an update"
        reals = self.sharing.whole(self._reals)
        if not self.ranks.first:
            return {}
        if self._measured is None:
            self._measured = Signs(
                recipe=self.recipe,
                images=self.images,
                source=self.source,
                players=self.players,
                device=self.device,
                autocast=self._autocast,
            )
        with self.sharing.whole_seen():
            return {**gap(values), **self._measured.measure(stage, reals)}

    def leave_out(self, seconds: float) -> None:
        """Take time that was not spent training out of the next report."""
        self._tick_began += seconds

    def save_samples(self, stage: Stage, images_shown: int) -> None:
        """A grid of the averaged generator on the run's fixed latents, with labels a class in each row."""
        if not self.ranks.first:
            return
        count = self.recipe.track.samples
        size = self.players.generator.latent_size
        latents, labels, columns = class_grid(self.recipe.run.seed, count, size, self.images.label_size)
        images, each = pictures(
            self.players.averaged,
            latents,
            labels,
            resolution=stage.resolution,
            fade=stage.fade,
            system=self.players.system,
            inputs=self.inputs(stage),
        )
        if columns is None and each > 1:
            columns = max(1, round(math.sqrt(count / each)))
        columns = None if columns is None else each * columns
        save_grid(enlarge(images, self.images.resolution), self.folder.sample_path(images_shown), columns=columns)

    def inputs(self, stage: Stage) -> Inputs | None:
        """The real images that samples are made from, where the system asks for them."""
        return inputs_of(self.players.system, self.source, stage.resolution, stage.fade, self.recipe.data.blend)

    def close(self) -> None:
        """No more images are read, and no thread is left."""
        self._lanes.close()
        for feed in (self.feed, *self.other_feeds):
            feed.close()

    def save_checkpoint(self, stage: Stage, position: Position) -> None:
        """Everything, and the averaged generator by itself. Raises `TrainingFailed` rather than keep broken weights."""
        self.tally.check_finite()
        self._check_weights()
        if not self.ranks.first:
            return
        state = checkpointing.TrainingState(self.players, self.optimizers, self.tally, self.scaling)
        keep = self.recipe.track.keep_checkpoints
        checkpointing.save_checkpoint(self.folder.checkpoints, state, position, self.facts, keep)
        self.save_generator(stage, position.images_shown)

    def save_generator(self, stage: Stage, images_shown: int) -> None:
        """The averaged generator as a file of its own."""
        if not self.ranks.first:
            return
        save_generator(
            self.folder.generator_path,
            self.players.averaged,
            self.tables,
            self.images,
            resolution=stage.resolution,
            fade=stage.fade,
            images_shown=images_shown,
            label_names=label_names(self.source, self.images.label_size),
        )

    def restore(self, path: Path) -> Position:
        """Take over a checkpoint. Raises `DamagedFileError`, or `RunError` where it does not fit the recipe."""
        state = checkpointing.TrainingState(self.players, self.optimizers, self.tally, self.scaling)
        position = checkpointing.restore_checkpoint(path, state)
        self._forget_captures()
        self.images_shown = position.images_shown
        self._tick_began, self._tick_images = time.perf_counter(), position.images_shown
        return position

    def explain(self, error: NonFinite) -> dict[str, Any]:
        """The step in which something stopped being finite: which samples were in it."""
        stage = self.schedule.at(error.images_shown)
        stop = error.images_shown + stage.minibatch
        batch = self.feed.batch(stage.resolution, error.images_shown, stop)
        spans = [feed.batch(stage.resolution, error.images_shown, stop) for feed in self.other_feeds]
        others = [[int(index) for index in each.indices] for each in spans]
        return {
            "quantity": error.name,
            "images_shown": error.images_shown,
            "resolution": stage.resolution,
            "fade": stage.fade,
            "positions": [error.images_shown, stop],
            "samples": [int(index) for index in batch.indices],
            **({"samples_of_other_sets": others} if others else {}),
        }

    def _check_weights(self) -> None:
        """Raise `NonFinite` if a weight is NaN or infinite: an update can break what the losses have not seen yet."""
        for name in ("generator", "discriminator", "averaged"):
            sums = torch._foreach_norm([p.detach() for p in getattr(self.players, name).parameters()], float("inf"))
            if not bool(torch.isfinite(torch.stack(list(sums))).all()):
                raise NonFinite(f"a weight of the {name}", self._batch_began)
