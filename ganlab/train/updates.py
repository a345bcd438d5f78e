"""Carries out updates of the two players: draws, steps, optimizers, the average. `events.py` decides their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial

import attrs
import torch
from torch import Tensor

from ganlab.cells import Cell
from ganlab.data.feed import Feed
from ganlab.interfaces import BuiltSchedule, ImageSet, ImageShape, Play, Stage
from ganlab.recipe.schema import Recipe
from ganlab.train.ahead import RunDraws
from ganlab.train.average import Average
from ganlab.train.capture import Capturable, Captures, Recorder, obstacle_to_capture, obstacle_to_whole
from ganlab.train.critics import Autocast, Level
from ganlab.train.devices import autocast
from ganlab.train.division import Division
from ganlab.train.gradients import Part, WholeMinibatch
from ganlab.train.lane_choice import LaneChoice
from ganlab.train.outcome import Outcome
from ganlab.train.players import Players
from ganlab.train.ranks import ALONE, Ranks
from ganlab.train.rates import give_rates, give_settings, settings_at
from ganlab.train.reporting import Reporting, Row
from ganlab.train.scaling import LossScale, buffers_of, changed_by, loss_scales, unchanged_where
from ganlab.train.sharing import Sharing
from ganlab.train.side_by_side import SideBySide
from ganlab.train.spans import fading_levels
from ganlab.train.starting import start_from_data
from ganlab.train.step import (
    Passes,
    compiled_passes,
    discriminator_step,
    generator_step,
    joint_step,
    plain_passes,
)
from ganlab.train.supply import Supply
from ganlab.train.tally import Tally

Listener = Callable[[Stage, int, Mapping[str, float]], None]
"""Told after each step: the stage, images shown, and after a tick its values (else empty)."""


@attrs.define(kw_only=True)
class Updates:
    """The live objects that learn, and what an update needs."""

    recipe: Recipe
    images: ImageShape
    source: ImageSet
    schedule: BuiltSchedule
    players: Players
    feed: Feed
    device: torch.device
    listener: Listener = attrs.field(default=lambda stage, images_shown, values: None)
    other_feeds: Sequence[Feed] = ()
    """Of the domains after the first, where a data set has several."""
    ranks: Ranks = ALONE
    whole: WholeMinibatch = attrs.field(init=False)
    sharing: Sharing = attrs.field(init=False)
    optimizers: dict[str, torch.optim.Optimizer] = attrs.field(init=False)
    tally: Tally = attrs.field(init=False)
    supply: Supply | SideBySide = attrs.field(init=False)
    scaling: dict[str, LossScale] = attrs.field(init=False)
    """By player, where the networks compute in float16; elsewhere empty."""
    images_shown: int = attrs.field(init=False, default=0)
    """Real images shown by the updates done."""
    _reporting: Reporting = attrs.field(init=False)
    _batch_began: int = attrs.field(init=False, default=0)
    _stage: Stage | None = attrs.field(init=False, default=None)
    _fade: Cell = attrs.field(init=False)
    _shown: Cell = attrs.field(init=False)
    _fading: frozenset[int] = attrs.field(init=False)
    _reals: Tensor | None = attrs.field(init=False, default=None)
    _autocast: Autocast = attrs.field(init=False)
    _passes: Passes = attrs.field(init=False)
    _average: Average = attrs.field(init=False)
    _captures: Captures | None = attrs.field(init=False, default=None)
    _draws: RunDraws = attrs.field(init=False)
    _lanes: LaneChoice = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.optimizers = {
            "generator": self.recipe.optimizer.build(self.players.generator.parameters()),
            "discriminator": self.recipe.optimizer.build(self.players.discriminator.parameters()),
        }
        micro_batches = self.recipe.run.micro_batches
        division = Division(self.ranks.size, self.ranks.rank, micro_batches)
        self.sharing = Sharing(self.players, self.ranks, division, self.device)
        networks = {"generator": self.players.generator, "discriminator": self.players.discriminator}
        self.whole = WholeMinibatch(networks, self.ranks, micro_batches, self.device)
        self.tally = Tally(self.device)
        self._reporting = Reporting(self.tally, self.recipe.track.diagnose)
        feeds = (self.feed, *self.other_feeds)
        supplies = [Supply(self.recipe, self.images, self.schedule, feed, self.device) for feed in feeds]
        self.supply = supplies[0] if len(supplies) == 1 else SideBySide(supplies)
        if self.sharing.divides:
            self.supply.rows_of = self.sharing.rows_of
        shown, label_size = self.feed.source, self.images.label_size  # not all that the data set stands for
        self._draws = RunDraws(self.recipe.run.seed, self.players, self.sharing, shown, label_size, self.device)
        self._fade, self._shown = Cell(self.device), Cell(self.device, torch.int64)
        self._autocast = autocast(self.device, self.recipe.run.precision)
        self._average = Average(self.players.averaged, self.players.generator)
        self._fading = fading_levels(self.schedule, self.recipe.run.images) if self.recipe.run.compile else frozenset()
        passes = compiled_passes() if self.recipe.run.compile else plain_passes()
        self._passes = passes._replace(meanwhile=self.supply.look_ahead)
        self.scaling = loss_scales(self.recipe.run.precision, self.device)
        channels, scaled = self.images.channels, bool(self.scaling)
        self._lanes = LaneChoice(self.recipe, self.players, self.ranks, channels, self.device, scaled=scaled)

    def enter(self, stage: Stage, images_shown: int) -> None:
        """Take over how many images have been shown, and a stage's fade and learning rates."""
        self._shown.set(images_shown)
        give_settings(self.optimizers, settings_at(self.recipe.optimizer, images_shown))
        if stage is self._stage:
            return
        self._stage = stage
        self._fade.set(stage.fade)
        self.sharing.enter(stage.minibatch)
        give_rates(self.optimizers, stage)
        if self._captures is None:
            self._passes = self._passes._replace(lane=self._lanes.at(stage))
        else:
            self._captures.enter((stage.resolution, stage.minibatch, stage.fade < 1))

    def capture(self, recorder: Recorder, tell: Callable[[str], None], *, in_part: bool = False) -> str | None:
        """Have updates recorded and replayed from now on; returns None, or in words why that cannot be.

        `in_part` allows losses and gradients alone, where what follows cannot be recorded. `tell` is told why where
        something turns out later.
        """
        obstacle = obstacle_to_capture(self.recipe, self.ranks)
        if obstacle is not None:
            return obstacle
        beyond, able = obstacle_to_whole(self.recipe), {}
        if beyond is None:
            able = {name: it for name, it in self.optimizers.items() if isinstance(it, Capturable) and it.capturable()}
            if len(able) < len(self.optimizers):
                beyond, able = "the optimizer does not offer it", {}
        if beyond is not None and not in_part:
            return beyond
        self._captures = Captures(recorder, able, tell, self.supply.look_ahead)
        self._passes = self._passes._replace(meanwhile=None, lane=None)
        return None

    def clear_optimizers(self) -> None:
        """Forget both optimizers' moments, as published when a level is added."""
        for optimizer in self.optimizers.values():
            optimizer.state.clear()
        self._forget_captures()

    def update_discriminator(self, stage: Stage, images_shown: int) -> None:
        """One discriminator update, and one step of the averaged generator (before the generator's own update)."""
        self.enter(stage, images_shown)
        reals, labels = self._next_reals(stage, images_shown)
        self._before_update("discriminator")
        share = Part(reals, labels, self._draws.of("discriminator", stage, images_shown))
        level, scale = self._level(stage), self._loss_scale("discriminator")

        def step(part: Part) -> tuple[Outcome]:
            inputs = (part.reals, part.labels, part.draws)
            return (discriminator_step(self.players, *inputs, level, self._autocast, scale, self._passes),)

        self._learn(("discriminator",), step, share, images_shown)
        self.images_shown = images_shown + stage.minibatch
        self.listener(stage, self.images_shown, {})

    def update_generator(self, stage: Stage, images_shown: int) -> None:
        """One generator update against the discriminator as it now is."""
        self.enter(stage, images_shown)
        self._before_update("generator")
        draws = self._draws.of("generator", stage, images_shown)
        assert self._reals is not None, "a discriminator update comes first"
        share = Part(self._reals, self._draws.labels(stage, images_shown), draws)
        level, scale = self._level(stage), self._loss_scale("generator")

        def step(part: Part) -> tuple[Outcome]:
            inputs = (part.reals, part.labels, part.draws)
            return (generator_step(self.players, *inputs, level, self._autocast, scale, self._passes),)

        self._learn(("generator",), step, share, self._batch_began)

    def update_together(self, stage: Stage, images_shown: int) -> None:
        """Both updates from one pass."""
        self.enter(stage, images_shown)
        reals, labels = self._next_reals(stage, images_shown)
        self._before_update("discriminator")
        self._before_update("generator")
        share = Part(reals, labels, self._draws.of("discriminator", stage, images_shown))
        level, scales = self._level(stage), (self._loss_scale("discriminator"), self._loss_scale("generator"))

        def step(part: Part) -> tuple[Outcome, Outcome]:
            inputs = (part.reals, part.labels, part.draws)
            return joint_step(self.players, *inputs, level, self._autocast, scales, self._passes)

        self._learn(("discriminator", "generator"), step, share, images_shown)
        self.images_shown = images_shown + stage.minibatch
        self.listener(stage, self.images_shown, {})

    # -- parts of an update --------------------------------------------------------------------------------------------

    def _level(self, stage: Stage) -> Level:
        # Compiled, a level is one graph from its first image to its last, with a fade that becomes 1 in the end.
        alone = stage.resolution not in self._fading if self.recipe.run.compile else stage.fade >= 1
        enlargement = self.images.resolution // stage.resolution
        return Level(stage.resolution, None if alone else self._fade.tensor, enlargement, self._shown.tensor)

    def _next_reals(self, stage: Stage, images_shown: int) -> tuple[Tensor, Tensor | None]:
        self._batch_began = images_shown
        reals, labels = self.supply.next(stage, images_shown, self.sharing.rows)
        self._reals = reals
        if images_shown == 0:
            start_from_data(self.players, self.sharing, reals, labels, partial(self._first_play, stage))
        return reals, labels

    def _first_play(self, stage: Stage, reals: Tensor, labels: Tensor | None) -> Play:
        """Of the whole first minibatch, on every rank."""
        draws = self._draws.of_whole("discriminator", stage, 0)
        level = self._level(stage)
        return self._passes.generate(self.players, reals, labels, draws, level, self._autocast, False)

    def _loss_scale(self, player: str) -> Tensor | None:
        return self.scaling[player].scale if player in self.scaling else None

    def _learn(
        self, players: tuple[str, ...], step: Callable[[Part], Sequence[Outcome]], share: Part, images_shown: int
    ) -> None:
        """Work out a step and update `players` by it, in that order."""
        with nullcontext() if self._passes.lane is None else self._passes.lane.halved():
            self._learn_here(players, step, share, images_shown)

    def _learn_here(
        self, players: tuple[str, ...], step: Callable[[Part], Sequence[Outcome]], share: Part, images_shown: int
    ) -> None:
        if self._captures is None:
            outcomes = self.whole.outcomes(players, step, share)
        else:
            if self._captures.with_optimizers:
                rows = self._captures.update(players, share, lambda part: self._recorded(players, step(part)))
                for player, found in zip(players, rows, strict=True):
                    self._reporting.count_row(player, found, images_shown)
                return
            outcomes = self._captures.update(players, share, step)
        for player, outcome in zip(players, outcomes, strict=True):
            left_out = self._apply(player, outcome, images_shown)
            if player == "discriminator":
                self._after_discriminator(outcome, left_out)

    def _recorded(self, players: tuple[str, ...], outcomes: Sequence[Outcome]) -> list[Row]:
        """Update by what a step found; returns what to tally, as the tally's own tensors are new after each report."""
        rows = [self._reporting.row(outcome) for outcome in outcomes]
        for player, outcome in zip(players, outcomes, strict=True):
            self._descend(player, outcome)
            if player == "discriminator":
                self._after_discriminator(outcome, None)
        return rows

    def _apply(self, player: str, outcome: Outcome, images_shown: int) -> Tensor | None:
        """Update a player; returns whether it was left out for an overflow, 0-d bool, where that can be."""
        left_out, report = None, self._reporting.report(player, outcome, self._loss_scale(player))
        if player in self.scaling:
            left_out, report = self.scaling[player].settle(player, outcome.gradients, report, self.tally)
        self._reporting.count(player, report, images_shown)
        with unchanged_where(left_out, lambda: changed_by(self.optimizers[player])):
            self._descend(player, outcome)
        return left_out

    def _descend(self, player: str, outcome: Outcome) -> None:
        """One step of the player's optimizer."""
        parameters = self.players.lists[player].parameters
        for parameter, gradient in zip(parameters, outcome.gradients, strict=True):
            parameter.grad = gradient
        self.optimizers[player].step()
        for parameter in parameters:
            parameter.grad = None

    def _forget_captures(self) -> None:
        if self._captures is not None:
            self._captures.forget()

    @torch.no_grad()
    def _after_discriminator(self, outcome: Outcome, left_out: Tensor | None) -> None:
        assert self._stage is not None, "an update enters its stage first"
        for pair in self.players.pairs:
            report = outcome.report
            if pair.name:
                beginning = pair.named("")
                report = {k.removeprefix(beginning): v for k, v in report.items() if k.startswith(beginning)}
            with unchanged_where(left_out, partial(buffers_of, pair)):
                for observe in pair.observers:
                    observe(report["loss"] if pair.name else outcome.loss, report)
                if pair.augmentation is not None:
                    pair.augmentation.observe(report, self._stage.minibatch)
            pair.loss.constrain(pair.discriminator)
        self._average.follow(self.recipe.ema.keeps(self._batch_began, self._stage.minibatch))

    def _before_update(self, player: str) -> None:
        asked = self.players.lists[player].before_update
        if asked:
            with torch.no_grad():
                for before_update in asked:
                    before_update()
