"""What a run's metrics have said, `metrics.json`: the last and the best of each value, and what makes it comparable.

Numbers come from the journal, so that the file follows from it and from how each metric was measured: after a resume
it is as if the run had never stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ganlab.errors import RunError
from ganlab.track.files import naming, write_atomically
from ganlab.track.folder import RunFolder, read_json
from ganlab.track.journal import Entry, read

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "ganlab-metrics/1"
RESULTS = "metrics.json"
DIRECTIONS = ("lower", "higher")


@attrs.frozen
class Result:
    """One metric of a run and how it is measured."""

    definition: Mapping[str, Any]
    """Plain JSON data: `metric` (its table), `label`, and everything else that is known before it is measured."""
    facts: Mapping[str, Any]
    """What the metric itself says of how it measures."""
    better: Mapping[str, str]
    """Journal name of each of its values to "lower", "higher", or "" for no direction."""

    @property
    def key(self) -> tuple[str, str]:
        """The metric's name and what ends the names of its values; in a run no two have the same."""
        return str(self.definition["metric"]["name"]), str(self.definition["label"])

    def told(self, entries: Sequence[Entry]) -> dict[str, Any]:
        """All of it with the last and best values in a journal, as plain JSON data; values it does not have left out.

        The last one is that of the most images shown, the best the first of the best finite ones.
        """
        values = {}
        for name, better in sorted(self.better.items()):
            line = sorted(((e.images_shown, e.values[name]) for e in entries if name in e.values), key=lambda it: it[0])
            if not line:
                continue
            values[name] = {"better": better, "last": _point(*line[-1])}
            if best := _best(line, better):
                values[name]["best"] = _point(*best)
        return {**self.definition, "facts": dict(self.facts), "values": values}


def results_path(folder: RunFolder) -> Path:
    """The file in a run folder; it is not there before something was measured."""
    return folder.path / RESULTS


def read_results(folder: RunFolder) -> dict[tuple[str, str], Result]:
    """What is known of each metric of a run, by `Result.key`. Raises `RunError` for a damaged file."""
    path = results_path(folder)
    fields = read_json(path)
    try:
        if fields and fields["format"] != FORMAT:
            raise RunError(f"{path}: the format is {fields['format']!r}, and this ganlab reads {FORMAT}; update ganlab")
        found = [_result(dict(entry)) for entry in fields.get("metrics", ())]
        return {result.key: result for result in found}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"the file is damaged ({type(error).__name__}: {error}); restore it, or remove it and go on without"
        raise RunError(f"{path}: {text}") from error


def write_results(folder: RunFolder, results: Mapping[tuple[str, str], Result], entries: Sequence[Entry]) -> None:
    """Keep what is known, with the values in the journal's `entries`; those without any are left out."""
    told = [results[key].told(entries) for key in sorted(results)]
    whole = [entry for entry in told if entry["values"]]
    path = results_path(folder)
    if not whole:
        with naming(path):
            path.unlink(missing_ok=True)
        return
    write_atomically(path, json.dumps({"format": FORMAT, "metrics": whole}, indent=1, allow_nan=False) + "\n")


def rebuild_results(folder: RunFolder) -> None:
    """Bring `metrics.json` in line with a journal that was cut."""
    write_results(folder, read_results(folder), read(folder.path))


def keep(
    folder: RunFolder,
    images_shown: int,
    results: Sequence[Result],
    values: Mapping[str, float],
    time: Mapping[str, float],
) -> None:
    """Write measured `values`, by their names in the journal, to the journal with the best so far, and `metrics.json`.

    That file comes first: what the journal has of a metric is then always known to be its.
    """
    entries = read(folder.path)
    line = dict(values)
    for result in results:
        for name, better in result.better.items():
            before = [(e.images_shown, e.values[name]) for e in entries if name in e.values]
            earlier = [point for point in before if point[0] <= images_shown]
            if name in values and (best := _best([*earlier, (images_shown, values[name])], better)):
                line[f"best/{name}"] = best[1]
    known = {**read_results(folder), **{result.key: result for result in results}}
    write_results(folder, known, [*entries, Entry(images_shown, line, {})])
    folder.journal.write(images_shown, line, time)


def _best(line: Sequence[tuple[int, float]], better: str) -> tuple[int, float] | None:
    """The first of the best finite values; None without any, or where neither direction is better."""
    finite = [point for point in line if math.isfinite(point[1])]
    if not finite or better not in DIRECTIONS:
        return None
    return (min if better == "lower" else max)(finite, key=lambda point: point[1])


def _point(images_shown: int, value: float) -> dict[str, Any]:
    """As in the journal, what JSON has no number for is written as the string that `float` reads."""
    return {"images_shown": images_shown, "value": value if math.isfinite(value) else str(value)}


def _result(entry: dict[str, Any]) -> Result:
    facts, values = entry.pop("facts"), entry.pop("values")
    return Result(entry, facts, {str(name): str(value["better"]) for name, value in values.items()})
