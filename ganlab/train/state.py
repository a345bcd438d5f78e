"""Saving and restoring all that a training is: one safetensors file a checkpoint, exact to the last bit.

Tensors are stored by name and everything else as JSON in the file's header; nothing is pickled, so loading cannot run
code. A checkpoint is written under a temporary name and renamed, so the last good one survives a crash at any instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from ganlab.errors import RunError
from ganlab.train.events import Position
from ganlab.train.players import Players
from ganlab.train.scaling import LossScale
from ganlab.train.tally import Tally
from ganlab.train.tensors import read_header, read_tensors, write_tensors

FORMAT = "ganlab-checkpoint/1"
_NAME = re.compile(r"checkpoint-(\d{9,})\.safetensors")


@attrs.frozen
class TrainingState:
    """The live objects of a training; capturing reads them and restoring writes into them."""

    players: Players
    optimizers: Mapping[str, torch.optim.Optimizer]
    tally: Tally
    scaling: Mapping[str, LossScale] = attrs.field(factory=dict)


def save_checkpoint(
    folder: Path, state: TrainingState, position: Position, facts: Mapping[str, Any], keep: int
) -> Path:
    """Write `checkpoint-<images shown>.safetensors` and remove all but the newest `keep`. Raises `RunError`."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {"format": FORMAT, "position": attrs.asdict(position), "facts": dict(facts)}
    for name, module in state.players.modules().items():
        tensors.update({f"{name}/{key}": value for key, value in module.state_dict().items()})
    plain["optimizers"] = {}
    for name, optimizer in state.optimizers.items():
        inner, plain["optimizers"][name] = _optimizer_parts(optimizer)
        tensors.update({f"optimizer/{name}/{key}": value for key, value in inner.items()})
    tensors.update({f"tally/{key}": value for key, value in state.tally.tensors().items()})
    plain["tally"] = state.tally.counts
    for name, scale in state.scaling.items():
        tensors.update({f"scaling/{name}/{key}": value for key, value in scale.tensors().items()})
    path = folder / f"checkpoint-{position.images_shown:09d}.safetensors"
    write_tensors(path, tensors, plain)
    for old in checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    found = [(int(match.group(1)), path) for path in folder.glob("*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def restore_checkpoint(path: Path, state: TrainingState) -> Position:
    """Write a checkpoint into the live objects, bit for bit, and return its position. Raises `RunError`."""
    plain = read_header(path, FORMAT)
    tensors = read_tensors(path)
    for name, module in state.players.modules().items():
        own = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            raise RunError(f"{path} does not fit the recipe's {name}: {str(error).splitlines()[-1].strip()}") from error
    for name, optimizer in state.optimizers.items():
        prefix = f"optimizer/{name}/"
        inner = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        _restore_optimizer(optimizer, inner, plain["optimizers"][name])
    sums = {key.removeprefix("tally/"): value for key, value in tensors.items() if key.startswith("tally/")}
    state.tally.restore(sums, plain["tally"])
    for name, scale in state.scaling.items():
        scale.restore({key: tensors[f"scaling/{name}/{key}"] for key in scale.tensors()})
    return Position(**plain["position"])


def _optimizer_parts(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state as tensors by `parameter/key` and the rest as plain data."""
    content = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Any]] = {}
    for parameter, entries in content["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{parameter}/{key}"] = value
            else:
                numbers.setdefault(str(parameter), {})[key] = value
    return tensors, {"groups": content["param_groups"], "numbers": numbers}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        parameter, _, key = name.partition("/")
        state.setdefault(int(parameter), {})[key] = value
    for parameter, entries in plain["numbers"].items():
        state.setdefault(int(parameter), {}).update(entries)
    groups = [
        {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
        for group in plain["groups"]
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for owner, entries in optimizer.state.items():
        for key, value in entries.items():
            if isinstance(value, Tensor) and value.shape == owner.shape:
                entries[key] = torch.empty_like(owner).copy_(value)  # fused kernels need the parameter's strides
