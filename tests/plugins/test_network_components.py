"""The layers, normalizations, weight scalings and networks as the catalog gives them to a recipe."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import ganlab
from ganlab.interfaces import ImageShape

from .networks import initialize, normal

OURS = {
    "layer": {"minibatch-stddev", "minibatch-discrimination", "multiplicative-noise", "none"},
    "normalization": {"pixel", "layer", "batch", "instance", "none"},
    "weight-scaling": {"equalized", "spectral", "none"},
    "network": {"pggan-generator", "pggan-discriminator", "mnist-generator", "mnist-discriminator"},
}


@pytest.fixture(scope="module")
def catalog() -> Any:
    return ganlab.load_plugins()


@pytest.mark.parametrize("kind", OURS)
def test_all_of_them_are_on_offer_with_a_summary(catalog: Any, kind: str) -> None:
    entries = {entry.name: entry for entry in catalog.registry(kind).entries()}
    assert OURS[kind] <= set(entries)
    assert all(entries[name].summary for name in OURS[kind])


@pytest.mark.parametrize("name", sorted(OURS["layer"]))
def test_layers_say_how_many_channels_come_out(catalog: Any, name: str) -> None:
    module = initialize(catalog.create("layer", name).build(8))
    noise = (normal(4, 8),) if getattr(module, "draws_noise", False) else ()
    for x in (normal(4, 8), normal(4, 8, 2, 2)):
        assert module(x, *noise).shape[1] == module.out_channels


@pytest.mark.parametrize("name", sorted(OURS["weight-scaling"]))
def test_weight_scalings_keep_shapes(catalog: Any, name: str) -> None:
    scaling = catalog.create("weight-scaling", name).build((4, 3, 3, 3), fan_in=27, gain=1.0)
    assert scaling(scaling.initial(normal(4, 3, 3, 3))).shape == (4, 3, 3, 3)


def test_default_networks_make_and_judge_images(catalog: Any) -> None:
    for family in ("pggan", "mnist"):
        generator = catalog.create("network", f"{family}-generator")
        discriminator = catalog.create("network", f"{family}-discriminator")
        assert (generator.role, discriminator.role) == ("generator", "discriminator")
        g, d = (initialize(network.build(ImageShape(3, 8))) for network in (generator, discriminator))
        with torch.no_grad():
            assert d(g(normal(4, g.latent_size), resolution=8)).scores.shape == (4,)


def test_a_recipe_sets_the_slots_of_a_network(catalog: Any) -> None:
    network = catalog.create(
        "network",
        {
            "name": "pggan-discriminator",
            "widths": [8, 8],
            "stddev": {"averaging": "gpool"},
            "noise": "multiplicative-noise",
            "edge_weight_scaling": {"name": "none", "init": "default"},
        },
    )
    built = initialize(network.build(ImageShape(3, 8)))
    assert built.blocks["4x4"].stddev.averaging == "gpool"
    assert len(built.noise_channels(8)) == 4


@pytest.mark.parametrize("averaging", ["gpol", "group0"])
def test_a_wrong_averaging_is_refused_before_anything_is_built(catalog: Any, averaging: str) -> None:
    with pytest.raises(ganlab.GanlabError, match=r"stddev\.averaging: .* is not one of all"):
        catalog.create("network", {"name": "pggan-discriminator", "stddev": {"averaging": averaging}})


def test_creating_components_imports_no_torch() -> None:
    program = (
        "import sys, ganlab; catalog = ganlab.load_plugins()\n"
        f"for kind, names in {OURS!r}.items():\n    for name in names: catalog.create(kind, name)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
