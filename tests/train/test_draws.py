"""Random numbers of a step: pure functions of seed, purpose and position, however they are made."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganlab.randomness import Streams, generator
from ganlab.train.draws import draw_pass

PLACES = st.tuples(st.text(max_size=20), st.integers(0, 2**40), st.sampled_from(["normal", "uniform", "integers"]))


def draw(source: np.random.Generator, how: str) -> np.ndarray:
    """An odd number of 32-bit values, so that something is left over inside."""
    if how == "normal":
        return source.standard_normal(7, dtype=np.float32)
    return source.random(7, dtype=np.float32) if how == "uniform" else source.integers(0, 1000, 7, dtype=np.int32)


@given(seed=st.integers(0, 2**63), places=st.lists(PLACES, min_size=1, max_size=6))
def test_a_stream_gives_what_a_fresh_generator_gives(seed: int, places: list[tuple[str, int, str]]) -> None:
    streams = Streams(seed)
    for purpose, position, how in places:
        fresh = draw(generator(seed, purpose, position), how)
        np.testing.assert_array_equal(draw(streams.at(purpose, position), how), fresh)


def test_the_draws_of_a_seed_stay_what_they_were() -> None:
    assert generator(3, "latents", 128).integers(0, 10**9, 3).tolist() == [551291176, 861873329, 531626959]


def test_a_pass_draws_only_what_its_player_uses() -> None:
    sizes = {"minibatch": 4, "latent_size": 2, "noise_channels": (), "device": torch.device("cpu")}
    for player, uniform in (("discriminator", {"mixing"}), ("discriminator/pair", {"mixing"}), ("generator", set())):
        draws = draw_pass(Streams(0), player, 0, **sizes)  # type: ignore[arg-type] # of several types
        assert set(draws.uniform) == uniform
        assert all(values.shape == (4, 1, 1, 1) for values in draws.uniform.values())
