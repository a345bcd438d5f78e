"""Where Ray is not installed, its executor alone is missing."""

from __future__ import annotations

import sys

import pytest

from ganlab.errors import GanlabError
from ganlab_executors.components import Ray


def test_without_ray_its_executor_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ganlab_executors.ray", raising=False)
    with pytest.raises(GanlabError, match=r"the executor 'ray' needs Ray \(.*\): pip install 'ganlab\[ray\]'"):
        Ray(address="there:1").build()
