"""Whose code an unexpected exception comes from, so that the author of a plugin is shown the own line and not ours."""

from __future__ import annotations

import traceback

import attrs

from ganlab.discovery import FILE_MODULE, modules_of_plugins


@attrs.frozen
class Culprit:
    """The last line of a plugin that an exception went through."""

    plugin: str
    """`acme-gan 0.3`, or the file that was given by `--plugin`."""
    place: str
    """`FILE:LINE (in FUNCTION)`."""
    calls_ganlab: bool
    """Whether it was in a function of ganlab, which the plugin called, that the exception was raised."""


def culprit(error: BaseException) -> Culprit | None:
    """The deepest frame of `error`, or of what it was raised from, that lies in somebody's plugin; None without one."""
    plugins = modules_of_plugins()
    found, seen = None, set()
    cause: BaseException | None = error
    while found is None and cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        for frame, line in traceback.walk_tb(cause.__traceback__):
            module = str(frame.f_globals.get("__name__", ""))
            package = module.partition(".")[0]
            code = frame.f_code
            if module.startswith(FILE_MODULE) or package in plugins:
                plugin = plugins.get(package, code.co_filename)
                found = Culprit(plugin, f"{code.co_filename}:{line} (in {code.co_qualname})", calls_ganlab=False)
            elif found is not None and package.partition("_")[0] == "ganlab":
                found = attrs.evolve(found, calls_ganlab=True)
        cause = cause.__cause__
    return found
