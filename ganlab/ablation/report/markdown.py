"""The report as Markdown, for a pull request or a notebook: what the page says, without curves and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ganlab.ablation.report.contents import Contents, Figure, Row, Table
from ganlab.ablation.report.provenance import facts_of, trained_once
from ganlab.ablation.report.words import count, decimals_of, direction, number, plain_name, probability


def markdown(contents: Contents, methods: Sequence[str]) -> str:
    """The whole report; `methods` says how the numbers are made."""
    plan = contents.results.plan
    states = ", ".join(f"{n} {state}" for state, n in contents.states.items())
    parts = [
        f"# {plain(plan.question or plan.name)}",
        f"{plain(plan.name)}: {states} of {count(len(plan.trials))} trials.",
    ]
    parts.append(
        "\n".join(f"- {plain(line)}" if i else f"**{plain(line)}**\n" for i, line in enumerate(contents.answer))
    )
    if plan.note:
        parts.append(f"> {plain(plan.note)}")
    for table in contents.tables:
        name = f"## {plain(plain_name(table.metric.name))} ({direction(table.metric)})"
        parts += [name, _table(table), "Last values of each seed:", _seeds(contents, table)]
    if contents.further:
        parts.append("## Further metrics")
        rows = [
            [f"`{table.metric.name}`", plain(row.variant.label), str(len(row.counted)), *_means(row, None, best=False)]
            for table in contents.further
            for row in table.rows
        ]
        parts.append(_rows(["metric", "variant", "n", "mean", "standard deviation"], rows))
    parts += ["## Variants", _variants(contents), "## Trials", _trials(contents)]
    findings = [
        f"- {plain(trial.planned.folder)}, {count(finding.images_shown)} images shown: **{plain(finding.name)}**. "
        f"{plain(finding.text)} {plain(finding.remedy)}".rstrip()
        for trial in contents.results.trials
        for finding in trial.findings
    ]
    if findings:
        parts += ["## Findings", "\n".join(findings)]
    facts = [[plain(name), plain(value)] for name, value in facts_of(contents.results).items()]
    parts += ["## Provenance", _rows(["", ""], facts)]
    parts += ["## How the numbers are made", "\n".join(f"- {plain(line)}" for line in methods)]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    one_line = re.sub(r"\s+", " ", text)
    marked = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", one_line)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(table: Table) -> str:
    decimals = decimals_of(table)
    head = ["variant", "n", "mean", "standard deviation"]
    head += ["mean of best"] if table.has_best else []
    head += ["published"] if table.has_published else []
    head += ["paired difference", "95 % bootstrap", "95 % t", "p (Holm)", "verdict"]
    rows = []
    for row in table.rows:
        cells = [plain(row.variant.label), str(len(row.counted)), *_means(row, decimals, best=table.has_best)]
        if table.has_published:
            cells.append("—" if row.published is None else number(row.published))
        spans = row.intervals
        p = "—" if row.adjusted_p is None else probability(row.adjusted_p)
        verdict = row.verdict.words if row.verdict else "baseline"
        difference = _number(row.difference, decimals, signed=True)
        rows.append(
            [*cells, difference, *(_span(spans.get(name), decimals) for name in ("bootstrap", "t")), p, verdict]
        )
    return _rows(head, rows)


def _means(row: Row, decimals: int | None, *, best: bool) -> list[str]:
    figures = [row.mean, row.deviation, *([row.best_mean] if best else [])]
    return [_number(figure, decimals) for figure in figures]


def _number(figure: Figure | None, decimals: int | None, *, signed: bool = False) -> str:
    return "—" if figure is None else number(figure.value, decimals, signed=signed)


def _span(span: tuple[Figure, Figure] | None, decimals: int | None) -> str:
    return "—" if span is None else " to ".join(_number(figure, decimals, signed=True) for figure in span)


def _seeds(contents: Contents, table: Table) -> str:
    decimals, seeds = decimals_of(table), contents.results.plan.seeds
    rows = []
    for row in table.rows:
        by_seed = {cell.trial.planned.seed: cell for cell in row.cells}
        cells = [by_seed.get(seed) for seed in seeds]
        texts = [
            "—" if cell is None else f"{_number(cell.last, decimals)}{f' ({cell.why_not})' if cell.why_not else ''}"
            for cell in cells
        ]
        rows.append([plain(row.variant.label), *texts])
    return _rows(["variant", *(f"seed {seed}" for seed in seeds)], rows)


def _variants(contents: Contents) -> str:
    rows = [
        [plain(v.label), plain(v.against or "the base recipe"), "<br>".join(map(plain, v.differences)), plain(v.note)]
        for v in contents.results.plan.variants
    ]
    text = _rows(["variant", "differs from", "in", "note"], rows)
    for labels in trained_once(contents.results):
        text += f"\n\n{plain(', '.join(labels))}: the same recipe, trained once."
    return text


def _trials(contents: Contents) -> str:
    rows = [
        [f"`{t.planned.folder}`", t.state, count(t.images_shown), f"`{t.info.get('digest', '—')}`", plain(t.message)]
        for t in contents.results.trials
    ]
    return _rows(["run folder", "state", "images shown", "recipe digest", "message"], rows)


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
