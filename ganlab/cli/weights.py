"""`ganlab import-weights` and `export-weights`: networks under the variable names of the authors' TF program."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlab.cli.common import blaming, catalog_with_warnings, plugin_option, recipe_options, recipe_with_warnings
from ganlab.errors import GanlabError, RunError

if TYPE_CHECKING:
    from ganlab.track.folder import RunFolder
    from ganlab.train.players import Players

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
    from ganlab.train.prepare import prepare

    if not RunFolder.can_begin(out):
        raise RunError(f"{out} holds a run or other files; give a new folder")
    shown = total if images_shown is None else images_shown
    folder = RunFolder.create(out)
    with _removed_if_failed(folder):
        with blaming(loaded):
            trainer = prepare(loaded, folder, fresh=True, say=lambda text: None)
        with contextlib.closing(trainer):
            for network, prefix in PREFIXES.items():
                values = by_network.get(prefix) or (by_network["G"] if network == "averaged" else None)
                if values is None:
                    click.echo(f"note: {arrays} has no {prefix}/...; the {network} starts from its initial weights")
                    continue
                _method(getattr(trainer.players, network), "load_tf_variables")(values)
            trainer.save_checkpoint(trainer.schedule.at(shown), Position(images_shown=shown))
        folder.set_status("interrupted" if shown < total else "finished", shown)
    click.echo(f"{folder.path}: weights imported at {shown:,} images shown")


@click.command("export-weights")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .npz file to write.")
@plugin_option
def export_weights(run: Path, out: Path, plugin_files: tuple[Path, ...]) -> None:
    """Write the networks of RUN as an .npz.

    They are those of its newest checkpoint, under the TensorFlow program's variable names (G/, D/, Gs/).
    """
    import numpy as np

    from ganlab.track.files import replacing
    from ganlab.track.folder import RunFolder

    players = _trained(RunFolder.open(run), plugin_files)
    content = {
        f"{prefix}/{name}": array
        for network, prefix in PREFIXES.items()
        for name, array in _method(getattr(players, network), "tf_variables")().items()
    }
    with replacing(out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **content)
    click.echo(f"{out}: {len(content)} arrays")


@contextlib.contextmanager
def _removed_if_failed(folder: RunFolder) -> Iterator[None]:
    """Take a new run folder away again if the block fails, so that the next try may have it."""
    try:
        yield
    except BaseException:
        for part in (folder.checkpoints, folder.samples):
            shutil.rmtree(part, ignore_errors=True)
        for name in ("recipe.toml", "run.json", "status.json", folder.generator_path.name):
            (folder.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something else in it, as there was before
            folder.path.rmdir()
        raise


def _trained(folder: RunFolder, plugin_files: tuple[Path, ...]) -> Players:
    """The networks of a run's newest checkpoint, on the CPU. Needs neither its data set nor its device."""
    import torch

    from ganlab.interfaces import ImageShape
    from ganlab.train import export, state
    from ganlab.train.players import build_players
    from ganlab.train.tensors import read_header, read_tensors

    found = state.checkpoints(folder.checkpoints)
    if not found:
        raise RunError(f"{folder.path} has no checkpoint yet")
    loaded = recipe_with_warnings(folder.path / "recipe.toml", (), catalog_with_warnings(plugin_files))
    images = ImageShape(**read_header(folder.generator_path, export.FORMAT)["images"])
    players = build_players(loaded.recipe, images, torch.device("cpu"))
    read_header(found[-1], state.FORMAT)
    tensors = read_tensors(found[-1])
    for network in PREFIXES:
        own = {key.removeprefix(f"{network}/"): tensors[key] for key in tensors if key.startswith(f"{network}/")}
        try:
            getattr(players, network).load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise RunError(f"{found[-1]} does not fit the recipe's {network}: {reason}") from error
    return players


def _read_arrays(path: Path) -> dict[str, dict[str, Any]]:
    """Arrays by network and variable name. Raises `GanlabError` for a file that is none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as content:
            flat: Mapping[str, Any] = {key: content[key] for key in content.files}
    except FileNotFoundError:
        raise GanlabError(f"{path}: no such file") from None
    except (OSError, ValueError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
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
