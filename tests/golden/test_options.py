"""Every option that claims equal numbers meets the authors' numbers within the same tolerances as the plain way.

Low precisions claim no equality: they come as near as their rounding lets them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from . import golden, options
from .test_golden import MANIFEST, checker


def full_resolution(entry: Mapping[str, Any]) -> int:
    resolution: int = entry["config"].get("network", entry["config"].get("common"))["resolution"]
    return resolution


def has_penalty(entry: Mapping[str, Any]) -> bool:
    losses = [loss["type"] for _, loss in entry["config"].get("losses", ())]
    return entry["kind"] in ("B_loss", "F_train_trace") or "iwass" in losses


def has_fused_scaling(entry: Mapping[str, Any]) -> bool:
    return any(settings.get("fused_scale") for settings in entry["config"].values() if isinstance(settings, Mapping))


APPLIES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "channels-last": lambda entry: True,
    "other-scaling": lambda entry: full_resolution(entry) > 4,
    "func-grad": has_penalty,
    "weight-products": has_penalty,
    "weight-convolutions": has_penalty,
    "winograd": lambda entry: True,
    "sums-of-pixels": has_fused_scaling,
    "lanes": lambda entry: entry["kind"] == "F_train_trace",
    "replays": lambda entry: entry["kind"] == "F_train_trace",
}
FILES = {name: entry for name, entry in MANIFEST["files"].items() if entry["kind"] in options.NETWORK_KINDS}
CASES = [(option, name) for option, applies in APPLIES.items() for name, entry in FILES.items() if applies(entry)]
WITH_LOSSES = [name for name, entry in FILES.items() if has_penalty(entry) and entry["kind"] != "F_train_trace"]


def test_every_option_has_files() -> None:
    assert {option for option, _ in CASES} == set(options.EQUAL)


@pytest.mark.parametrize(("option", "file_name"), CASES)
def test_an_option_meets_the_authors_numbers(option: str, file_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden.Case(file_name, FILES[file_name])
    used = options.EQUAL[option](monkeypatch)
    checker(case.kind)(case)
    assert used, f"{file_name}: nothing went through {option}"
    assert case.unread() == []


@pytest.mark.slow
def test_the_compiled_loss_meets_the_authors_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    case = golden.Case("loss01_r8_nolabels.npz", FILES["loss01_r8_nolabels.npz"])
    used = options.compiled(monkeypatch)
    checker(case.kind)(case)
    assert used


ROUNDING = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
OWN_GRADIENT = re.compile(r"Dloss\.grad\.D/|Gloss\.grad\.G/|loss[0-9]+\.grad\.[DG]/")
"""Gradients of a player's own loss with respect to its own weights."""


class Near(golden.Case):
    """A golden file whose numbers are to be approached: keeps what was found in place of failing."""

    def __init__(self, file_name: str) -> None:
        super().__init__(file_name, FILES[file_name])
        self.found: dict[str, golden.Array] = {}

    def expect(self, key: str, actual: Any, role: str = "output", *, atol: float | None = None) -> None:
        """Keep `actual` by its key."""
        value = actual.detach().numpy() if hasattr(actual, "detach") else np.asarray(actual)
        assert value.shape == self[key].shape
        self.found[key] = value

    def together(self, prefix: str) -> tuple[golden.Array, golden.Array]:
        """(ours, the authors') of all keys that start with `prefix`, in one row."""
        keys = [key for key in self.found if key.startswith(prefix)]
        return tuple(np.concatenate([part[key].ravel() for key in keys]) for part in (self.found, self))  # type: ignore[return-value]  # of two


@pytest.mark.parametrize("file_name", WITH_LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_low_precision_comes_near(dtype: torch.dtype, file_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Near(file_name)
    used = options.computing_in(dtype)(monkeypatch)
    checker(case.kind)(case)
    assert used
    rounding = ROUNDING[dtype]
    losses = [key for key in case.found if key.endswith(("loss.mean", "_loss"))]
    gradients = [key.split("/")[0] for key in case.found if OWN_GRADIENT.match(key)]
    assert len(set(gradients)) == len(losses) > 0
    for key in losses:
        # Penalties jump where a rectifier's input changes its sign, so a loss may be off by several roundings.
        assert case.found[key] == pytest.approx(case[key], rel=8 * rounding, abs=8 * rounding), key
    for prefix in set(gradients):
        ours, theirs = case.together(f"{prefix}/")
        lengths = np.linalg.norm(ours), np.linalg.norm(theirs)
        # The gradients of a generator go through both networks, and these are 6 to 8 features wide.
        furthest = 12 if prefix.endswith("G") else 1
        assert ours @ theirs > (1 - furthest * rounding) * lengths[0] * lengths[1], prefix
        assert lengths[0] == pytest.approx(lengths[1], rel=32 * rounding), prefix
