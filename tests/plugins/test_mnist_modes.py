"""Counting modes: a classifier that learns the same each time, digits and triples told apart, shares compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import entropy

from ganlab.errors import GanlabError
from ganlab_metrics import classifier
from ganlab_metrics.mode_components import MnistModes
from ganlab_metrics.modes import mode_values

from .feature_networks import Images, Source

CLASSES = 4


@attrs.frozen
class Figures:
    """Grey images, each of one of four blurred figures under noise: a set that is easy to learn."""

    count: int = 560
    channels: int = 1
    label_size: int = CLASSES
    strength: float = 60.0
    name: str = "figures"
    resolutions: Sequence[int] = (4, 8, 16)

    def build(self) -> Figures:
        return self

    @property
    def digest(self) -> str:
        return repr(self)

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> Images:
        figures = np.random.default_rng(1).uniform(30, 225, size=(CLASSES, self.channels, 4, 4))
        chosen = figures[np.asarray(indices) % CLASSES].repeat(resolution // 4, axis=2).repeat(resolution // 4, axis=3)
        noise = [np.random.default_rng([2, int(i)]).normal(0, self.strength, chosen.shape[1:]) for i in indices]
        return np.clip(chosen + np.array(noise), 0, 255).astype(np.uint8)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.eye(max(1, self.label_size), dtype=np.float32)[np.asarray(indices) % max(1, self.label_size)]

    def describe(self) -> Mapping[str, Any]:
        return {"source": "drawn"}


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test has trained, the next one takes."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def folder(shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLAB_CACHE", str(shared_folder))
    return shared_folder


def modes(fakes: Images, **parameters: Any) -> Mapping[str, float]:
    settings = {"labelled": Figures(), "count": len(fakes), "resolution": 16, "epochs": 4} | parameters
    found: Mapping[str, float] = MnistModes(**settings).build()(Source(fakes[:0]), Source(fakes), seed=0)
    return found


def drawn(numbers: Sequence[int], resolution: int = 16) -> Images:
    """Figures that the classifier has not seen, of these classes."""
    return Figures(strength=20.0).images(resolution, [10_000 + number for number in numbers])


def test_all_modes_in_equal_shares_are_all_covered() -> None:
    assert modes(drawn([0, 1, 2, 3] * 5)) == {"mnist-modes/count": 4.0, "mnist-modes/kl": 0.0}


def test_a_collapsed_generator_covers_one_mode() -> None:
    values = modes(drawn([2] * 12))
    assert values == {"mnist-modes/count": 1.0, "mnist-modes/kl": pytest.approx(np.log(4))}


def test_uneven_shares_have_the_divergence_of_the_formula() -> None:
    values = modes(drawn([0] * 6 + [1] * 3 + [3] * 3))
    assert values["mnist-modes/count"] == 3
    assert values["mnist-modes/kl"] == pytest.approx(entropy([6, 3, 0, 3], [3, 3, 3, 3]))


def test_stacked_digits_are_triples() -> None:
    first, second, third = [0, 1, 2, 0], [3, 3, 2, 3], [1, 1, 1, 1]
    stacked = np.concatenate([drawn(first), drawn(second), drawn(third)], axis=1)
    values = modes(stacked, stacked=True)
    assert values["mnist-modes/count"] == 3
    assert values["mnist-modes/kl"] == pytest.approx(np.log(64) - entropy([2, 1, 1]))


def test_the_order_of_channels_tells_triples_apart() -> None:
    one, other = drawn([0, 0]), drawn([1, 1])
    stacked = np.concatenate([np.stack([a, b, c], 1) for a, b, c in [(one[:, 0], other[:, 0], one[:, 0])]])
    turned = stacked[:, [1, 0, 2]]
    assert modes(np.concatenate([stacked, turned]), stacked=True)["mnist-modes/count"] == 2


def test_other_sizes_are_classified_at_the_classifiers() -> None:
    numbers = [0, 1, 2, 3, 3, 3]
    expected = entropy([1, 1, 1, 3], [1, 1, 1, 1])
    for resolution in (8, 32):
        assert modes(drawn(numbers, resolution))["mnist-modes/kl"] == pytest.approx(expected)


def test_all_of_a_thousand_equal_shares_diverge_by_nothing() -> None:
    values = mode_values(np.arange(3000) % 1000, 1000)
    assert values == {"mnist-modes/count": 1000.0, "mnist-modes/kl": pytest.approx(0, abs=1e-12)}


# -- the classifier ----------------------------------------------------------------------------------------------------


def test_the_classifier_is_right_about_images_that_were_held_out() -> None:
    facts = MnistModes(labelled=Figures(), resolution=16, epochs=4).build().facts()
    assert facts["classifier_accuracy"] > 0.95
    assert facts["classifier_held_out"] == 80
    assert facts["modes"] == 4
    assert facts["classifier_data"] == Figures().digest


def test_accuracy_is_that_on_the_held_out_images_only() -> None:
    made = classifier.trained_on(Figures(), 16, 1)
    held_out = [i for i in range(560) if i % 7 == 6]
    right = made(Figures().images(16, held_out)[:, 0]) == np.array(held_out) % CLASSES
    assert made.accuracy == right.mean()


def test_it_learns_the_same_each_time_and_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = classifier.trained_on(Figures(), 16, 1)
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    with torch.inference_mode():
        again = classifier.trained_on(Figures(), 16, 1)
    monkeypatch.setattr(classifier, "_trained", None)
    kept = classifier.trained_on(Figures(), 16, 1)
    for other in (again, kept):
        assert other.accuracy == first.accuracy
        for name, weight in first.weights.items():
            np.testing.assert_array_equal(other.weights[name], weight)
    with pytest.raises(TypeError):
        classifier.trained_on(Figures(count=567), 16, 1)


def test_torchs_own_random_state_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    before = torch.get_rng_state()
    classifier.trained_on(Figures(), 16, 1)
    assert torch.equal(torch.get_rng_state(), before)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labelled", "parameters", "words"),
    [
        (Figures(channels=3), {}, "needs grey images with labels, these have 3 channels"),
        (Figures(label_size=0), {}, "0 classes; `ganlab data pack torchvision:MNIST`"),
        (Figures(), {"resolution": 32}, "no images of 32 pixels, the finest are of 16"),
        (Figures(count=6), {}, "6 images are too few"),
    ],
)
def test_unsuitable_data_are_refused(labelled: Figures, parameters: Mapping[str, int], words: str) -> None:
    with pytest.raises(GanlabError, match=words):
        MnistModes(labelled=labelled, **({"resolution": 16} | parameters)).build()


def test_images_of_other_channels_are_refused() -> None:
    grey = drawn([0, 1])
    with pytest.raises(GanlabError, match="expected images of 1 channels, got 3; set `stacked`"):
        modes(grey.repeat(3, axis=1))
    with pytest.raises(GanlabError, match="expected images of 3 channels, got 1; leave `stacked` off"):
        modes(grey, stacked=True)


def test_sizes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 8, 16, 32 or 64, got 28"):
        MnistModes(labelled=Figures(), resolution=28)
    with pytest.raises(GanlabError, match="power of two"):
        modes(np.zeros((2, 1, 28, 28), np.uint8))
