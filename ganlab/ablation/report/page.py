"""The report as one HTML file that asks for nothing else: style, script, charts and pictures are in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ganlab import __version__
from ganlab.ablation.report import charts, words
from ganlab.ablation.report.contents import Contents, Figure
from ganlab.ablation.report.curves import constant, curves_of, diagnosis_groups
from ganlab.ablation.report.pictures import moments_of
from ganlab.ablation.report.provenance import base_settings, facts_of, other_latents, pivot, trained_once
from ganlab.ablation.results import Results

MOST_POINTS = 200
"""Of a variant's line in a chart of a metric; other charts have a third of it. `curves.csv` has them all."""


def page(contents: Contents, methods: Sequence[str]) -> str:
    """The page; `methods` says how the numbers are made."""
    environment = Environment(
        loader=PackageLoader("ganlab.ablation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "count": words.count,
        "plain_name": words.plain_name,
        "direction": words.direction,
        "number": words.number,
        "decimals": words.decimals_of,
        "probability": words.probability,
    }
    results = contents.results
    folder, settings = base_settings(results)
    return environment.get_template("page.html").render(
        contents=contents,
        plan=results.plan,
        results=results,
        methods=methods,
        version=__version__,
        charts=charts,
        chart=partial(_chart, results),
        groups=_diagnosis(results),
        moments=moments_of(results),
        facts=facts_of(results),
        base_folder=folder,
        base_settings=settings,
        other_latents=other_latents(results),
        trained_once=trained_once(results),
        pivot=pivot(results),
        findings=[(trial, finding) for trial in results.trials for finding in trial.findings],
    )


def figure(figure: Figure | None, decimals: int | None = None, *, signed: bool = False) -> Markup:
    """A number with where it comes from: in its title for people, in `data-` attributes for programs."""
    if figure is None:
        return Markup('<span class="nothing">—</span>')
    lines = "\n".join(figure.sources)
    baseline = "\n".join(figure.baseline)
    told = f"{figure.of} of {figure.metric}\n{lines}" + (f"\nagainst\n{baseline}" if baseline else "")
    return Markup(
        '<span class="figure" data-of="{}" data-metric="{}" data-value="{!r}" data-source="{}" data-baseline="{}"'
        ' title="{}">{}</span>'
    ).format(
        figure.of,
        figure.metric,
        figure.value,
        lines,
        baseline,
        told,
        words.probability(figure.value) if figure.of == "p" else words.number(figure.value, decimals, signed=signed),
    )


def _chart(results: Results, name: str, most: int = MOST_POINTS) -> Mapping[str, Any] | None:
    """A chart with what stands under it; None where no journal has a finite value of this name."""
    curves = curves_of(results, name, most)
    if not curves:
        return None
    return {
        "name": name,
        "svg": charts.line_chart(
            curves, f"{name} over images shown", "A line for each variant: the mean over its seeds, with their range."
        ),
        "left_out": sum(curve.left_out for curve in curves),
        "constant": constant(curves),
    }


def _diagnosis(results: Results) -> dict[str, list[Mapping[str, Any]]]:
    """Charts of everything else the journals hold, by group; what never changes is told without a chart."""
    groups = {}
    for group, names in diagnosis_groups(results).items():
        drawn = [chart for name in names if (chart := _chart(results, name, MOST_POINTS // 3))]
        if drawn:
            groups[group] = drawn
    return groups
