from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.track import describe
from ganlab.track.folder import RunFolder


def test_scalars_and_short_lists_become_parameters():
    recipe = {
        "run": {"name": "pggan", "seed": 3, "quick": True},
        "loss": {"name": "wgan-gp", "gp_weight": 10.0},
        "metrics": [{"name": "swd", "levels": [16, 32]}, {"name": "ms-ssim"}],
        "data": {"files": ["x" * 100] * 100},
        "track": {"uri": "http://me:secret@host"},
    }
    assert describe.parameters(recipe) == {
        "run.name": "pggan",
        "run.seed": "3",
        "run.quick": "true",
        "loss.name": "wgan-gp",
        "loss.gp_weight": "10.0",
        "metrics.0.name": "swd",
        "metrics.0.levels": "[16, 32]",
        "metrics.1.name": "ms-ssim",
        "track.uri": "http://me@host",
    }


@given(st.text(min_size=1))
def test_names_hold_only_what_mlflow_takes(text):
    name = describe.name(text)
    assert re.fullmatch(r"[A-Za-z0-9_\-. :/]*", name)
    assert "//" not in name
    assert ".." not in name


@pytest.mark.parametrize("name", ["loss/generator", "time/images_per_s", "scores: real", "fid-50k.v2"])
def test_valid_names_stay_as_they_are(name):
    assert describe.name(name) == name


def test_tags_tell_what_made_the_run(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_info(
        {"seed": 3, "digest": "abc", "plugins": {"acme-gan": "0.2", "ganlab": "0.1"}, "tags": {"variant": "lsgan"}}
    )
    tags = describe.tags(folder)
    assert tags["ganlab.seed"] == "3"
    assert tags["ganlab.recipe_digest"] == "abc"
    assert tags["ganlab.plugins"] == "acme-gan 0.2, ganlab 0.1"
    assert tags["ganlab.run_dir"] == str(folder.path)
    assert tags["variant"] == "lsgan"
    assert "ganlab.device" not in tags


def test_the_data_set_is_described_within_mlflows_limits():
    facts = {"name": "faces", "digest": "d" * 64, "count": 8000, "path": "/data/faces"}
    told = describe.dataset({"data": facts})
    assert told is not None
    assert (told["name"], told["digest"]) == ("faces", "d" * 36)
    assert json.loads(told["source"]) == {"uri": "/data/faces"}
    assert json.loads(told["profile"]) == facts
    assert describe.dataset({}) is None


def test_what_an_ablation_varies_becomes_parameters_and_other_tags_do_not():
    tags = {"ganlab.variant": "flat", "ganlab.vary.discriminator.stddev": "flat", "mlflow.parentRunId": "abc"}
    assert describe.parameters({"track": {"samples": 4, "tags": tags}}) == {
        "ablation.variant": "flat",
        "ablation.vary.discriminator.stddev": "flat",
        "track.samples": "4",
    }
