"""Contracts about a forward of what computes in a training step: pure, repeatable, compiled, anywhere, saved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ganlab.testing.contract import Broken, NotApplicable, expect
from ganlab.testing.raised import told
from ganlab.testing.randomness import no_draws
from ganlab.testing.tensors import (
    addresses,
    autocast_on_meta,
    changed,
    far,
    in_place,
    normal,
    on_meta,
    same_twice,
    state_of,
)
from ganlab.testing.use import Use, leaves

DEVICES = "make tensors on the device of what is given (device=x.device, x.new_zeros, or a buffer), and use no .item()"


def unchanged(use: Use) -> None:
    """Inputs and state are as before."""
    thing = use.fresh()
    inputs = {name: value.clone() for name, value in use.inputs.items()}
    with torch.no_grad():
        use.call(thing, inputs)
    altered = changed(use.inputs, inputs)
    expect(not altered, f"a forward changes its input in place: {', '.join(altered)}")
    if isinstance(thing, nn.Module) and not any(getattr(part, "changes_in_forward", False) for part in thing.modules()):
        before = state_of(thing)
        with torch.no_grad():
            use.call(thing, use.inputs)
        altered = changed(before, state_of(thing))
        expect(
            not altered,
            f"a forward changes its own state: {', '.join(altered)}",
            "change state in observe(), refresh() or before_update(), or say so by `changes_in_forward = True`",
        )


def repeatable(use: Use) -> None:
    """The same seed and inputs give the same."""
    thing, twin = use.fresh(), use.fresh()
    same_twice(state_of(thing), state_of(twin), "built twice from the same seed it has other weights")
    with torch.no_grad():
        with no_draws("a forward"):
            first = use.call(thing, use.inputs)
        for other, how in ((thing, "called"), (twin, "built and called")):
            again = use.call(other, use.inputs)
            same_twice(first, again, f"{how} twice with the same inputs it gives other outputs")


def state(use: Use) -> None:
    """What is saved is all there is."""
    thing = use.fresh()
    _live(use, thing, (1, 2, 3))
    restored = use.fresh(seed=77)
    if isinstance(thing, nn.Module) and isinstance(restored, nn.Module):
        try:
            restored.load_state_dict(state_of(thing))
        except RuntimeError as error:
            raise Broken("its state does not load into a new one", error=error) from None
    saved = (
        "saved and restored"
        if isinstance(thing, nn.Module)
        else "no module, so that nothing of it is saved; built anew"
    )
    with torch.no_grad():
        _same(use, thing, restored, f"{saved}, it gives")
        for each in (thing, restored):
            _live(use, each, (4, 5))
        _same(use, thing, restored, f"{saved}, it goes on to give")
        differing = changed(state_of(thing), state_of(restored))
        expect(not differing, f"{saved}, it goes on to another state: {', '.join(differing)}")


def _same(use: Use, thing: Any, restored: Any, found: str) -> None:
    """Both give the same outputs, those in evaluation mode too, which may read what training only writes."""
    same_twice(use.call(thing, use.inputs), use.call(restored, use.inputs), f"{found} other outputs")
    if not isinstance(thing, nn.Module):
        return
    outputs = []
    for each in (thing, restored):
        each.eval()
        outputs.append(use.call(each, use.inputs))
        each.train()
    differing = changed(*outputs)
    expect(
        not differing,
        f"{found} other outputs in evaluation mode: {', '.join(differing)}",
        "keep running statistics in buffers (register_buffer), not in Python attributes",
    )


@torch.no_grad()
def _live(use: Use, thing: Any, seeds: Sequence[int]) -> None:
    """Some updates, each with other inputs, that change weights and buffers in place."""
    before = addresses(thing)
    _updates(use, thing, seeds)
    in_place(before, thing, "an update")


def _updates(use: Use, thing: Any, seeds: Sequence[int]) -> None:
    for seed in seeds:
        inputs = use.other_inputs(seed)
        use.call(thing, inputs)
        for part in thing.modules() if isinstance(thing, nn.Module) else ():
            before_update = getattr(part, "before_update", None)
            if before_update is not None:
                before_update()
        use.advance(thing, inputs)


def channels_last(use: Use) -> None:
    """The layout in memory does not matter."""
    if not any(value.ndim == 4 for value in use.inputs.values()):
        return
    thing = use.fresh()
    with torch.no_grad():
        expected = use.call(thing, use.inputs)
        if isinstance(thing, nn.Module):
            thing.to(memory_format=torch.channels_last)
        laid_out = {
            name: value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
            for name, value in use.inputs.items()
        }
        outputs = use.call(thing, laid_out)
    for name, value in outputs.items():
        off = far(expected[name], value, 1e-3)
        expect(off is None, f"with channels last in memory '{name}' differs by {off}")


def compiles(use: Use) -> None:
    """torch.compile makes one graph of it."""
    thing = use.fresh()
    given = leaves(use, use.inputs)
    expected = use.call(use.fresh(), given)
    torch._dynamo.reset()
    try:
        compiled = torch.compile(lambda inputs: dict(use.call(thing, inputs)), backend="eager", fullgraph=True)
        outputs = compiled(given)
    except Exception as error:
        raise Broken(f"torch.compile gives up: {_reason(error)}") from None
    finally:
        torch._dynamo.reset()
    for name, value in outputs.items():
        off = far(expected[name], value, 1e-4)
        expect(off is None, f"compiled it gives another '{name}', by {off}")


def devices(use: Use) -> None:
    """It works where its weights and inputs are."""
    use.call(use.fresh(), leaves(use, use.inputs))  # what it raises here has nothing to do with devices
    thing = on_meta(use.fresh())
    try:
        with autocast_on_meta():
            outputs = use.call(thing, leaves(use, on_meta(use.inputs)))
    except NotImplementedError as error:
        raise NotApplicable(f"torch cannot tell without a device: {told(error)}") from None
    except RuntimeError as error:
        raise Broken("moved to another device, it fails", DEVICES, error) from None
    for name, value in outputs.items():
        expect(value.is_meta, f"moved to another device, it returns '{name}' on the {value.device}")


def samples(use: Use) -> None:
    """Samples act on each other as `sample_groups` says."""
    thing = use.fresh()
    count = len(use.inputs[use.per_sample[0]])
    together = {(0, 0)}
    parts: Sequence[Any] = list(thing.modules()) if isinstance(thing, nn.Module) else [thing]
    for part in parts:
        if not hasattr(part, "sample_groups"):
            continue
        groups = list(part.sample_groups(count))
        expect(
            len(groups) == count,
            f"sample_groups({count}) returns {len(groups)} numbers",
            "return one group number for each sample",
        )
        expect(
            hasattr(part, "exchange") and part.exchange is None,
            "it has sample_groups(), but no attribute `exchange` that is None at first",
            "add `exchange: Exchange | None = None`, and gather samples by it where several ranks have set it",
        )
        together |= {(0, other) for other in range(count) if groups[other] == groups[0]}
    with torch.no_grad():
        before = use.call(thing, use.inputs)
        moved = dict(use.inputs)
        for name in use.per_sample:
            value = moved[name] = moved[name].clone()
            if name in use.learns_from:
                value[0] = value[0].flip(0) * 3 + 0.5 * normal(*value[0].shape, seed=9)
            else:  # draws and labels stay such as there may be
                value[0] = value[1]
        after = use.call(thing, moved)
    for name, value in before.items():
        if value.ndim == 0 or len(value) != count:
            continue
        for other in range(1, count):
            off = far(value[other], after[name][other], 1e-4)
            expect(
                off is None or (0, other) in together,
                f"the output '{name}' of sample {other} depends on sample 0, which sample_groups() does not tell",
            )


def _reason(error: Exception) -> str:
    """The line of dynamo's long text that says what it met."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    explained = [line for line in lines if re.match("Explanation:|Graph break|Data-dependent|Could not", line)]
    return f"{type(error).__name__}: {(explained or lines or [''])[0]}"
