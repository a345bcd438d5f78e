"""What a contract is, and how its breach is told: what was found, by which component, and what to do."""

from __future__ import annotations

import contextlib
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from ganlab.errors import GanlabError


class ConformanceError(AssertionError):
    """A component breaks a contract. Its text names both, says what was found, and what to fix."""


class NotApplicable(unittest.SkipTest):
    """A contract says nothing about this component, or cannot be checked here; pytest and unittest skip the test."""


class Broken(Exception):
    """What a check found to be wrong; `Case.check` adds to it whose fault it is, and the remedy.

    `error` is what the component raised, where that is what was found.
    """

    def __init__(self, found: str, remedy: str = "", error: Exception | None = None) -> None:
        super().__init__(found)
        self.remedy = remedy
        self.error = error


@attrs.frozen
class Contract:
    """One thing that components of a kind promise."""

    title: str
    """A few words, such as "second-order gradients"."""
    promise: str
    """What must hold, for the table in docs/testing.md."""
    remedy: str
    """What to do where it does not hold."""
    check: Callable[[Any], None]
    """Given the component, or with `of_class` the `Subject`; raises `Broken` or `NotApplicable`."""
    of_class: bool = False
    """Whether it is about the class rather than about what a component with certain parameters builds."""

    @property
    def key(self) -> str:
        """The title as part of a test's id."""
        return self.title.replace(" ", "-")


def expect(holds: bool, found: str, remedy: str = "") -> None:
    """Raise `Broken` unless `holds`; `remedy` replaces the contract's where more can be said."""
    __tracebackhide__ = True
    if not holds:
        raise Broken(found, remedy)


@contextlib.contextmanager
def while_doing(what: str) -> Iterator[None]:
    """Put before what is found or raised within: "with width = 3"."""
    __tracebackhide__ = True
    try:
        yield
    except Broken as error:
        raise Broken(": ".join(filter(None, (what, str(error)))), error.remedy, error.error) from None
    except NotApplicable as error:
        raise NotApplicable(f"{what}: {error}" if what else str(error)) from None
    except Exception as error:
        raise Broken(what, error=error) from None


@contextlib.contextmanager
def building(what: str = "build()") -> Iterator[None]:
    """A `GanlabError` in here says that something is missing that the component needs, which is no fault of its own."""
    try:
        yield
    except GanlabError as error:
        raise NotApplicable(f"{what} says: {error}") from None
