"""The variants of an ablation: a label each, and the documents that are merged over the base recipe."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from ganlab.ablation.schema import AblationTable
from ganlab.problems import Problem, Problems
from ganlab.recipe.document import Document
from ganlab.recipe.parts import part, placed
from ganlab.registry import suggestion
from ganlab.values import shown

MOST_VARIANTS = 1000


@attrs.frozen
class Variant:
    """One thing to train, with every seed."""

    label: str
    documents: tuple[Document, ...]
    """Merged over the base recipe in this order."""
    values: Mapping[str, str] = attrs.field(factory=dict)
    """Axis to the label of its value."""
    after: str | None = None
    note: str = ""
    published: Mapping[str, float] = attrs.field(factory=dict)


def variants_of(table: AblationTable, document: Document) -> list[Variant]:
    """The variants that the `[ablation]` of `document` describes. Raises `Problems` with paths from `ablation` on."""
    made = _grid(table, document) if table.vary else _listed(table, document)
    labels = [variant.label for variant in made]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise Problems([Problem(_place(table), f"two variants are called '{twice}'; give each a label of its own")])
    problems = [
        Problem(("adjust", label), f"there is no variant of this label{suggestion(label, labels)}")
        for label in table.adjust
        if label not in labels
    ]
    if table.baseline is not None and table.baseline not in labels:
        known = ", ".join(labels)
        text = f"no variant is called '{table.baseline}'{suggestion(table.baseline, labels)} (known: {known})"
        problems.append(Problem(("baseline",), text))
    problems += [
        Problem(("adjust", label), f"expected recipe tables, got {shown(value)}")
        for label, value in table.adjust.items()
        if not isinstance(value, Mapping)
    ]
    if problems:
        raise Problems(problems)
    return made


def _place(table: AblationTable) -> tuple[str]:
    return ("vary",) if table.vary else ("variant",)


# -- a grid ------------------------------------------------------------------------------------------------------------


def _grid(table: AblationTable, document: Document) -> list[Variant]:
    axes = dict(_axes(table.vary, ()))
    problems = [problem for key, axis in axes.items() for problem in _wrong_axis(key, axis, document)]
    if problems:
        raise Problems(problems)
    if not axes:
        raise Problems([Problem(("vary",), 'expected an axis such as "discriminator.stddev" = ["all", "none"]')])
    values = {key: list(_labelled(key, axis, document)) for key, axis in axes.items()}
    count = 1
    for listed in values.values():
        count *= len(listed)
    if count > MOST_VARIANTS:
        raise Problems([Problem(("vary",), f"these axes make {count:,} variants; at most {MOST_VARIANTS}")])
    made = []
    for chosen in itertools.product(*values.values()):
        label = ", ".join(label for label, _ in chosen)
        documents = [inner for _, inner in chosen]
        adjusted = _adjustment(table, document, label)
        named = {".".join(axis[1:]): label for axis, (label, _) in zip(axes, chosen, strict=True)}
        made.append(Variant(label, (*documents, *adjusted), named))
    return made


def _axes(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path under `vary`, as written, to the list or labelled table of each axis. A bare dotted key is nested tables."""
    for key, value in table.items():
        nested = isinstance(value, Mapping) and "." not in key and _leads_to_list(value)
        if nested:
            yield from _axes(value, (*path, key))
        else:
            yield ("vary", *path, key), value


def _leads_to_list(value: Any) -> bool:
    """Whether `{stddev: {averaging: [...]}}`: a table of one key that ends in a list, which is no labelled axis."""
    while isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    return isinstance(value, list)


def _target(axis: Sequence[str]) -> list[str]:
    return [step for key in axis[1:] for step in key.split(".")]


def _wrong_axis(axis: tuple[str, ...], value: Any, document: Document) -> Iterator[Problem]:
    target = _target(axis)
    if not isinstance(value, (list, Mapping)) or not value:
        yield Problem(axis, f"expected a list of values, or a table of labels and values, got {shown(value)}")
    elif target[0] == "ablation" or not all(target):
        yield Problem(axis, "expected the key of a recipe such as discriminator.stddev.averaging")
    elif target == ["run", "seed"]:
        yield Problem(axis, "seeds are no axis; set ablation.seeds")
    elif any(isinstance(document.at(tuple(target[:length])), list) for length in range(1, len(target))):
        yield Problem(axis, "an axis cannot reach into a list; vary the whole list")


def _labelled(axis: tuple[str, ...], values: Any, document: Document) -> Iterator[tuple[str, Document]]:
    target = _target(axis)
    keys: Sequence[Any] = list(values) if isinstance(values, Mapping) else range(len(values))
    for key in keys:
        label = key if isinstance(values, Mapping) else _label_of(values[key])
        yield label, placed(document, ("ablation", *axis, key), target)


def _label_of(value: Any) -> str:
    """`spatial`, `8`, `minibatch-stddev averaging=spatial`."""
    if isinstance(value, Mapping):
        name = [str(value["name"])] if "name" in value else []
        return " ".join([*name, *(f"{key}={_label_of(inner)}" for key, inner in value.items() if key != "name")])
    if isinstance(value, list):
        return " ".join(map(_label_of, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- a list ------------------------------------------------------------------------------------------------------------


def _listed(table: AblationTable, document: Document) -> list[Variant]:
    numbers = {variant.label: number for number, variant in enumerate(table.variant)}
    made = []
    for number, variant in enumerate(table.variant):
        documents: list[Document] = []
        for label in _chain(table, numbers, number):
            at = ("ablation", "variant", numbers[label], "set")
            documents += [part(document, at)] if document.at(at) else []
            documents += _adjustment(table, document, label)
        made.append(
            Variant(
                label=variant.label,
                documents=tuple(documents),
                after=variant.after,
                note=variant.note,
                published=variant.published,
            )
        )
    return made


def _chain(table: AblationTable, numbers: Mapping[str, int], number: int) -> list[str]:
    """The labels from the first variant that this one builds on to itself."""
    chain = [table.variant[number].label]
    while (after := table.variant[numbers[chain[0]]].after) is not None:
        place = ("variant", numbers[chain[0]], "after")
        if after not in numbers:
            known = ", ".join(numbers)
            text = f"no variant is called '{after}'{suggestion(after, list(numbers))} (known: {known})"
            raise Problems([Problem(place, text)])
        if after in chain:
            raise Problems([Problem(place, f"'{after}' is built on this variant itself; take one `after` out")])
        chain.insert(0, after)
    return chain


def _adjustment(table: AblationTable, document: Document, label: str) -> list[Document]:
    return [part(document, ("ablation", "adjust", label))] if label in table.adjust else []
