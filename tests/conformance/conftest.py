"""What takes longer than a few seconds is marked slow: only CI runs it."""

from __future__ import annotations

import pytest

SLOW = {
    ("executor", "ray"),
    *(("metric", name) for name in ("frechet-distance", "inception-score", "kid", "mnist-modes", "precision-recall")),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases of components that need a cluster, or train a network of their own."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        case = None if callspec is None else callspec.params.get("conformance_case")
        if case is not None and (case.kind, case.name) in SLOW and not case.contract.of_class:
            item.add_marker(pytest.mark.slow)
