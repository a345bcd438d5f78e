"""How a minibatch is divided: whole groups stay together, and micro-batches change nothing but roundings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ganlab.errors import GanlabError, RunError
from ganlab.randomness import Streams
from ganlab.train.division import Division, Share, share_of
from ganlab.train.draws import draw_pass
from ganlab.train.gradients import Part
from ganlab_layers.discrimination import MinibatchDiscrimination
from ganlab_layers.stddev import MinibatchStddev
from ganlab_normalizations.normalizations import Batch

from .tiny import assert_equal_runs, journal_without_times, tiny, train_all, train_in_pieces

CPU = torch.device("cpu")


def stddev(group_size: int, grouping: str = "strided") -> MinibatchStddev:
    return MinibatchStddev(
        3, averaging="all", group_size=group_size, epsilon=0.0, unbiased=False, grouping=grouping
    )  # fmt: skip


def shares(minibatch: int, ranks: int, micro_batches: int, *modules: Any) -> list[Share]:
    named = {str(number): module for number, module in enumerate(modules)}
    return [share_of(Division(ranks, rank, micro_batches), minibatch, named) for rank in range(ranks)]


@pytest.mark.parametrize("grouping", ["strided", "consecutive"])
@pytest.mark.parametrize(("minibatch", "group", "ranks", "micro"), [(16, 4, 2, 2), (8, 4, 1, 2), (24, 3, 4, 1)])
def test_statistics_of_the_parts_are_those_of_the_whole(
    minibatch: int, group: int, ranks: int, micro: int, grouping: str
) -> None:
    layer = stddev(group, grouping)
    x = torch.randn(minibatch, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = layer.statistics(x)
    seen = []
    for share in shares(minibatch, ranks, micro, layer):
        assert not share.exchanged
        for part in np.split(share.rows, micro):
            assert (np.diff(part) > 0).all()
            torch.testing.assert_close(layer.statistics(x[part]), whole[part])
            seen += part.tolist()
    assert sorted(seen) == list(range(minibatch))


def test_nothing_that_compares_samples_leaves_their_order() -> None:
    assert [share.rows.tolist() for share in shares(6, 3, 1)] == [[0, 1], [2, 3], [4, 5]]


def test_two_layers_with_different_groups_are_both_respected() -> None:
    first, second = shares(16, 2, 1, stddev(2), stddev(4))
    assert not first.exchanged
    assert first.rows.tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    assert second.rows.tolist() == [2, 3, 6, 7, 10, 11, 14, 15]


@pytest.mark.parametrize(
    "layer",
    [stddev(0), stddev(8), MinibatchDiscrimination(3, kernels=2, dim_per_kernel=2), Batch(3, 1e-4, momentum=None)],
    ids=["stddev of all", "stddev of 8", "discrimination", "batch"],
)
def test_what_compares_the_whole_minibatch_is_exchanged_by_ranks_and_refused_for_micro_batches(layer: Any) -> None:
    assert [share.rows.tolist() for share in shares(8, 2, 1, layer)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert all(share.exchanged for share in shares(8, 2, 1, layer))
    with pytest.raises(RunError, match="compares 8 of the minibatch's 8 samples, and a micro-batch has only 4"):
        shares(8, 1, 2, layer)


def test_groups_that_do_not_fall_evenly_to_the_ranks_are_exchanged() -> None:
    assert all(share.exchanged for share in shares(12, 2, 1, stddev(4)))


class Pairs:
    """Somebody's module that cannot ask other ranks."""

    def sample_groups(self, count: int) -> npt.NDArray[np.int64]:
        return np.zeros(count, np.int64)


def test_a_module_that_cannot_exchange_is_named() -> None:
    with pytest.raises(RunError, match="0 compares samples of several ranks and has no attribute"):
        shares(8, 2, 1, Pairs())


def test_a_minibatch_that_cannot_be_divided_is_refused_before_training_with_its_key(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.micro_batches=3", "schedule.minibatches={8=6, 16=6}", "discriminator.stddev=none")
    with pytest.raises(
        GanlabError, match=r"^schedule\.minibatches\.4: at 4x4: a minibatch of 8 cannot be divided"
    ) as e:
        train_all(loaded, tmp_path / "run")
    assert len(str(e.value).splitlines()) == 1, "6 images at 8x8 and 16x16 can be divided by 3"


def test_micro_batches_need_groups_that_fit_into_them(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.micro_batches=2", "discriminator.stddev.group_size=0")
    with pytest.raises(
        GanlabError, match=r"^run\.micro_batches: at 4x4, 8x8, 16x16: discriminator\.blocks\.4x4\.stddev"
    ):
        train_all(loaded, tmp_path / "run")


@pytest.mark.parametrize(
    "overrides",
    [(), ("updates.together=true", "loss=lsgan", "discriminator.noise=multiplicative-noise")],
    ids=["in turn", "together, with noise"],
)
def test_micro_batches_agree_with_the_whole(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    sgd = ("run.images=200", "optimizer={name='sgd', learning_rate=0.002}", *overrides)
    whole = train_all(tiny(tmp_path, *sgd), tmp_path / "whole")
    parts = train_all(tiny(tmp_path, *sgd, "run.micro_batches=2"), tmp_path / "parts")
    for one, other in zip(journal_without_times(whole), journal_without_times(parts), strict=True):
        assert other["values"] == pytest.approx(one["values"], rel=1e-4, abs=1e-6)


def test_micro_batches_resume_exactly_and_may_change_when_resuming(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.images=200", "run.micro_batches=2")
    pieces = train_in_pieces(loaded, tmp_path / "pieces", [90])
    assert_equal_runs(train_all(loaded, tmp_path / "whole"), pieces)
    other = tiny(tmp_path / "other", "run.images=200", "run.micro_batches=1")
    from ganlab.recipe import differences

    assert differences(loaded.plain(), other.plain()) == []


def test_draws_of_some_rows_are_those_of_the_whole_minibatch() -> None:
    rows = np.array([5, 1, 6])
    settings: dict[str, Any] = {
        "minibatch": 8,
        "latent_size": 4,
        "noise_channels": (3, 2),
        "device": CPU,
    }
    whole, some = (
        draw_pass(Streams(1), "discriminator", 40, **settings),
        draw_pass(Streams(1), "discriminator", 40, rows=rows, **settings),
    )
    assert torch.equal(some.latents, whole.latents[rows])
    assert torch.equal(some.uniform["mixing"], whole.uniform["mixing"][rows])
    for name, tensors in whole.noise.items():
        assert all(torch.equal(a, b[rows]) for a, b in zip(some.noise[name], tensors, strict=True))


def test_micro_batches_are_neighbouring_pieces() -> None:
    draws = draw_pass(Streams(0), "generator", 0, minibatch=6, latent_size=2, noise_channels=(1,), device=CPU)
    part = Part(torch.arange(6.0).reshape(6, 1, 1, 1), torch.eye(6), draws)
    second = part.micro_batch(1, 3)
    assert second.reals.flatten().tolist() == [2, 3]
    assert second.labels is not None
    assert torch.equal(second.labels, torch.eye(6)[2:4])
    assert torch.equal(second.draws.noise["mixed"][0], draws.noise["mixed"][0][2:4])
