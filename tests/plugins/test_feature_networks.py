"""Feature networks: what is missing is said, nothing is downloaded, and an image's features are its own."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab_metrics import inception
from ganlab_metrics.feature_networks import EfficientNetLite0, InceptionV3
from ganlab_metrics.torch_features import IMAGES_AT_ONCE, TorchExtractor

from .feature_networks import noise_images


def small_network(scale: float = 1.0, resize_filter: str = "none") -> TorchExtractor:
    """A convolution and a linear layer, in a state that a batch would change in training."""
    module = nn.ModuleDict({"conv": nn.Conv2d(3, 5, 3), "norm": nn.BatchNorm2d(5), "fc": nn.Linear(5, 2)})
    for number, parameter in enumerate(module.parameters()):
        values = np.random.default_rng(number).normal(0, scale, parameter.shape)
        parameter.data = torch.from_numpy(values.astype(np.float32))

    def compute(images: Tensor) -> tuple[Tensor, Tensor]:
        features = module["norm"](module["conv"](images.float() / 255)).mean(dim=(2, 3))
        return features, module["fc"](features)

    facts = {"name": "small", "input_size": 16, "resize_filter": resize_filter}
    return TorchExtractor(module, compute, device=torch.device("cpu"), feature_size=5, facts=facts)


def test_features_of_an_image_do_not_depend_on_the_others() -> None:
    images = noise_images(0, IMAGES_AT_ONCE + 5)
    network = small_network()
    together = network(images)
    assert together.features.shape == (len(images), 5)
    assert together.features.dtype == np.float32
    for number in (0, 3, IMAGES_AT_ONCE + 2):
        alone = network(images[number : number + 1])
        np.testing.assert_allclose(alone.features[0], together.features[number], atol=1e-6)
        assert alone.logits is not None
        assert together.logits is not None
        np.testing.assert_allclose(alone.logits[0], together.logits[number], atol=1e-6)
    others = images.copy()
    others[1:] = 255 - others[1:]
    np.testing.assert_array_equal(network(others).features[0], together.features[0])


def test_grey_images_are_taken_as_rgb_and_others_refused() -> None:
    grey = noise_images(0, 3)[:, :1]
    network = small_network()
    np.testing.assert_array_equal(network(grey).features, network(grey.repeat(3, axis=1)).features)
    with pytest.raises(GanlabError, match="grey or RGB images, not images of 2 channels"):
        network(grey.repeat(2, axis=1))


def test_the_digest_is_of_weights_and_facts() -> None:
    digests = {small_network().digest, small_network(scale=1.001).digest, small_network(resize_filter="box").digest}
    assert len(digests) == 3
    assert small_network().digest in digests
    assert small_network().facts()["digest"] == small_network().digest


# -- what is missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("component", "module", "words"),
    [
        (InceptionV3(device="cpu"), "torch_fidelity", r"pip install 'ganlab\[fidelity\]'"),
        (EfficientNetLite0(device="cpu"), "efficientnet_lite_pytorch", r"pip install 'ganlab\[efficientnet\]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    component: Any, module: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [module, *(each for each in sys.modules if each.startswith(f"{module}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GanlabError, match=words):
        component.build()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(GanlabError, match="no CUDA device"):
        EfficientNetLite0(device="cuda").build()


# -- the real networks, which need packages that are not everywhere ----------------------------------------------------


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **named: object) -> None:
        raise AssertionError("something was to be downloaded")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.mark.slow
def test_missing_weights_of_inception_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(GanlabError, match=r"checkpoints.*weights-inception.*there are no weights; nothing is download"):
        InceptionV3(device="cpu").build()
    with pytest.raises(GanlabError, match=r"mine\.pth: there are no weights"):
        InceptionV3(weights=tmp_path / "mine.pth", device="cpu").build()


@pytest.mark.slow
def test_files_that_are_no_weights_of_inception_are_refused(tmp_path: Path, no_network: None) -> None:
    pytest.importorskip("torch_fidelity")
    file = tmp_path / "mine.pth"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(GanlabError, match="cannot be read as weights"):
        InceptionV3(weights=file, device="cpu").build()
    torch.save({"conv.weight": torch.zeros(3)}, file)
    with pytest.raises(GanlabError, match="not torch-fidelity's weights"):
        InceptionV3(weights=file, device="cpu").build()
    torch.save([torch.zeros(3)], file)
    with pytest.raises(GanlabError, match="does not hold tensors by name"):
        InceptionV3(weights=file, device="cpu").build()


class Runs:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (sys.exit, (3,))


@pytest.mark.slow
def test_a_file_of_weights_cannot_run_code(tmp_path: Path, no_network: None) -> None:
    pytest.importorskip("torch_fidelity")
    torch.save({"x": Runs()}, tmp_path / "mine.pth")
    with pytest.raises(GanlabError, match="cannot be read as weights"):
        InceptionV3(weights=tmp_path / "mine.pth", device="cpu").build()


@pytest.mark.slow
def test_inception_computes_what_torch_fidelity_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(fidelity.FeatureExtractorInceptionV3):  # type: ignore[misc, name-defined]  # an untyped library's
        def load_state_dict(self, state: Any) -> None:
            """Keep the initial weights."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = Untrained("theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=nothing)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / inception.FILE
    file.parent.mkdir(parents=True)
    torch.save(theirs.state_dict(), file)

    before = torch.get_rng_state()
    network = InceptionV3(device="cpu").build()
    assert torch.equal(torch.get_rng_state(), before)
    images = noise_images(0, 3)
    ours = network(images)
    expected, logits = theirs(torch.from_numpy(images))
    np.testing.assert_allclose(ours.features, expected.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.logits, logits.numpy(), rtol=1e-4, atol=1e-5)
    assert ours.features.shape == (3, network.feature_size)
    assert network.facts()["resize_filter"] == "bilinear of TensorFlow 1, not antialiased"
    assert InceptionV3(weights=file, device="cpu").build().digest == network.digest


@pytest.mark.slow
def test_efficientnet_lite0_recognises_photographs_offline(no_network: None) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    data = pytest.importorskip("skimage.data")
    before = torch.get_rng_state()
    network = EfficientNetLite0(device="cpu").build()
    assert torch.equal(torch.get_rng_state(), before)
    cat, cup = data.chelsea()[:, 80:380], data.coffee()[:, 60:460]
    cats, cups = (network(np.ascontiguousarray(photograph.transpose(2, 0, 1)[None])) for photograph in (cat, cup))
    assert cats.logits is not None
    assert cups.logits is not None
    assert int(cats.logits.argmax()) in (281, 282, 285)  # ImageNet's tabby, tiger cat and Egyptian cat
    assert int(cups.logits.argmax()) == 967  # espresso
    assert cats.features.shape == (1, network.feature_size)
    assert network.facts()["resize_filter"] == "bicubic, antialiased"
