"""Carries out the events of a training: draws, steps, updates, reports. The order of events is `events.py`'s affair."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from ganlab.data.feed import Batch, Feed
from ganlab.data.reals import network_reals
from ganlab.interfaces import BuiltSchedule, ImageSet, ImageShape, Stage
from ganlab.randomness import generator
from ganlab.recipe.schema import Recipe
from ganlab.track.folder import RunFolder
from ganlab.train import state as checkpointing
from ganlab.train.average import average_
from ganlab.train.devices import autocast
from ganlab.train.draws import Draws, draw_pass, on_device
from ganlab.train.events import Cadence, EndTick, Position
from ganlab.train.export import save_generator
from ganlab.train.players import Players
from ganlab.train.samples import enlarge, generate, sample_labels, sample_latents, save_grid
from ganlab.train.step import Autocast, Level, Outcome, discriminator_step, generator_step, joint_step
from ganlab.train.tally import NonFinite, Tally

Listener = Callable[[Stage, int, Mapping[str, float]], None]
"""Told after each step: the stage, images shown, and after a tick its values (else empty)."""


@attrs.define
class Trainer:
    """The live objects of one training."""

    recipe: Recipe
    images: ImageShape
    source: ImageSet
    schedule: BuiltSchedule
    players: Players
    feed: Feed
    folder: RunFolder
    device: torch.device
    generator_table: Mapping[str, Any]
    """The recipe's table for the generator, kept beside its weights."""
    facts: Mapping[str, Any]
    """Plain facts that every checkpoint carries (the recipe's digest)."""
    listener: Listener = attrs.field(default=lambda stage, images_shown, values: None)
    optimizers: dict[str, torch.optim.Optimizer] = attrs.field(init=False)
    tally: Tally = attrs.field(init=False)
    images_shown: int = attrs.field(init=False, default=0)
    """Real images shown by the updates done."""
    _batch_began: int = attrs.field(init=False, default=0)
    _stage: Stage | None = attrs.field(init=False, default=None)
    _fade: Tensor = attrs.field(init=False)
    _reals: Tensor | None = attrs.field(init=False, default=None)
    _tick_began: float = attrs.field(init=False, factory=time.perf_counter)
    _tick_images: int = attrs.field(init=False, default=0)
    _autocast: Autocast = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.optimizers = {
            "generator": self.recipe.optimizer.build(self.players.generator.parameters()),
            "discriminator": self.recipe.optimizer.build(self.players.discriminator.parameters()),
        }
        self.tally = Tally(self.device)
        self._fade = torch.ones((), device=self.device)
        self._autocast = autocast(self.device, self.recipe.run.precision)

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
        )

    # -- events --------------------------------------------------------------------------------------------------------

    def enter(self, stage: Stage) -> None:
        """Take over a stage's fade and learning rates."""
        if stage is self._stage:
            return
        self._stage = stage
        self._fade.fill_(stage.fade)
        rates = {"generator": stage.generator_learning_rate, "discriminator": stage.discriminator_learning_rate}
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name]

    def clear_optimizers(self) -> None:
        """Forget both optimizers' moments, as published when a level is added."""
        for optimizer in self.optimizers.values():
            optimizer.state.clear()

    def update_discriminator(self, stage: Stage, images_shown: int) -> None:
        """One discriminator update, and one step of the averaged generator (before the generator's own update)."""
        self.enter(stage)
        reals, labels = self._next_reals(stage, images_shown)
        self._before_update(self.players.discriminator)
        draws = self._draws("discriminator", stage, images_shown)
        outcome = discriminator_step(self.players, reals, labels, draws, self._level(stage), self._autocast)
        self._apply("discriminator", outcome, images_shown)
        self._after_discriminator(outcome)
        self.images_shown = images_shown + stage.minibatch
        self.listener(stage, self.images_shown, {})

    def update_generator(self, stage: Stage, images_shown: int) -> None:
        """One generator update against the discriminator as it now is."""
        self.enter(stage)
        self._before_update(self.players.generator)
        draws = self._draws("generator", stage, images_shown)
        assert self._reals is not None, "a discriminator update comes first"
        outcome = generator_step(
            self.players,
            self._reals,
            self._random_labels(stage, images_shown),
            draws,
            self._level(stage),
            self._autocast,
        )
        self._apply("generator", outcome, self._batch_began)

    def update_together(self, stage: Stage, images_shown: int) -> None:
        """Both updates from one pass."""
        self.enter(stage)
        reals, labels = self._next_reals(stage, images_shown)
        self._before_update(self.players.discriminator)
        self._before_update(self.players.generator)
        draws = self._draws("discriminator", stage, images_shown)
        ours, theirs = joint_step(self.players, reals, labels, draws, self._level(stage), self._autocast)
        self._apply("discriminator", ours, images_shown)
        self._after_discriminator(ours)
        self._apply("generator", theirs, images_shown)
        self.images_shown = images_shown + stage.minibatch
        self.listener(stage, self.images_shown, {})

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
        seconds = time.perf_counter() - self._tick_began
        shown = event.images_shown - self._tick_images
        self.folder.journal.write(
            event.images_shown, values, {"seconds": seconds, "images_per_second": shown / max(seconds, 1e-9)}
        )
        self.folder.set_status("running", event.images_shown)
        self._tick_began, self._tick_images = time.perf_counter(), event.images_shown
        self.listener(stage, event.images_shown, values)

    def save_samples(self, stage: Stage, images_shown: int) -> None:
        """A grid of the averaged generator on the run's fixed latents."""
        count = self.recipe.track.samples
        latents = sample_latents(self.recipe.run.seed, count, self.players.generator.latent_size)
        labels = sample_labels(count, self.images.label_size)
        images = generate(self.players.averaged, latents, labels, resolution=stage.resolution, fade=stage.fade)
        save_grid(enlarge(images, self.images.resolution), self.folder.sample_path(images_shown))

    def save_checkpoint(self, stage: Stage, position: Position) -> None:
        """Everything, and the averaged generator by itself. Raises `TrainingFailed` rather than keep broken weights."""
        self.tally.check_finite()
        self._check_weights()
        state = checkpointing.TrainingState(self.players, self.optimizers, self.tally)
        keep = self.recipe.track.keep_checkpoints
        checkpointing.save_checkpoint(self.folder.checkpoints, state, position, self.facts, keep)
        self.save_generator(stage, position.images_shown)

    def save_generator(self, stage: Stage, images_shown: int) -> None:
        """The averaged generator as a file of its own."""
        save_generator(
            self.folder.generator_path,
            self.players.averaged,
            dict(self.generator_table),
            self.images,
            resolution=stage.resolution,
            fade=stage.fade,
            images_shown=images_shown,
        )

    def restore(self, path: Path) -> Position:
        """Take over a checkpoint. Raises `DamagedFileError`, or `RunError` where it does not fit the recipe."""
        state = checkpointing.TrainingState(self.players, self.optimizers, self.tally)
        position = checkpointing.restore_checkpoint(path, state)
        self.images_shown = position.images_shown
        self._tick_began, self._tick_images = time.perf_counter(), position.images_shown
        return position

    def explain(self, error: NonFinite) -> dict[str, Any]:
        """The step in which something stopped being finite: which samples were in it."""
        stage = self.schedule.at(error.images_shown)
        stop = error.images_shown + stage.minibatch
        batch = self.feed.batch(stage.resolution, error.images_shown, stop)
        return {
            "quantity": error.name,
            "images_shown": error.images_shown,
            "resolution": stage.resolution,
            "fade": stage.fade,
            "positions": [error.images_shown, stop],
            "samples": [int(index) for index in batch.indices],
        }

    # -- parts of a step -----------------------------------------------------------------------------------------------

    def _check_weights(self) -> None:
        """Raise `NonFinite` if a weight is NaN or infinite: an update can break what the losses have not seen yet."""
        for name in ("generator", "discriminator", "averaged"):
            sums = torch._foreach_norm([p.detach() for p in getattr(self.players, name).parameters()], float("inf"))
            if not bool(torch.isfinite(torch.stack(list(sums))).all()):
                raise NonFinite(f"a weight of the {name}", self._batch_began)

    def _level(self, stage: Stage) -> Level:
        fade = None if stage.fade >= 1 else self._fade
        return Level(stage.resolution, fade, self.images.resolution // stage.resolution)

    def _next_reals(self, stage: Stage, images_shown: int) -> tuple[Tensor, Tensor | None]:
        self._batch_began = images_shown
        batch: Batch = self.feed.batch(stage.resolution, images_shown, images_shown + stage.minibatch)
        images = on_device(torch.from_numpy(batch.images), self.device)
        mirror = on_device(torch.from_numpy(batch.mirror), self.device) if self.recipe.data.mirror else None
        fade = None if stage.fade >= 1 else self._fade
        reals = network_reals(images, mirror=mirror, fade=fade, blend=self.recipe.data.blend)
        self._reals = reals
        if images_shown == 0 and hasattr(self.players.discriminator, "start_from"):
            self.players.discriminator.start_from(reals)
        if not self.images.label_size or batch.labels is None:
            return reals, None
        return reals, on_device(torch.from_numpy(batch.labels), self.device)

    def _random_labels(self, stage: Stage, images_shown: int) -> Tensor | None:
        if not self.images.label_size:
            return None
        source = generator(self.recipe.run.seed, "generator/labels", images_shown)
        indices = source.integers(0, self.source.count, stage.minibatch)
        return on_device(torch.from_numpy(self.source.labels(indices)), self.device)

    def _draws(self, purpose: str, stage: Stage, images_shown: int) -> Draws:
        return draw_pass(
            self.recipe.run.seed,
            purpose,
            images_shown,
            minibatch=stage.minibatch,
            latent_size=self.players.generator.latent_size,
            noise_channels=self.players.discriminator.noise_channels(stage.resolution),
            device=self.device,
        )

    def _apply(self, player: str, outcome: Outcome, images_shown: int) -> None:
        network = getattr(self.players, player)
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter, gradient in zip(parameters, outcome.gradients, strict=True):
            parameter.grad = gradient
        self.tally.add(outcome.report, images_shown)
        if self.device.type == "cpu":
            self.tally.check_finite()  # costs nothing here; elsewhere it would wait for the device
        self.optimizers[player].step()
        for parameter in parameters:
            parameter.grad = None

    @torch.no_grad()
    def _after_discriminator(self, outcome: Outcome) -> None:
        self.players.loss.observe(outcome.loss, outcome.report)
        self.players.loss.constrain(self.players.discriminator)
        average_(self.players.averaged, self.players.generator, self.recipe.ema.beta)

    @torch.no_grad()
    def _before_update(self, network: nn.Module) -> None:
        for module in network.modules():
            before_update = getattr(module, "before_update", None)
            if before_update is not None:
                before_update()
