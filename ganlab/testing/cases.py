"""Every contract of every component, as a list of cases to be run one by one, or of one component all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ganlab.discovery import no_plugin
from ganlab.errors import ComponentNotFound, PluginError
from ganlab.interfaces import KINDS
from ganlab.plugins import Catalog, load_plugins
from ganlab.registry import Entry, canonical, suggestion
from ganlab.testing.contract import Broken, ConformanceError, Contract, NotApplicable, while_doing
from ganlab.testing.described import loads
from ganlab.testing.raised import found_in, where_to_look
from ganlab.testing.subject import Subject, Table, shown
from ganlab.testing.suites import contracts


@attrs.frozen
class Case:
    """One contract of one component."""

    subject: Subject
    contract: Contract

    @property
    def kind(self) -> str:
        """Kind of the component."""
        return self.subject.entry.kind

    @property
    def name(self) -> str:
        """Name of the component, without its distribution."""
        return self.subject.entry.name

    @property
    def id(self) -> str:
        """Names a test: `loss-hinge-second-order-gradients`."""
        return f"{self.kind}-{self.name}-{self.contract.key}"

    def __str__(self) -> str:
        return f"{self.kind} {self.subject.entry.qualified_name}: {self.contract.title}"

    def check(self) -> None:
        """Raises `ConformanceError` where the contract is broken, `NotApplicable` where it says nothing here."""
        __tracebackhide__ = True  # the message says all that pytest should show
        try:
            self._check()
        except NotApplicable as error:
            raise NotApplicable(f"{self}: {error}") from None
        except Broken as error:
            package = _package(self.subject)
            raise ConformanceError(f"{self}: {found_in(error, package)}\n  fix: {self._fix(error, package)}") from None

    def _fix(self, error: Broken, package: str) -> str:
        """The remedy; for what was raised the place, as the contract's own is about what is computed wrongly."""
        if error.error is None:
            return error.remedy or self.contract.remedy
        more = f"what often helps: {error.remedy}" if error.remedy else f"what must hold: {self.contract.promise}"
        return f"{where_to_look(error.error, package)}\n  {more}"

    def _check(self) -> None:
        if self.contract.title != "loads":
            _made_possible(self.subject, self.contract)
        if self.contract.of_class:
            _run(self.contract, self.subject)
            return
        skipped, checked = [], 0
        for table in self.subject.computed():
            try:
                with while_doing(shown(table)):
                    component = _made(self.subject, table)
                    try:
                        _run(self.contract, component)
                    except Broken as error:
                        if error.error is not None:
                            self._told_elsewhere(component)
                        raise
                checked += 1
            except NotApplicable as error:
                skipped.append(str(error))
        if not checked:
            raise NotApplicable(skipped[0])

    def _told_elsewhere(self, component: Any) -> None:
        """What cannot be built or called breaks one contract, the first that does so, and not all of them."""
        first = _first(self.kind)
        if self.contract == first:
            return
        try:
            _run(first, component)
        except Broken as error:
            what = "an error" if error.error is None else type(error.error).__name__
            raise NotApplicable(f"it fails with {what} in '{first.title}' already, and is reported there") from None
        except NotApplicable:
            return


def _run(contract: Contract, given: Any) -> None:
    """Check it; what the component raises is a breach."""
    try:
        contract.check(given)
    except (Broken, NotApplicable):
        raise
    except Exception as error:
        raise Broken("", error=error) from None


def _first(kind: str) -> Contract:
    """The contract of a kind that is the first to build and call what is tested."""
    return next(contract for contract in contracts(kind) if not contract.of_class)


def _package(subject: Subject) -> str:
    """The top-level package, or module, that the component's class is from."""
    try:
        return subject.cls.__module__.partition(".")[0]
    except Broken:
        return ""


def _made_possible(subject: Subject, contract: Contract) -> None:
    """What cannot be loaded, or has no `build`, breaks one contract, not all of them."""
    try:
        if contract.of_class:
            _ = subject.cls
        else:
            loads(subject)
    except Broken as error:
        raise NotApplicable(f"it cannot be loaded: {error}") from None


def _made(subject: Subject, table: Table) -> Any:
    """The component; that it cannot be made is told by the contract "defaults" alone."""
    try:
        return subject.create(table)
    except Broken as error:
        raise NotApplicable(f"it cannot be made: {error}") from None


def cases(
    plugin: str | None = None, *, kind: str | None = None, name: str | None = None, catalog: Catalog | None = None
) -> list[Case]:
    """One case for each contract of each component that a distribution or plugin registers; None means all of them.

    `plugin` is "acme-gan", or "acme-gan:losses" for one of its entry points. `catalog` is by default all that is
    installed. Raises `PluginError` for one that is not there or broken, `ComponentNotFound` where nothing has `name`.
    """
    catalog = load_plugins() if catalog is None else catalog
    found = [entry for each in _kinds(catalog, kind) for entry in catalog.registry(each).entries()]
    if plugin is not None:
        wanted = _plugins(catalog, plugin)
        found = [entry for entry in found if entry.plugin in wanted]
    if name is not None:
        known = sorted({entry.name for entry in found})
        found = [entry for entry in found if name in (entry.name, entry.qualified_name, *entry.aliases)]
        if not found:
            raise ComponentNotFound(f"no component is called '{name}'{suggestion(name, known)}")
    return [Case(Subject(catalog, entry), contract) for entry in found for contract in contracts(entry.kind)]


def check(kind: str, name: str, *, catalog: Catalog | None = None, **parameters: Any) -> None:
    """Check one component against all contracts of its kind, with `parameters` where there are some.

    Raises one `ConformanceError` that lists every broken contract, and `NotApplicable` where none could be checked.
    """
    __tracebackhide__ = True
    catalog = load_plugins() if catalog is None else catalog
    entry: Entry = catalog.registry(kind).entry(name)
    given: Mapping[str, Any] | None = parameters or None
    broken, skipped, kept = [], [], 0
    for contract in contracts(kind):
        try:
            Case(Subject(catalog, entry, given), contract).check()
            kept += 1
        except ConformanceError as error:
            broken.append(str(error))
        except NotApplicable as error:
            skipped.append(str(error))
    if broken:
        count = f"{len(broken)} contract{'s' if len(broken) > 1 else ''}"
        raise ConformanceError(f"{kind} {entry.qualified_name} breaks {count}:\n" + "\n".join(broken))
    if not kept:
        raise NotApplicable("\n".join(skipped))


def _kinds(catalog: Catalog, kind: str | None) -> list[str]:
    if kind is not None:
        catalog.registry(kind)  # raises for one that is unknown
        return [kind]
    return list(KINDS)


def _plugins(catalog: Catalog, wanted: str) -> set[str]:
    """Names of the plugins that a distribution or one plugin's name stands for."""
    distribution, colon, entry_point = wanted.partition(":")
    names = {canonical(distribution) + colon + entry_point, wanted}
    matching = [plugin for plugin in catalog.plugins if names & {plugin.name, plugin.distribution}]
    if not matching:
        if without := no_plugin(distribution):
            raise PluginError(without)
        known = sorted({plugin.distribution for plugin in catalog.plugins})
        raise PluginError(f"no plugin '{wanted}' is installed{suggestion(wanted, known)}; run: pip install -e .")
    broken = [plugin for plugin in matching if plugin.status != "ok"]
    if broken:
        raise PluginError(f"plugin {broken[0].name} is {broken[0].status}: {broken[0].reason}")
    return {plugin.name for plugin in matching}
