"""An ablation file to its trials: every variant with every seed, each a whole checked recipe with a digest."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ganlab.ablation.schema import AblationTable
from ganlab.ablation.variants import Variant, variants_of
from ganlab.components import structurer
from ganlab.errors import RecipeError
from ganlab.interfaces import Executor
from ganlab.plain import plain_component
from ganlab.plugins import Catalog
from ganlab.problems import KeyPath, Problems, dotted
from ganlab.recipe import LoadedRecipe, checked_recipe, differences, digest, flat, name_of
from ganlab.recipe.document import Document, merge, override, read_document
from ganlab.recipe.parts import SCALE_KEYS, root_of, settled, without
from ganlab.registry import suggestion

ID_LENGTH = 8


@attrs.frozen
class Trial:
    """One training: a variant with a seed."""

    id: str
    """The beginning of the digest of its resolved recipe, seed included."""
    variant: str
    seed: int
    loaded: LoadedRecipe

    @property
    def folder(self) -> str:
        """Name of its run folder, `spatial-s0-1a2b3c4d`, unless one of its id is there under another label."""
        slug = re.sub(r"[^\w.+-]+", "-", self.variant.replace("*", "-star")).strip("-.")[:40] or "variant"
        return f"{slug}-s{self.seed}-{self.id}"


@attrs.frozen
class PlannedVariant:
    """A variant with what it changes."""

    label: str
    values: Mapping[str, str]
    against: str
    """Label of the variant that `differences` are told against; empty for the base recipe."""
    differences: Sequence[str]
    note: str
    published: Mapping[str, float]


@attrs.frozen
class AblationPlan:
    """Everything there is to train, and how it is to be compared."""

    name: str
    file: Path
    scale: str
    table: AblationTable
    variants: Sequence[PlannedVariant]
    trials: Sequence[Trial]
    """Seed by seed, so that the first answers come for all variants."""
    executor_table: Mapping[str, Any]

    @property
    def baseline(self) -> str:
        """Label of the variant that the others are compared with."""
        return self.table.baseline or self.variants[0].label

    @property
    def executor(self) -> Executor:
        return self.table.executor


def holds_ablation(file: Path) -> bool:
    """Whether a file is an ablation and no recipe. Raises `RecipeError` for what cannot be read or parsed."""
    return "ablation" in read_document(file).data


def plan_ablation(file: Path, overrides: Sequence[str], catalog: Catalog) -> AblationPlan:
    """Read an ablation file with its bases and `--set` overrides, and check every variant of it.

    Overrides of `scale` and `ablation` change the ablation; all others are merged over every variant.
    Raises `RecipeError` with one line for every problem: file, line, key, remedy.
    """
    own = [text for text in overrides if root_of(text) in ("ablation", *SCALE_KEYS)]
    rest = [text for text in overrides if text not in own]
    _refuse_own_names(rest)
    read = read_document(file)
    scale = _scale_of(read, own)
    document = settled(read, own)
    table = _table(file, document, catalog)
    name = "-".join([table.name or name_of(file), *([scale] if scale else [])])
    base = without(document, "ablation")
    try:
        variants = variants_of(table, document)
    except Problems as error:
        raise _explained(document, error) from error
    _refuse_seeds(variants)
    loaded = _load_all(base, variants, rest, catalog, name, table.seeds[0])
    plain = {label: recipe.plain() for label, recipe in loaded.items()}
    plain_base = _plain_base(base, rest, catalog, name, table.seeds[0])
    planned = []
    for variant in variants:
        before = plain[variant.after] if variant.after else plain_base
        changed = [] if before is None else told(differences(before, plain[variant.label]))
        against = variant.after or ""
        planned.append(PlannedVariant(variant.label, variant.values, against, changed, variant.note, variant.published))
    _refuse_same_digests(plain)
    _check_deciding(table, loaded, document)
    trials = [_trial(variant.label, seed, loaded[variant.label], name) for seed in table.seeds for variant in variants]
    executor = plain_component("executor", table.executor, catalog.registries)
    return AblationPlan(name, file, scale, table, planned, trials, executor)


def told(changes: Sequence[str]) -> list[str]:
    """Differences for people: of a component that gave way to another, the parameters it had are left out."""
    replaced = [text.partition(".name: ")[0] for text in changes if ".name: " in text]
    gone = "-> 'not set'"
    return [
        text
        for text in changes
        if not (text.endswith(gone) and (": [] " in text or any(text.startswith(f"{key}.") for key in replaced)))
    ]


def _scale_of(document: Document, overrides: Sequence[str]) -> str:
    for assignment in overrides:
        if assignment.partition("=")[0].strip() == "scale":
            document = override(document, assignment)
    scale = document.data.get("scale", "")
    return scale if isinstance(scale, str) else ""


def _table(file: Path, document: Document, catalog: Catalog) -> AblationTable:
    if not isinstance(document.data.get("ablation"), Mapping):
        raise RecipeError(
            [f"{file}: ablation: missing; an ablation has a table [ablation] (a recipe is trained by `ganlab run`)"]
        )
    try:
        table: AblationTable = structurer(catalog.registries).table(AblationTable, document.data["ablation"])
    except Problems as error:
        raise _explained(document, error) from error
    return table


def _explained(document: Document, error: Problems) -> RecipeError:
    lines = []
    for problem in error.problems:
        path: KeyPath = ("ablation", *problem.path)
        origin = document.origin(path)
        lines.append((origin.label, origin.line or 0, f"{origin}: {dotted(path)}: {problem.text}"))
    return RecipeError([line for _, _, line in sorted(lines, key=lambda item: item[:2])])


def _load_all(
    base: Document, variants: Sequence[Variant], overrides: Sequence[str], catalog: Catalog, name: str, seed: int
) -> dict[str, LoadedRecipe]:
    """Every variant's recipe with the first seed; the problems of all, each told once."""
    loaded, problems = {}, []
    for variant in variants:
        try:
            document = _merged(base, variant.documents, overrides)
            loaded[variant.label] = checked_recipe(_seeded(document, seed), catalog, name)
        except RecipeError as error:
            problems += [text for text in error.problems if text not in problems]
    if problems:
        raise RecipeError(problems)
    return loaded


def _merged(base: Document, documents: Sequence[Document], overrides: Sequence[str]) -> Document:
    document = Document(copy.deepcopy(base.data), dict(base.origins), base.file)  # overrides write into lists
    for added in documents:
        root = document.origin(())
        document = merge(document, added)
        document.origins[()] = root
    for assignment in overrides:
        document = override(document, assignment)
    return document


def _seeded(document: Document, seed: int) -> Document:
    run = document.data.get("run")
    if isinstance(run, Mapping):
        document.data = {**document.data, "run": {**run, "seed": seed}}
    return document


def _plain_base(
    base: Document, overrides: Sequence[str], catalog: Catalog, name: str, seed: int
) -> dict[str, Any] | None:
    """The base as a recipe, or None where it is none by itself."""
    try:
        return checked_recipe(_seeded(_merged(base, (), overrides), seed), catalog, name).plain()
    except RecipeError:
        return None


def _refuse_own_names(overrides: Sequence[str]) -> None:
    """Every trial has a seed and a name of its own."""
    for assignment in overrides:
        key = assignment.partition("=")[0].replace('"', "").strip()
        remedy = {"run.seed": "set ablation.seeds", "run.name": "set ablation.name"}.get(key)
        if remedy:
            raise RecipeError([f"--set {assignment}: {key}: trials have their own; {remedy}"])


def _refuse_seeds(variants: Sequence[Variant]) -> None:
    for variant in variants:
        for document in variant.documents:
            if document.at(("run", "seed")) is not None:
                where = document.origin(("run", "seed"))
                raise RecipeError([f"{where}: run.seed: seeds are no part of a variant; set ablation.seeds"])


def _refuse_same_digests(plain: Mapping[str, Mapping[str, Any]]) -> None:
    """Variants that differ, but in nothing that the digest covers, would share one training unnoticed."""
    first: dict[str, str] = {}
    for label, recipe in plain.items():
        other = first.setdefault(digest(recipe), label)
        ours, theirs = (dict(flat({**plain[it], "track": {}, "metrics": []})) for it in (label, other))
        apart = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if apart:
            text = f"variants '{other}' and '{label}' differ only in {', '.join(apart)}, which tells no trials apart"
            raise RecipeError([f"ablation: {text}; make an ablation of each, with a --dir of its own"])


def _check_deciding(table: AblationTable, loaded: Mapping[str, LoadedRecipe], document: Document) -> None:
    """Refuse to decide by a metric that is not measured, or is written almost as one that is."""
    for number, name in enumerate(table.decide):
        if not name.startswith(("metric/", "best/metric/")):
            continue
        where = f"{document.origin(('ablation', 'decide', number))}: ablation.decide.{number}"
        wanted = name.removeprefix("best/").removeprefix("metric/").split("/")[0]
        for label, it in loaded.items():
            known = _value_names(it)
            if not known:
                text = f"'{name}' is a metric's value, but variant '{label}' measures none"
                raise RecipeError([f'{where}: {text}; add [[metrics]] with name = "swd"'])
            if wanted not in known and (near := suggestion(wanted, sorted(known))):
                raise RecipeError([f"{where}: variant '{label}' measures no '{wanted}'{near}"])


def _value_names(loaded: LoadedRecipe) -> set[str]:
    """What names of metrics' values begin with, as far as the metrics say so."""
    tables = loaded.plain()["metrics"]
    named = {str(table["name"]).rpartition(":")[2] for table in tables}
    directed = [getattr(type(entry.metric), "better", {}) for entry in loaded.recipe.metrics]
    return named | {name.split("/")[0] for better in directed for name in better}


def _trial(label: str, seed: int, loaded: LoadedRecipe, name: str) -> Trial:
    recipe = loaded.recipe
    # A number of threads of its own, the same wherever it runs: sums come out the same only with as many.
    run = attrs.evolve(recipe.run, seed=seed, name=name, threads=recipe.run.threads or 1)
    loaded = attrs.evolve(loaded, recipe=attrs.evolve(recipe, run=run), name=name)
    return Trial(digest(loaded.plain())[:ID_LENGTH], label, seed, loaded)
