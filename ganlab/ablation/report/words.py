"""Numbers and verdicts as people read them; the same on the page and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ganlab.ablation.report.contents import Row, Table
from ganlab.ablation.results import Metric

MOST_DECIMALS = 8
MINUS = "\N{MINUS SIGN}"


def count(number: int) -> str:
    """`14,000`."""
    return f"{number:,}"


def plain_name(metric: str) -> str:
    """`swd/mean` of `metric/swd/mean`."""
    return metric.replace("best/metric/", "best ").removeprefix("metric/")


def direction(metric: Metric) -> str:
    """What to hope for."""
    known = metric.better in ("lower", "higher")
    return f"{metric.better} is better" if known else "neither direction is better"


def number(value: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """With so many decimals (None: four digits in all), a real minus sign, and words for what is no number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return f"{MINUS}∞" if value < 0 else "∞"
    text = f"{value:.4g}" if decimals is None else f"{value:,.{decimals}f}"
    text = text if float(text.replace(",", "")) else text.replace("-", "")  # no -0.00
    return ("+" if signed and float(text.replace(",", "")) > 0 else "") + text.replace("-", MINUS)


def decimals_of(table: Table) -> int | None:
    """Decimals for four digits of the largest mean and two of the smallest spread; None where that is too many."""
    means = [abs(row.mean.value) for row in table.rows if row.mean]
    spreads = [row.deviation.value for row in table.rows if row.deviation and row.deviation.value]
    return decimals_for(means, spreads)


def decimals_for(values: Iterable[float], spreads: Iterable[float]) -> int | None:
    """As `decimals_of`, of any finite values and the spreads that must be seen."""
    largest, smallest = max(values, default=0.0), min(spreads, default=0.0)
    wanted = [digits - 1 - math.floor(math.log10(size)) for size, digits in ((largest, 4), (smallest, 2)) if size > 0]
    decimals = max([0, *wanted])
    return None if decimals > MOST_DECIMALS or largest >= 1e7 else decimals


def probability(value: float) -> str:
    """Three decimals, or that it is below them."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def listed(labels: Sequence[str]) -> str:
    """`“a”, “b” and “c”`."""
    quoted = [f"“{label}”" for label in labels]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


SHOWN = {
    "good": ("is shown to be better", "are shown to be better"),
    "bad": ("is shown to be worse", "are shown to be worse"),
    "different": ("is shown to differ", "are shown to differ"),
    "none": ("is not shown to differ", "are not shown to differ"),
    "unknown": ("cannot be judged", "cannot be judged"),
}
"""By the tone of a verdict, for one variant and for several."""


def answer(table: Table, baseline: str, trials: Sequence[str]) -> list[str]:
    """The deciding table in sentences: what is shown and what is not, then every variant; `trials` has their states."""
    others = [row for row in table.rows if row.verdict]
    said = []
    for tone, (one, several) in SHOWN.items():
        labels = [row.variant.label for row in others if row.verdict and row.verdict.tone == tone]
        if labels:
            said.append(f"{listed(labels)} {several if len(labels) > 1 else one}")
    judged = "; ".join(said) if said else "there is nothing to compare"
    finished = sum(state == "finished" for state in trials)
    begin = "" if finished == len(trials) else f"Preliminary, with {finished} of {len(trials)} trials finished. "
    by = f"by {plain_name(table.metric.name)} ({direction(table.metric)})"
    summary = f"{begin}Compared with “{baseline}” {by}: {judged}."
    return [summary, *(sentence(row, table, baseline) for row in others)]


def sentence(row: Row, table: Table, baseline: str) -> str:
    """One variant against the baseline."""
    decimals, label = decimals_of(table), f"“{row.variant.label}”"
    verdict = row.verdict.words if row.verdict else ""
    if row.mean is None or row.comparison is None or row.comparison.mean is None:
        return f"{label}: {verdict}."
    text = f"{label}: {verdict}. The mean of {plain_name(table.metric.name)} is {number(row.mean.value, decimals)}"
    difference = number(row.comparison.mean, decimals, signed=True)
    seeds = f"{row.comparison.n} seed{'s' if row.comparison.n != 1 else ''}"
    text += f", and its paired difference to “{baseline}” is {difference} over {seeds}"
    intervals = {"t": row.comparison.t, "bootstrap": row.comparison.bootstrap}
    spans = [
        f"{name} {number(span[0], decimals, signed=True)} to {number(span[1], decimals, signed=True)}"
        for name, span in intervals.items()
        if span
    ]
    return f"{text} (95 % interval: {'; '.join(spans)})." if spans else f"{text}."
