"""The pytest plugin: cases of the plugins that a project tests, and a training of a few images for its own tests.

Pytest imports this in every project of an environment, so that it imports nothing heavy before a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest

if TYPE_CHECKING:
    from ganlab.plugins import Catalog
    from ganlab.testing.cases import Case

INI = "ganlab_plugins"
MARKER = "ganlab_plugin"
CASE = "conformance_case"
BEGINNING: Mapping[str, Mapping[str, Any]] = {
    "run": {"images": 64, "threads": 1, "device": "cpu", "precision": "float32", "check_memory": False},
    "data": {"name": "pixel-faces", "resolution": 8, "workers": 0},
    "generator": {"name": "pggan-generator", "widths": [8, 8], "latent_size": 8},
    "discriminator": {"name": "pggan-discriminator", "widths": [8, 8]},
    "schedule": {"name": "progressive", "stabilize_images": 16, "fade_images": 16, "minibatch": 8, "tick_images": 16},
    "track": {"mlflow": False, "samples": 4},
}
"""What `train_recipe` trains where the test says nothing else: seconds on one core."""


class Trained(NamedTuple):
    """A training that has ended."""

    folder: Path
    """The run folder: recipe, journal, samples, checkpoints, `generator.safetensors`."""
    values: Mapping[str, Sequence[float]]
    """The journal's values by name, such as `loss/discriminator`, in the order in which they were written."""


class TrainRecipe(Protocol):
    """What the fixture `train_recipe` is."""

    def __call__(self, recipe: str | Mapping[str, Any] = "", *overrides: str) -> Trained: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini option `ganlab_plugins`."""
    parser.addini(INI, type="args", default=[], help=f"distributions whose components `{CASE}` goes through")


def pytest_configure(config: pytest.Config) -> None:
    """The marker `ganlab_plugin`."""
    text = f"{MARKER}(plugin, kind=None, name=None): the components that the argument `{CASE}` goes through"
    config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case, where a test has the argument `conformance_case`."""
    if CASE not in metafunc.fixturenames:
        return
    from ganlab.errors import GanlabError

    markers = list(metafunc.definition.iter_markers(MARKER))
    chosen = [(marker.args, marker.kwargs) for marker in markers]
    chosen = chosen or [((plugin,), {}) for plugin in metafunc.config.getini(INI)]
    if not chosen:
        raise pytest.Collector.CollectError(
            f'{CASE}: of which plugin? Write {INI} = ["acme-gan"] under [tool.pytest.ini_options], '
            f'or mark the test with @pytest.mark.{MARKER}("acme-gan")'
        )
    try:
        found = _cases(chosen)
    except (GanlabError, TypeError) as error:
        raise pytest.Collector.CollectError(f"{CASE}: {error}") from error
    metafunc.parametrize(CASE, found, ids=[case.id for case in found])


def _cases(chosen: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[Case]:
    from ganlab.plugins import load_plugins
    from ganlab.testing.cases import cases

    catalog = load_plugins()
    return [case for args, kwargs in chosen for case in cases(*args, catalog=catalog, **kwargs)]


@pytest.fixture(scope="session")
def ganlab_catalog() -> Catalog:
    """Everything that is installed: `ganlab_catalog.create("loss", "acme-gan:margin", margin=2.0)`."""
    from ganlab.plugins import load_plugins

    return load_plugins()


@pytest.fixture
def train_recipe(tmp_path: Path, ganlab_catalog: Catalog) -> Iterator[TrainRecipe]:
    """Trains a recipe for a few images, without MLflow, in the test's own folder: `train_recipe({"loss": "hinge"})`.

    A recipe, as TOML or as a table, is laid over a small one (pixel-faces at 8x8, 64 images), unless it names a `base`;
    overrides are as with `--set`. Raises `GanlabError` as `ganlab run` would end with it.
    """
    import tomli_w
    import torch

    from ganlab.recipe import load_recipe
    from ganlab.track.journal import read
    from ganlab.train.choose import Choice
    from ganlab.train.run import run

    def train(recipe: str | Mapping[str, Any] = "", *overrides: str) -> Trained:
        number = len(list(tmp_path.glob("run-*"))) + 1
        text = recipe if isinstance(recipe, str) else tomli_w.dumps(recipe)
        (tmp_path / "beginning.toml").write_text(tomli_w.dumps(BEGINNING))
        path = tmp_path / f"recipe-{number}.toml"
        based = any(line.split("=")[0].strip() == "base" for line in text.partition("\n[")[0].splitlines())
        path.write_text(text if based else f'base = "beginning.toml"\n{text}')
        loaded = load_recipe(path, ["track.mlflow=false", *overrides], ganlab_catalog)
        folder = tmp_path / f"run-{number}"
        run(loaded, Choice(folder, "start"), say=lambda text: None)
        values: dict[str, list[float]] = {}
        for entry in read(folder):
            for name, value in entry.values.items():
                values.setdefault(name, []).append(value)
        return Trained(folder, values)

    threads = torch.get_num_threads()
    yield train
    torch.set_num_threads(threads)
