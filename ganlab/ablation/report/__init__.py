"""The report of an ablation, offline from the journals: a page, the same as Markdown, and the numbers as CSV."""

from __future__ import annotations

from pathlib import Path

from ganlab.ablation.report.contents import contents_of
from ganlab.ablation.report.markdown import markdown
from ganlab.ablation.report.page import page
from ganlab.ablation.report.tables import curves_csv, results_csv
from ganlab.ablation.report.words import answer
from ganlab.ablation.results import read_results
from ganlab.track.files import naming, write_atomically

METHODS = (
    "A variant's mean, standard deviation (n - 1) and n are over the last values of its finished trials. Trials that "
    "are unfinished, failed, were not measured, or whose last value is NaN or infinite, are shown and not averaged.",
    "Paired difference: the mean, over the seeds that both have, of variant minus baseline. Trials of equal seed share "
    "data order, latents and, where shapes allow, initial weights.",
    "Bootstrap interval: 95 % percentiles of that mean under resampling of the differences; all resamples are "
    "enumerated up to 8 pairs, 10,000 are drawn (seed 0) above. It is too narrow for few seeds: up to 3 it is the "
    "range of the differences, which excludes 0 whenever they have one sign.",
    "t interval: 95 %, Student's t on the differences, which assumes that they are normal. At n = 2 and 3 it is wide.",
    "p (Holm): two-sided paired t test, adjusted by Holm's method over all comparisons of the deciding metric, and "
    "over all comparisons of the other metrics together. Further metrics are not tested.",
    "Verdict: a difference is shown where both intervals exclude 0 and the adjusted p is below 0.05. No difference "
    "shown does not mean that there is none.",
    "Best: the best value a trial ever had, picked with hindsight and so flattering; means of best are over the same "
    "trials, and are not tested.",
    "Every number names its journal lines: point at it, or see results.csv and curves.csv.",
)


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write `index.html`, `report.md`, `results.csv` and `curves.csv` to `out` (`folder/report`); returns `out`.

    It may be called while trials run, and again. Raises `RunError` where `folder` is no ablation's or `out` cannot be
    written.
    """
    results = read_results(folder)
    states = [trial.state for trial in results.trials]
    contents = contents_of(results, lambda table: answer(table, results.plan.baseline, states))
    out = folder / "report" if out is None else out
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    files = {
        "results.csv": results_csv(contents),
        "curves.csv": curves_csv(results),
        "report.md": markdown(contents, METHODS),
        "index.html": page(contents, METHODS),
    }
    for name, text in files.items():
        write_atomically(out / name, text)
    return out
