from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from ganlab.recipe.tracking import TrackSettings
from ganlab.track.mlflow import Mirror

GENERATE = """
import sys
sys.modules["ganlab"] = None  # any import of ganlab fails
import mlflow, torch
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pytorch.load_model(sys.argv[2])
inputs = torch.load(sys.argv[3], weights_only=True)
torch.save(model(*inputs).detach(), sys.argv[4])
"""


class Tiny(nn.Module):
    """Latents `[N, 8]` (and labels `[N, 3]`) to images `[N, 3, 4, 4]`."""

    def __init__(self, labels: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(8 + 3 * labels, 48)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        inputs = latents if labels is None else torch.cat([latents, labels], 1)
        return self.linear(inputs).view(-1, 3, 4, 4)


def mirrored(folder, load_generator, said, **settings) -> None:
    mirror = Mirror(folder, TrackSettings(**settings), load_generator, say=said.append)
    mirror.start()
    folder.generator_path.write_bytes(b"weights")
    folder.set_status("finished", 5000)
    mirror.close(120)


@pytest.mark.slow
@pytest.mark.parametrize("labels", [False, True])
def test_the_logged_generator_loads_back_and_generates_without_ganlab(folder, uri, arrived, said, project, labels):
    module = Tiny(labels).eval()
    inputs = (torch.randn(5, 8), *([torch.eye(3)[[0, 1, 2, 0, 1]]] if labels else []))
    mirrored(folder, lambda path: (module, tuple(part[:2] for part in inputs)), said)
    assert said == []
    there = arrived(uri)
    (output,) = there.run.outputs.model_outputs
    assert output.step == 5000
    torch.save(inputs, project / "inputs.pt")
    for address in (f"runs:/{there.run_id}/generator", f"models:/{output.model_id}"):
        files = [str(project / "inputs.pt"), str(project / "images.pt")]
        subprocess.run([sys.executable, "-c", GENERATE, uri, address, *files], check=True, cwd=project)
        torch.testing.assert_close(torch.load(project / "images.pt", weights_only=True), module(*inputs).detach())


def test_a_generator_is_logged_once_for_each_end(folder, uri, arrived, said):
    module = Tiny(labels=False).eval()
    for _ in range(2):
        mirrored(folder, lambda path: (module, (torch.zeros(2, 8),)), said)
    assert len(arrived(uri).run.outputs.model_outputs) == 1
    mirrored(folder, None, said)
    assert said == []


def test_a_generator_that_cannot_be_exported_costs_one_line_and_nothing_else(folder, uri, arrived, said):
    def load_generator(path):
        raise RuntimeError(f"no generator in {path}")

    mirrored(folder, load_generator, said)
    assert said == [f"the generator cannot be logged to MLflow: no generator in {folder.path}"]
    assert arrived(uri).run.info.status == "FINISHED"


def test_no_generator_is_logged_where_the_recipe_says_so(folder, uri, arrived, said):
    mirrored(folder, lambda path: pytest.fail("asked for the generator"), said, log_model=False)
    assert not arrived(uri).run.outputs.model_outputs
