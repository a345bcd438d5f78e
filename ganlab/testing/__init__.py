"""Conformance suites: what every component must do, checked for anybody's as for ours; see docs/testing.md.

`cases("acme-gan")` lists one case for each contract of each component of a distribution, `check("loss", "hinge")` runs
those of one. The pytest plugin is `ganlab.testing.fixtures`. Importing this imports neither torch nor mlflow.
"""

from ganlab.testing.cases import Case, cases, check
from ganlab.testing.contract import ConformanceError, NotApplicable

__all__ = ["Case", "ConformanceError", "NotApplicable", "cases", "check"]
