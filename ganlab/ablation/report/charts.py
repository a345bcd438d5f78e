"""Charts as inline SVG, drawn here so that a page needs nothing from anywhere.

Colours come from the page's style (classes `v0`, `v1`, ...), with a set for light and one for dark; dash and marker
tell lines apart without colour. Every point carries its value and the journal lines it is the mean of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from ganlab.ablation.report.contents import Table
from ganlab.ablation.report.curves import Curve
from ganlab.ablation.report.words import count, number

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 10, 38
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2", "1 2 6 2", "9 2 2 2 2 2")
MARKERS = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "M-2.8-2.8h5.6v5.6h-5.6z",
    "M0-3.6L3.4 2.6h-6.8z",
    "M0-3.9L3.9 0L0 3.9L-3.9 0z",
    "M0 3.6L3.4-2.6h-6.8z",
    "M-3.2-1h2.2v-2.2h2v2.2h2.2v2h-2.2v2.2h-2v-2.2h-2.2z",
    "M-3.6 0L-1.8-3.1h3.6L3.6 0L1.8 3.1h-3.6z",
    "M0-4L1.1-1.2L4 0L1.1 1.2L0 4L-1.1 1.2L-4 0L-1.1-1.2z",
)
COLOURS = 9
"""Classes in the style; later variants begin again, with another dash and marker."""
MOST_MARKERS = 24
LOGARITHMIC_FROM = 5
"""Values that are all positive and span more than this ratio have a logarithmic axis."""


def style_class(variant: int) -> str:
    """The colour of a variant."""
    return f"v{variant % COLOURS}"


def dash(variant: int) -> str:
    """The pattern of its line."""
    return DASHES[variant % len(DASHES)]


def marker(variant: int) -> str:
    """The path of its marker, about (0, 0)."""
    return MARKERS[variant % len(MARKERS)]


def swatch(variant: int) -> Markup:
    """A piece of a variant's line, for legends and tables."""
    return Markup(
        '<svg class="swatch {}" viewBox="0 0 30 12" width="30" height="12" aria-hidden="true">'
        '<path class="line" stroke-dasharray="{}" d="M1 6h28"/>'
        '<path class="mark" transform="translate(15 6)" d="{}"/></svg>'
    ).format(style_class(variant), dash(variant), marker(variant))


def line_chart(curves: Sequence[Curve], title: str, description: str) -> Markup:
    """The curves with their bands over images shown. There must be at least one point."""
    shown = [point.images_shown for curve in curves for point in curve.points]
    values = [value for curve in curves for point in curve.points for value in (point.low, point.high)]
    logarithmic = min(values) > 0 and max(values) > LOGARITHMIC_FROM * min(values)
    x_ticks = ticks(min(0, *shown), max(shown))
    y_ticks = log_ticks(min(values), max(values)) if logarithmic else ticks(min(values), max(values))
    x = _scale(min(0, *shown), max(shown), LEFT, WIDTH - RIGHT)
    y = _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, math.log if logarithmic else float)
    parts = [_axes(x_ticks, y_ticks, x, y)]
    if logarithmic:
        parts.append(Markup('<text x="{}" y="{}">logarithmic</text>').format(LEFT + 6, TOP + 10))
    parts += [_band(curve, x, y) for curve in curves]
    parts += [_line(curve, x, y) for curve in reversed(curves)]
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" data-left="{l}" data-right="{r}">'
        "<title>{title}</title><desc>{description}</desc>{parts}"
        '<path class="cursor" d="M0 {top}V{bottom}" visibility="hidden"/></svg>'
    ).format(
        w=WIDTH, h=HEIGHT, l=LEFT, r=WIDTH - RIGHT, title=title, description=description,
        parts=Markup("").join(parts), top=TOP, bottom=HEIGHT - BOTTOM,
    )  # fmt: skip


def interval_chart(table: Table, row: int, variant: int, span: tuple[float, float]) -> Markup:
    """One row's paired differences as dots, with the bootstrap interval (thick) and t interval (thin), about 0."""
    comparison = table.rows[row].comparison
    if comparison is None or not comparison.n:
        return Markup("")
    width, height, edge = 190, 26, 8
    x = _scale(*span, edge, width - edge)

    def clipped(value: float) -> float:
        return min(max(x(value), 1.0), width - 1.0)

    parts = [Markup('<path class="zero" d="M{x:.1f} 0V{h}"/>').format(x=x(0), h=height)]
    if comparison.t:
        low, high = map(clipped, comparison.t)
        parts.append(Markup('<path class="line" d="M{:.1f} 13H{:.1f}"/>').format(low, high))
        for value, at, tip in ((comparison.t[0], low, -1), (comparison.t[1], high, 1)):
            beyond = not span[0] <= value <= span[1]
            shape = f"M{at - 5 * tip:.1f} 9L{at:.1f} 13L{at - 5 * tip:.1f} 17" if beyond else f"M{at:.1f} 9V17"
            parts.append(Markup('<path class="line" d="{}"/>').format(shape))
    if comparison.bootstrap:
        low, high = map(clipped, comparison.bootstrap)
        parts.append(Markup('<path class="thick" d="M{:.1f} 13H{:.1f}"/>').format(low, high))
    for seed, value in zip(comparison.seeds, comparison.differences, strict=True):
        parts.append(
            Markup('<circle cx="{x:.1f}" cy="13" r="3.4"><title>seed {seed}: {value}</title></circle>').format(
                x=clipped(value), seed=seed, value=number(value, None, signed=True)
            )
        )
    words = "; ".join(number(value, None, signed=True) for value in comparison.differences)
    return Markup(
        '<svg class="interval {}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">'
        "<title>Paired differences {words}</title>{parts}</svg>"
    ).format(style_class(variant), w=width, h=height, words=words, parts=Markup("").join(parts))


def interval_span(table: Table) -> tuple[float, float]:
    """What the interval charts of a table show: all differences and 0, and t intervals up to twice as far."""
    comparisons = [row.comparison for row in table.rows if row.comparison]
    dots = [value for comparison in comparisons for value in comparison.differences]
    reach = max(map(abs, dots), default=0.0) or 1.0
    ends = [value for comparison in comparisons for value in (comparison.t or ())]
    low, high = min([0.0, *dots, *(max(end, -2 * reach) for end in ends)]), max([0.0, *dots])
    high = max([high, *(min(end, 2 * reach) for end in ends)])
    return (low, high) if low < high else (-reach, reach)


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between `low` and `high`, ends rounded outwards; around it if they are equal."""
    if low == high:
        low, high = low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1)
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, or powers alone where those are too many, from below `low` to above `high`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(exponents) <= 3 else (1,)
    every = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    first = max(i for i, value in enumerate(every) if value <= low)
    last = min(i for i, value in enumerate(every) if value >= high)
    return every[first : last + 1]


def _scale(
    low: float, high: float, start: float, stop: float, of: Callable[[float], float] = float
) -> Callable[[float], float]:
    width = (of(high) - of(low)) or 1.0
    return lambda value: start + (of(value) - of(low)) / width * (stop - start)


def _axes(
    x_ticks: Sequence[float], y_ticks: Sequence[float], x: Callable[[float], float], y: Callable[[float], float]
) -> Markup:
    parts = []
    for value in y_ticks:
        parts.append(
            Markup(
                '<path class="grid" d="M{l} {y:.1f}H{r}"/><text class="y" x="{t}" y="{y:.1f}" dy=".35em">{text}</text>'
            ).format(l=LEFT, r=WIDTH - RIGHT, t=LEFT - 6, y=y(value), text=_tick(value))
        )
    for value in x_ticks:
        if x(value) <= WIDTH - RIGHT + 1:
            parts.append(
                Markup(
                    '<path class="grid" d="M{x:.1f} {b}v4"/><text class="x" x="{x:.1f}" y="{t}">{text}</text>'
                ).format(x=x(value), b=HEIGHT - BOTTOM, t=HEIGHT - BOTTOM + 16, text=_tick(value))
            )
    parts.append(
        Markup('<text class="x" x="{}" y="{}">images shown</text>').format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6)
    )
    return Markup("").join(parts)


def _tick(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return number(value / size, None) + letter
    return number(float(f"{value:.6g}"), None)


def _band(curve: Curve, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    if all(point.low == point.high for point in curve.points):
        return Markup("")
    above = " ".join(f"{x(point.images_shown):.1f},{y(point.high):.1f}" for point in curve.points)
    below = " ".join(f"{x(point.images_shown):.1f},{y(point.low):.1f}" for point in reversed(curve.points))
    return Markup('<polygon class="band {}" data-variant="{}" points="{} {}"/>').format(
        style_class(curve.variant), curve.variant, above, below
    )


def _line(curve: Curve, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    path = " ".join(f"{x(point.images_shown):.1f},{y(point.mean):.1f}" for point in curve.points)
    every = max(1, math.ceil(len(curve.points) / MOST_MARKERS))
    marks = []
    for i, point in enumerate(curve.points):
        visible = (len(curve.points) - 1 - i) % every == 0
        lines = " ".join("-" if line is None else str(line) for line in point.lines)
        span = f" ({number(point.low)} to {number(point.high)}, n = {point.n})" if point.n > 1 else " (n = 1)"
        words = f"{curve.label} at {count(point.images_shown)} images shown: {number(point.mean)}{span}"
        marks.append(
            Markup('<path class="{}" transform="translate({:.1f} {:.1f})" d="{}" data-x="{}" data-mean="{!r}"'
                   ' data-lines="{}"><title>{}</title></path>').format(
                "mark" if visible else "mark small", x(point.images_shown), y(point.mean),
                marker(curve.variant) if visible else "M0 0h.1", point.images_shown, point.mean, lines, words,
            )
        )  # fmt: skip
    return Markup(
        '<g class="{}" data-variant="{}" data-label="{}" data-folders="{}">'
        '<polyline class="line" stroke-dasharray="{}" points="{}"/>{}</g>'
    ).format(
        style_class(curve.variant), curve.variant, curve.label, "\n".join(curve.folders), dash(curve.variant), path,
        Markup("").join(marks),
    )  # fmt: skip
