"""What the trials were made with: versions, data, device; told once where all agree, with counts where they do not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ganlab.ablation.results import Results

FACTS = ("ganlab", "torch", "python", "git_commit", "device", "precision", "plugins", "data")
LATENTS = ("generator.latent_size", "generator.name", "track.samples")
"""Settings on which the latents of sample grids depend, or what they mean."""


def facts_of(results: Results) -> dict[str, str]:
    """Name of a fact to its value over all trials."""
    plan = results.plan
    facts = {
        "ablation file": plan.file,
        "scale": plan.scale,
        "baseline": plan.baseline,
        "seeds": ", ".join(map(str, plan.seeds)),
        "axes": ", ".join(plan.axes),
    }
    facts |= {f"planned with: {name}": _words(value) for name, value in plan.provenance.items()}
    infos = [trial.info for trial in results.trials if trial.info]
    for name in FACTS:
        facts[f"trained with: {name}"] = _told([_words(info.get(name)) for info in infos])
    facts["data digest"] = _told([str((info.get("data") or {}).get("digest") or "") for info in infos])
    return {name: value for name, value in facts.items() if value}


def _told(values: list[str]) -> str:
    counts = Counter(value for value in values if value)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{value} ({count} trials)" for value, count in counts.most_common())


def _words(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def base_settings(results: Results) -> tuple[str, Mapping[str, str]]:
    """Folder and resolved recipe, key path to value, of the baseline's first trial that has begun."""
    trials = [trial for trial in results.of(results.baseline) if trial.settings]
    return (trials[0].planned.folder, trials[0].settings) if trials else ("", {})


def other_latents(results: Results) -> list[str]:
    """Variants whose grids are on other latents than the baseline's, or otherwise not like for like; usually none."""
    _, base = base_settings(results)
    found = []
    for variant in results.plan.variants:
        settings = next((trial.settings for trial in results.of(variant) if trial.settings), None)
        if base and settings and any(settings.get(key) != base.get(key) for key in LATENTS):
            found.append(variant.label)
    return found


def trained_once(results: Results) -> list[tuple[str, ...]]:
    """Labels of variants that come to the same recipe, and so share their trials."""
    shared: dict[str, list[str]] = {}
    for trial in results.trials:
        labels = shared.setdefault(trial.planned.folder, [])
        if trial.planned.variant not in labels:
            labels.append(trial.planned.variant)
    return list(dict.fromkeys(tuple(labels) for labels in shared.values() if len(labels) > 1))


def pivot(results: Results) -> tuple[list[str], list[str], dict[tuple[str, str], int]] | None:
    """For a full grid over two axes: values of the first, of the second, and the number of the variant at each pair."""
    axes, variants = results.plan.axes, results.plan.variants
    if len(axes) != 2 or any(axis not in variant.values for variant in variants for axis in axes):
        return None
    where = {(_words(v.values[axes[0]]), _words(v.values[axes[1]])): number for number, v in enumerate(variants)}
    firsts, seconds = (list(dict.fromkeys(pair[i] for pair in where)) for i in (0, 1))
    return (firsts, seconds, where) if len(where) == len(firsts) * len(seconds) == len(variants) else None
