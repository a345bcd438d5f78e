"""`ganlab import-weights` and `export-weights`: networks under the variable names of the authors' TF program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ganlab.cli.common import blaming, catalog_with_warnings, recipe_options, recipe_with_warnings
from ganlab.errors import GanlabError, RunError

PREFIXES = {"generator": "G", "discriminator": "D", "averaged": "Gs"}


@click.command("import-weights")
@click.argument("arrays", type=click.Path(path_type=Path))
@recipe_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder to make.")
@click.option("--images-shown", type=click.IntRange(min=0), help="How far training was; default: the recipe's end.")
def import_weights(
    arrays: Path,
    recipe: Path,
    overrides: tuple[str, ...],
    plugin_files: tuple[Path, ...],
    out: Path,
    images_shown: int | None,
) -> None:
    """Make a run folder from ARRAYS, an .npz of networks.

    The networks are those of RECIPE. The arrays are named `G/4x4/Dense/weight`, `D/...` and `Gs/...` (the averaged
    generator; without it G is taken), in the layouts of the TensorFlow program. `ganlab generate OUT` and
    `ganlab run RECIPE --run-dir OUT --resume` then work.
    """
    loaded = recipe_with_warnings(recipe, overrides, catalog_with_warnings(plugin_files))
    total = loaded.recipe.run.images
    if images_shown is not None and images_shown > total:
        raise GanlabError(f"--images-shown {images_shown}: the recipe shows {total} in all; give at most that")
    by_network = _read_arrays(arrays)

    from ganlab.track.folder import RunFolder
    from ganlab.train.events import Position
    from ganlab.train.run import prepare

    folder = RunFolder.create(out)
    with blaming(loaded):
        trainer = prepare(loaded, folder, fresh=True, say=lambda text: None)
    for network, prefix in PREFIXES.items():
        values = by_network.get(prefix) or (by_network["G"] if network == "averaged" else None)
        if values is None:
            click.echo(f"note: {arrays} has no {prefix}/...; the {network} starts from its initial weights")
            continue
        _method(getattr(trainer.players, network), "load_tf_variables")(values)
    shown = total if images_shown is None else images_shown
    stage = trainer.schedule.at(shown)
    trainer.save_checkpoint(stage, Position(images_shown=shown))
    folder.set_status("interrupted" if shown < total else "finished", shown)
    trainer.feed.close()
    click.echo(f"{folder.path}: weights imported at {shown:,} images shown")


@click.command("export-weights")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
def export_weights(run: Path, out: Path) -> None:
    """Write the networks of RUN as an .npz.

    They are those of its newest checkpoint, under the TensorFlow program's variable names (G/, D/, Gs/).
    """
    import numpy as np

    from ganlab.recipe import load_recipe
    from ganlab.track.files import replacing
    from ganlab.track.folder import RunFolder
    from ganlab.train import state
    from ganlab.train.run import prepare

    folder = RunFolder.open(run)
    loaded = load_recipe(folder.path / "recipe.toml", (), catalog_with_warnings())
    found = state.checkpoints(folder.checkpoints)
    if not found:
        raise RunError(f"{run} has no checkpoint yet")
    trainer = prepare(loaded, folder, fresh=False, say=lambda text: None)
    state.restore_checkpoint(found[-1], state.TrainingState(trainer.players, trainer.optimizers, trainer.tally))
    trainer.feed.close()
    content = {
        f"{prefix}/{name}": array
        for network, prefix in PREFIXES.items()
        for name, array in _method(getattr(trainer.players, network), "tf_variables")().items()
    }
    with replacing(out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **content)
    click.echo(f"{out}: {len(content)} arrays")


def _read_arrays(path: Path) -> dict[str, dict[str, Any]]:
    """Arrays by network and variable name. Raises `GanlabError` for a file that is none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            flat: Mapping[str, Any] = {key: content[key] for key in content.files}
    except FileNotFoundError:
        raise GanlabError(f"{path}: no such file") from None
    except (OSError, ValueError, AttributeError) as error:
        raise GanlabError(f"{path}: is no .npz of plain arrays: {error}") from error
    by_network: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        prefix, _, name = key.partition("/")
        prefix = prefix.removesuffix(".w")
        if prefix in PREFIXES.values() and not key.partition("/")[0].endswith(("init_std", "wscale")):
            by_network.setdefault(prefix, {})[name] = value
    if "G" not in by_network and "Gs" not in by_network:
        raise GanlabError(f"{path}: has no arrays named G/... or Gs/...; found {', '.join(list(flat)[:5]) or 'none'}")
    by_network.setdefault("G", by_network.get("Gs", {}))
    return by_network


def _method(network: Any, name: str) -> Any:
    method = getattr(network, name, None)
    if method is None:
        raise GanlabError(
            f"{type(network).__name__} has no variable names of the TensorFlow program; pggan networks do"
        )
    return method
