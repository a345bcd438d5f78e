"""A bench for experiments on generative adversarial networks; see README.md.

The names here are the public ones. Importing ganlab imports neither torch nor mlflow.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ganlab.errors import GanlabError
from ganlab.hookspecs import hookimpl
from ganlab.interfaces import ImageShape, Register, Stage
from ganlab.parameters import REQUIRED, component, parameter

if TYPE_CHECKING:
    from ganlab.modules import AdversarialLossBase, SystemBase
    from ganlab.plugins import Catalog, load_plugins
    from ganlab.recipe import load_recipe

try:
    __version__ = version("ganlab")
except PackageNotFoundError:  # a source tree on the path that was never installed
    __version__ = "0+unknown"

__all__ = [
    "REQUIRED",
    "AdversarialLossBase",
    "Catalog",
    "GanlabError",
    "ImageShape",
    "Register",
    "Stage",
    "SystemBase",
    "__version__",
    "component",
    "hookimpl",
    "load_plugins",
    "load_recipe",
    "parameter",
]


def __getattr__(name: str) -> Any:
    """The names that cost something to import, imported when first asked for."""
    homes = {
        "AdversarialLossBase": "ganlab.modules",
        "Catalog": "ganlab.plugins",
        "SystemBase": "ganlab.modules",
        "load_plugins": "ganlab.plugins",
        "load_recipe": "ganlab.recipe",
    }
    if name in homes:
        return getattr(import_module(homes[name]), name)
    raise AttributeError(f"module 'ganlab' has no attribute {name!r}")
