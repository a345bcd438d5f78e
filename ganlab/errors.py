"""Every way a user can be wrong or unlucky, so that the command line can say it in one line and exit.

Code raises these for people and `assert` for programmers. A command ends with exit code 2 for a `GanlabError`.
"""

from __future__ import annotations

from collections.abc import Iterable


class GanlabError(Exception):
    """Something a person can put right; its text says what is wrong and what to do."""


class RecipeError(GanlabError):
    """All the problems of one recipe, one line each: `file:line: key: what; remedy`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class ComponentNotFound(GanlabError):
    """No component, or more than one, answers to a name."""


class PluginError(GanlabError):
    """A plugin is missing, or could not be loaded, and something needs it."""


class DataError(GanlabError):
    """A data set, a shard or an image cannot be read or does not fit."""


class RunError(GanlabError):
    """A run folder cannot be used as asked (it is finished, busy, of another recipe or damaged)."""


class TrainingFailed(GanlabError):
    """Training cannot go on: a loss is no longer finite, or a level does not fit in memory."""
