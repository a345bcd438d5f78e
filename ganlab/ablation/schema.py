"""The `[ablation]` table: what is varied, over which seeds, and what decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from ganlab.interfaces import Executor
from ganlab.parameters import component, parameter


def _label(value: str) -> None:
    if not value.strip() or len(value) > 60 or not value.isprintable():
        raise ValueError("expected a label of 1 to 60 printable characters")


def _seeds(value: tuple[int, ...]) -> None:
    if not value:
        raise ValueError("expected at least one seed such as [0, 1, 2]")
    if any(seed < 0 for seed in value):
        raise ValueError(f"expected seeds of 0 and more, got {min(value)}")
    twice = sorted({seed for seed in value if value.count(seed) > 1})
    if twice:
        raise ValueError(f"seed {twice[0]} stands there twice; every seed once")


def _decide(value: tuple[str, ...]) -> None:
    if not value:
        raise ValueError('expected names of the journal such as ["metric/swd/mean"]')


def _name(value: str) -> None:
    if not re.fullmatch(r"[\w][\w.+-]*", value):
        raise ValueError(f"'{value}' cannot name a folder; use letters, digits, '-', '_' and '.'")


@attrs.frozen
class VariantTable:
    """`[[ablation.variant]]`: one variant as its differences."""

    label: str = parameter(check=_label, help="what it is called in tables, figures and folders")
    after: str | None = parameter(None, help="label of the variant it adds to; by default the base recipe")
    set: Mapping[str, Any] = parameter({}, help="recipe tables that are merged over that")
    note: str = parameter("", help="a sentence for the report")
    published: Mapping[str, float] = parameter(
        {}, help="published values by journal name, printed beside the measured ones"
    )


@attrs.frozen
class AblationTable:
    """`[ablation]`, checked."""

    name: str | None = parameter(
        None, check=_name, help="name of its folder under runs/ and of its MLflow experiment; default: the file's"
    )
    question: str = parameter("", help="what it is to answer, in a sentence; heads the report")
    note: str = parameter("", help="what it can and cannot say; stands in the report beside published values")
    seeds: tuple[int, ...] = parameter((0, 1, 2), check=_seeds, help="every variant is trained with each")
    vary: Mapping[str, Any] = parameter(
        {}, help="axes: key of the recipe to a list of values, or to a table of labels and values; all combinations"
    )
    variant: tuple[VariantTable, ...] = parameter((), help="variants one by one, instead of `vary`")
    adjust: Mapping[str, Any] = parameter(
        {}, help="recipe tables by the label of a variant, merged over what it sets; for [scales.NAME.ablation]"
    )
    baseline: str | None = parameter(None, help="label of the variant to compare with; by default the first")
    decide: tuple[str, ...] = parameter(
        ("metric/swd/mean",), check=_decide, help="journal names of the values compared; the first one decides"
    )
    executor: Executor = component("executor", "local", help="where and how many at once")

    def __attrs_post_init__(self) -> None:
        if bool(self.vary) == bool(self.variant):
            both = "both are there" if self.vary else "neither is there"
            raise ValueError(f"vary: expected either [ablation.vary] or [[ablation.variant]]; {both}")
