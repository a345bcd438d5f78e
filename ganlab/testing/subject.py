"""The component under test, and the parameters with which it is tested."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ganlab.components import DeprecatedComponent
from ganlab.errors import GanlabError
from ganlab.plugins import Catalog
from ganlab.registry import Entry
from ganlab.testing.contract import Broken, NotApplicable

Table = Mapping[str, Any]


@attrs.frozen
class Subject:
    """A registered component. `given` are parameters that somebody wants it tested with, and nothing else."""

    catalog: Catalog
    entry: Entry
    given: Table | None = None

    @property
    def cls(self) -> type:
        """Its class. Raises `Broken` where it cannot be loaded."""
        try:
            return self.entry.load()
        except GanlabError as error:
            raise Broken(str(error)) from None

    @property
    def examples(self) -> Sequence[Table] | None:
        """The class variable `examples`, None where there is none."""
        cls = self.cls
        if "examples" in {attribute.name for attribute in attrs.fields(cls)}:
            return None  # a parameter of that name
        found = getattr(cls, "examples", None)
        if found is None:
            return None
        if isinstance(found, (str, Mapping)) or not all(isinstance(table, Mapping) for table in found):
            raise Broken(
                f"its class variable `examples` is {found!r}", "make it a tuple of tables, each as a recipe writes it"
            )
        return tuple(found)

    @property
    def required(self) -> list[str]:
        """Parameters without a default."""
        return [attribute.name for attribute in attrs.fields(self.cls) if attribute.default is attrs.NOTHING]

    def described(self) -> list[Table]:
        """Every table it is created from: what was given, or the defaults and the examples."""
        if self.given is not None:
            return [self.given]
        examples = list(self.examples or ())
        return examples if self.required else [{}, *(table for table in examples if table)]

    def computed(self) -> list[Table]:
        """The tables with which it computes: what was given, or the examples, or where there are none the defaults.

        Raises `NotApplicable` where there is neither.
        """
        if self.given is not None:
            return [self.given]
        examples = self.examples
        if examples:
            return list(examples)
        if self.required:
            missing = ", ".join(self.required)
            raise NotApplicable(f"no default for {missing}, and no `examples` in the class to compute with")
        return [{}]

    def create(self, table: Table) -> Any:
        """The component, made as from a recipe. Raises `Broken` with what a recipe's author would be told."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecatedComponent)
                return self.catalog.create(self.entry.kind, self.entry.qualified_name, **table)
        except GanlabError as error:
            raise Broken(str(error).replace("\n", "; ")) from None


def shown(table: Table) -> str:
    """As in "with width = 3, mode = 'a'"; nothing for defaults."""
    return "with " + ", ".join(f"{key} = {value!r}" for key, value in table.items()) if table else ""
