"""What a new plugin begins with works: it keeps the contracts of its kinds, and its recipes train."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import ganlab
from ganlab.ablation.plan import plan_ablation
from ganlab.interfaces import KINDS
from ganlab.scaffold import EXAMPLES
from ganlab.testing import check
from ganlab.train.choose import Choice
from ganlab.train.run import run

from .projects import Written, of_every_kind

TRAINED = [kind for kind in KINDS if EXAMPLES[kind].command == "run"]
TINY = ["run.images=48", "run.check_memory=false", "schedule.tick_images=16", "track.mlflow=false", "track.samples=4"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """A project with a component of each kind, installed."""
    yield from of_every_kind(tmp_path_factory.mktemp("scaffolded") / "project")


def test_the_plugin_offers_a_component_of_each_kind(written: Written) -> None:
    offered = {part.kind: set(part.targets) for part in written.project.parts}
    for kind in KINDS:
        entries = [e for e in written.catalog.registry(kind).entries() if e.distribution == "scaffolded-gan"]
        assert {entry.name for entry in entries} == offered[kind]
        assert all(entry.summary and entry.load() for entry in entries)


@pytest.mark.parametrize("kind", KINDS)
def test_its_components_keep_the_contracts(kind: str, written: Written) -> None:
    (part,) = (part for part in written.project.parts if part.kind == kind)
    for name in part.targets:
        check(kind, name, catalog=written.catalog)


@pytest.mark.parametrize("kind", TRAINED)
def test_its_recipes_train_with_it(kind: str, written: Written, tmp_path: Path) -> None:
    loaded = ganlab.load_recipe(written.folder / "recipes" / f"{kind}.toml", TINY, written.catalog)
    assert run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None) == 0
    (part,) = (part for part in written.project.parts if part.kind == kind)
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    assert all(f'name = "{name}"' in recipe for name in part.targets)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(line["images_shown"] for line in lines) == 48


def test_its_executor_is_the_one_of_its_ablation(written: Written) -> None:
    plan = plan_ablation(written.folder / "recipes" / "executor.toml", ["run.images=48"], written.catalog)
    assert type(plan.table.executor) is importlib.import_module("scaffolded_gan.executors").Polite
    assert len(plan.trials) == 2
