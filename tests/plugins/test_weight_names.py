from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab_layers.components import MinibatchDiscrimination, MultiplicativeNoise
from ganlab_networks.tf_names import load_tf_variables, tf_variables
from ganlab_networks.theano_names import load_theano_parameters, theano_parameters
from ganlab_normalizations.components import Batch, Instance, Layer
from ganlab_normalizations.scaling_components import Equalized, NoScaling, Spectral

from .networks import build, discriminator, generator, normal
from .test_mnist_networks import discriminator as mnist_discriminator
from .test_mnist_networks import generator as mnist_generator


def same_state(first: torch.nn.Module, second: torch.nn.Module) -> None:
    for (name, ours), (_, theirs) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("make", [generator, discriminator])
def test_tf_variables_come_back_as_they_went(make: Any, fused: bool) -> None:
    first = build(make(fused_scale=fused, widths=(6, 5, 4)), label_size=2)
    second = build(make(fused_scale=fused, widths=(6, 5, 4)), label_size=2, seed=1)
    arrays = tf_variables(first)
    assert all(array.flags.c_contiguous for array in arrays.values())
    load_tf_variables(second, {**arrays, "lod": np.float32(0)})
    same_state(first, second)


def test_written_arrays_do_not_change_with_the_network() -> None:
    network = build(generator())
    arrays = tf_variables(network)
    before = {name: array.copy() for name, array in arrays.items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)


@pytest.mark.parametrize("ours", [False, True])
def test_a_generator_takes_fused_and_separate_variables(ours: bool) -> None:
    theirs = build(generator(fused_scale=not ours))
    mine = build(generator(fused_scale=ours), seed=1)
    load_tf_variables(mine, tf_variables(theirs))
    same_state(mine, theirs)


def test_a_discriminator_takes_only_its_own_kind_because_the_function_differs() -> None:
    with pytest.raises(GanlabError, match=r"missing: 16x16/Conv1/weight .*(?s:.*)unexpected: 16x16/Conv1_down/weight"):
        load_tf_variables(build(discriminator(fused_scale=False)), tf_variables(build(discriminator())))


def test_every_name_that_does_not_fit_is_listed_and_nothing_is_changed() -> None:
    network = build(generator())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    arrays = {name: array + 1 for name, array in tf_variables(network).items()}
    del arrays["4x4/Conv/bias"]
    arrays["4x4/Dense/weight"] = arrays["4x4/Dense/weight"][1:]
    arrays["beta1"] = np.zeros(3)
    with pytest.raises(GanlabError) as caught:
        load_tf_variables(network, arrays)
    assert str(caught.value).splitlines()[1:] == [
        "missing: 4x4/Conv/bias [8]",
        "unexpected: beta1 [3]",
        "4x4/Dense/weight has shape [7, 128], expected [8, 128]",
    ]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        (generator(weight_scaling=Spectral()), "weight scaling of 4x4/Dense has no counterpart"),
        (generator(weight_scaling=Equalized(scale="measured")), "weight scaling of 4x4/Dense has no counterpart"),
        (generator(normalization=Batch()), "no name for blocks.4x4.dense.normalization.gain"),
        (discriminator(discrimination=MinibatchDiscrimination()), "no name for blocks.4x4.discrimination.theta"),
        (mnist_generator(), "only pggan-generator"),
    ],
)
def test_what_the_tf_program_does_not_have_cannot_be_written_for_it(component: Any, problem: str) -> None:
    with pytest.raises(GanlabError, match=problem):
        tf_variables(build(component))


@pytest.mark.parametrize(
    "component",
    [
        generator(weight_scaling=Equalized(scale="measured"), widths=(6, 5, 4)),
        generator(weight_scaling=NoScaling(), normalization=Batch()),
        discriminator(weight_scaling=Equalized(scale="measured"), noise=MultiplicativeNoise(), widths=(6, 5, 4)),
        discriminator(weight_scaling=NoScaling(), normalization=Layer()),
        discriminator(weight_scaling=NoScaling(), normalization=Batch()),
        discriminator(weight_scaling=NoScaling(), discrimination=MinibatchDiscrimination(kernels=3)),
        mnist_generator(),
        mnist_discriminator(),
    ],
)
def test_theano_parameters_come_back_as_they_went(component: Any) -> None:
    first, second = build(component), build(component, seed=1)
    if component.role == "generator":
        first(normal(4, first.latent_size), resolution=16)  # so that running statistics are not those of the start
    load_theano_parameters(second, theano_parameters(first))
    same_state(first, second)


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        (generator(), "weight scaling of .* has no counterpart in the Theano"),
        (generator(weight_scaling=NoScaling(), normalization=Instance()), "no name for"),
    ],
)
def test_what_the_theano_program_does_not_have_cannot_be_written_for_it(component: Any, problem: str) -> None:
    with pytest.raises(GanlabError, match=problem):
        theano_parameters(build(component))
