"""The names of a new plugin: which are allowed, and what follows from them."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, version

from ganlab import interfaces
from ganlab.errors import GanlabError

LONGEST = 30
"""Characters the name of a distribution may have, so that no line of the project gets too long."""
LONGEST_COMPONENT = 24
"""Characters the name of a component may have that is not the default."""
IMPORTED = frozenset({"attr", "attrs", "click", "numpy", "pytest", "recipes", "tests", "torch"})
"""What the project's own files import, or have beside the package."""
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_COMPONENT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def package_name(distribution: str) -> str:
    """The package of a distribution: `acme_gan` for `acme-gan`. Raises `GanlabError` for a name that cannot be one."""
    if not _DISTRIBUTION.fullmatch(distribution):
        raise GanlabError(
            f"'{distribution}' cannot name a distribution; use letters, digits, '-', '_' and '.', such as acme-gan"
        )
    if len(distribution) > LONGEST:
        raise GanlabError(f"'{distribution}' is too long; expected at most {LONGEST} characters")
    package = re.sub(r"[-_.]+", "_", distribution).lower()
    if package.startswith("ganlab"):
        raise GanlabError(
            f"'{distribution}': names that begin with ganlab are its own; choose another, such as acme-gan"
        )
    if not package.isidentifier():
        raise GanlabError(f"'{distribution}' would be the package '{package}', which cannot begin with a digit")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names:
        raise GanlabError(f"'{distribution}' would be the package '{package}', which is a word of Python's own")
    if package in IMPORTED:
        raise GanlabError(f"'{distribution}' would be the package '{package}', which the plugin's own files need")
    return package


def prefix(package: str) -> str:
    """What the components' names begin with by default: `acme` for `acme_gan`."""
    return (package.removesuffix("_gan") or package).strip("_").replace("_", "-")


def class_name(component: str) -> str:
    """`SoftMargin` for `soft-margin`. Raises `GanlabError` for a name that no component can have."""
    if not _COMPONENT.fullmatch(component):
        raise GanlabError(
            f"'{component}' cannot name a component; use lower-case letters, digits and single dashes, "
            "such as soft-margin"
        )
    if len(component) > LONGEST_COMPONENT:
        raise GanlabError(f"'{component}' is too long; expected at most {LONGEST_COMPONENT} characters")
    name = "".join(word.capitalize() for word in component.split("-"))
    if hasattr(interfaces, name) or name in ("Tensor", "Path"):
        raise GanlabError(
            f"'{component}' would be the class {name}, which is taken; say more, such as soft-{component}"
        )
    return name


def taken(distribution: str, package: str) -> str | None:
    """What is installed under these names already, in words, or None."""
    try:
        return f"a distribution called {distribution} is installed already ({version(distribution)})"
    except PackageNotFoundError:
        return f"a package called {package} is installed already" if importlib.util.find_spec(package) else None
