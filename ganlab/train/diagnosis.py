"""Failures that training does not stop for, named from the values of its journal: pure functions of its lines.

A rule looks at the newest reports and says in words what it sees, or nothing. A run that is resumed reads its journal
again and so comes to the same findings. Thresholds and their reasons are in `docs/diagnosis.md`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import attrs

from ganlab.track.findings import Finding
from ganlab.track.journal import Entry

GRACE_UPDATES = 200
"""Discriminator updates at the start in which only values that are not finite count: nothing is in balance yet."""
IN_A_ROW = 3
"""Reports in a row that must show a failure; a single one may be an unlucky moment."""
LEAST_DIVERSITY = 0.15
"""Of the variety of real images; sound runs stay above 0.4."""
LARGEST_SCORE, LARGEST_PENALIZED_SCORE = 1e3, 1e5
"""Losses pull scores to numbers near 1, or hold the critic's gradient at 1 or, with a penalty, at as much as 750: for
CIFAR-10, where two images are at most 111 apart."""
GROWTH, GROWING_REPORTS, GROWN_SCORE = 1.5, 6, 100.0
"""A score grows without bound if it is `GROWTH` times the one before in so many reports, and large by then."""
LEAST_GRADIENT = 1e-7
"""Norm of all gradients, below which each of them is about Adam's epsilon (1e-8) or less, and no step is left."""
LEAST_LOSS, CLEAR_GAP = 0.01, 0.5
"""A discriminator's loss at its floor of 0 while mean scores of reals and fakes are clearly apart."""


@attrs.frozen
class Report:
    """A line of the journal, and how far training was."""

    images_shown: int
    updates: float
    """Discriminator updates until then."""
    values: Mapping[str, float]


Rule = Callable[[Sequence[Report]], str | None]
"""The newest reports, oldest first -> what is wrong at the last one, in words, or None."""


@attrs.define
class Diagnosis:
    """Looks at a journal line by line and names each failure once."""

    findings: list[Finding] = attrs.field(factory=list)
    _recent: deque[Report] = attrs.field(init=False, factory=lambda: deque(maxlen=GROWING_REPORTS))

    def take(self, line: Entry) -> list[Finding]:
        """What shows at this line for the first time; lines that are no reports (metrics) are passed over."""
        minibatch = line.values.get("growth/minibatch")
        if not minibatch:
            return []
        last = self._recent[-1] if self._recent else Report(0, 0.0, {})
        updates = last.updates + (line.images_shown - last.images_shown) / minibatch
        self._recent.append(Report(line.images_shown, updates, line.values))
        known = {finding.name for finding in self.findings}
        new = []
        for name, (rule, remedy) in RULES.items():
            text = None if name in known else rule(tuple(self._recent))
            if text is not None:
                new.append(Finding(name, line.images_shown, text, remedy))
        self.findings += new
        return new


def diagnosed(journal: Iterable[Entry]) -> Diagnosis:
    """A diagnosis that has seen a whole journal; its `findings` are every failure that shows in it."""
    diagnosis = Diagnosis()
    for line in journal:
        diagnosis.take(line)
    return diagnosis


def not_finite(quantity: str, images_shown: int) -> Finding:
    """The finding of a run that ended for a quantity that is NaN or infinite."""
    return Finding("non-finite", images_shown, f"{quantity} is not finite", RULES["non-finite"][1])


def collapse(reports: Sequence[Report]) -> str | None:
    """Generated images differ far less than real ones do."""
    seen = _settled(reports, "diversity")
    if not seen or not all(value < LEAST_DIVERSITY for value in seen):
        return None
    return f"generated images differ only {seen[-1]:.0%} as much as real ones do"


def score_runaway(reports: Sequence[Report]) -> str | None:
    """The discriminator's scores are beyond bounds, or grow report by report."""
    if reports[-1].updates < GRACE_UPDATES:
        return None
    sizes = [_score(report) for report in reports]
    penalized = bool(_named(reports[-1], "gradient_norm"))
    if sizes[-1] >= (LARGEST_PENALIZED_SCORE if penalized else LARGEST_SCORE):
        return f"mean scores have reached {sizes[-1]:,.3g}"
    same_level = len({report.values.get("growth/resolution") for report in reports}) == 1
    if len(reports) < GROWING_REPORTS or not same_level or sizes[-1] < GROWN_SCORE:
        return None
    if any(after < GROWTH * before for before, after in pairwise(sizes)):
        return None
    return f"mean scores grow from report to report, from {sizes[0]:,.3g} to {sizes[-1]:,.3g}"


def vanished_gradients(reports: Sequence[Report]) -> str | None:
    """A player's gradients are so small that it does not learn."""
    for player in ("generator", "discriminator"):
        seen = _settled(reports, f"gradient_norm/{player}")
        if seen and all(value < LEAST_GRADIENT for value in seen):
            return f"the {player}'s gradients have a norm of {seen[-1]:.2g}: it no longer learns"
    return None


def overpowering_discriminator(reports: Sequence[Report]) -> str | None:
    """The discriminator makes next to no mistake any more, by a loss whose least value is 0."""
    losses = _settled(reports, "loss/discriminator")
    gaps = _settled(reports, "scores/gap")
    if not losses or not gaps or not all(0 <= loss < LEAST_LOSS for loss in losses):
        return None
    if not all(abs(gap) >= CLEAR_GAP for gap in gaps):
        return None
    return f"the discriminator's loss is {losses[-1]:.2g}: it tells every generated image from a real one"


def non_finite(reports: Sequence[Report]) -> str | None:
    """A value is NaN or infinite."""
    names = sorted(name for name, value in reports[-1].values.items() if not math.isfinite(value))
    if not names:
        return None
    return f"{', '.join(names[:3])}{' and others' * (len(names) > 3)} {'is' if len(names) == 1 else 'are'} not finite"


RULES: Mapping[str, tuple[Rule, str]] = {
    "collapse": (
        collapse,
        "a lower optimizer.learning_rate, discriminator.stddev = 'minibatch-stddev' with several samples to a "
        "minibatch, or loss = 'wgan-gp'",
    ),
    "score-runaway": (
        score_runaway,
        "a lower optimizer.learning_rate, or what holds the discriminator: loss = 'wgan-gp' with more loss.gp_weight, "
        "or regularizers = ['r1']",
    ),
    "vanished-gradients": (
        vanished_gradients,
        "another loss ('wgan-gp', 'non-saturating'); with 'wgan', a larger loss.clip and "
        "discriminator.weight_scaling = 'none'",
    ),
    "overpowering-discriminator": (
        overpowering_discriminator,
        "regularizers = ['r1'], loss = 'wgan-gp', discriminator.noise = 'multiplicative-noise', or a lower "
        "schedule.discriminator_learning_rates",
    ),
    "non-finite": (non_finite, "a lower optimizer.learning_rate, or another loss"),
}
"""Name to rule and to what to try."""


def _settled(reports: Sequence[Report], name: str) -> list[float]:
    """A value in the last reports, after the grace; empty where there are too few of them."""
    last = reports[-IN_A_ROW:]
    if len(last) < IN_A_ROW or any(name not in it.values or it.updates < GRACE_UPDATES for it in last):
        return []
    return [it.values[name] for it in last]


def _score(report: Report) -> float:
    """The largest mean score, whatever its sign."""
    scores = [abs(report.values[name]) for ending in ("scores/real", "scores/fake") for name in _named(report, ending)]
    return max(scores, default=0.0)


def _named(report: Report, ending: str) -> list[str]:
    """The values of all discriminators that have this name, in a system of several pairs behind the pair's."""
    names = [name for name in report.values if name == ending or name.endswith(f"/{ending}")]
    return [name for name in names if not name.startswith("generator/")]
