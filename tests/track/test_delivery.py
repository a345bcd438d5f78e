from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from ganlab.recipe.tracking import TrackSettings
from ganlab.track import sent
from ganlab.track.findings import Finding, drop_findings_after, write_findings
from ganlab.track.mlflow.client import MlflowStore
from ganlab.track.mlflow.delivery import Delivery

from .conftest import train


def deliver(folder, uri, **keywords) -> Delivery:
    delivery = Delivery(folder, TrackSettings(), uri, say=print)
    delivery.deliver(**keywords)
    return delivery


def test_a_run_arrives_whole(folder, uri, arrived):
    train(folder, 1, 12)
    folder.journal.write(12000, {"loss/generator": math.nan, "swd: 16": 0.5}, {})
    folder.set_status("finished", 12000)
    deliver(folder, uri)
    there = arrived(uri)
    assert there.experiment.name == "tiny"
    assert there.run.info.run_name == "1"
    assert there.run.info.status == "FINISHED"
    assert there.run.data.params["loss.gp_weight"] == "10.0"
    assert there.run.data.params["metrics.0.name"] == "swd"
    assert there.run.data.tags["ganlab.seed"] == "3"
    assert there.run.data.tags["ganlab.plugins"] == "acme-gan 0.2"
    assert there.steps("loss/generator") == [1000 * tick for tick in range(1, 13)]
    assert there.steps("time/images_per_s") == [1000 * tick for tick in range(1, 12)]
    assert math.isnan(there.client.get_metric_history(there.run_id, "loss/generator")[-1].value)
    assert there.run.data.metrics["swd: 16"] == 0.5
    assert there.sample_steps() == [5000, 10000]
    assert there.files() == ["images", "recipe.toml"]
    (data,) = there.run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("faces", "d" * 36)
    assert json.loads(data.dataset.profile)["count"] == 8000


def test_points_carry_the_time_at_which_they_were_measured(folder, uri, arrived):
    folder.journal.write(1000, {"loss/generator": 1.0}, {"unix_s": 1.7e9})
    deliver(folder, uri)
    there = arrived(uri)
    (point,) = there.client.get_metric_history(there.run_id, "loss/generator")
    assert point.timestamp == 1_700_000_000_000
    assert list(there.run.data.metrics) == ["loss/generator"]


def test_every_process_goes_on_where_the_last_one_stopped(folder, uri, arrived):
    for start in (1, 6, 11):
        train(folder, start, start + 5)
        assert deliver(folder, uri).points_sent == 15
        assert deliver(folder, uri).points_sent == 0
    assert arrived(uri).steps("loss/generator") == [1000 * tick for tick in range(1, 16)]
    assert arrived(uri).sample_steps() == [5000, 10000, 15000]


def test_a_journal_cut_and_written_again_sends_no_point_and_no_image_twice(folder, uri, arrived):
    train(folder, 1, 12)
    following = deliver(folder, uri)
    folder.journal.truncate_after(7000)
    folder.sample_path(10000).unlink()
    train(folder, 8, 11)
    following.deliver()
    deliver(folder, uri)
    train(folder, 11, 16)
    following.deliver()
    assert arrived(uri).steps("loss/generator") == [1000 * tick for tick in range(1, 16)]
    assert arrived(uri).steps("time/images_per_s") == [1000 * tick for tick in range(1, 16)]
    assert arrived(uri).sample_steps() == [5000, 10000, 15000]


def test_two_lines_at_the_same_images_shown_both_arrive(folder, uri, arrived):
    train(folder, 1, 3)
    following = deliver(folder, uri)
    folder.journal.write(2000, {"swd/16": 0.5}, {})
    following.deliver()
    deliver(folder, uri)
    assert arrived(uri).steps("swd/16") == [2000]
    assert arrived(uri).steps("loss/generator") == [1000, 2000]


@pytest.mark.parametrize("lost_save", range(5))
def test_killed_between_sending_and_noting_it_sends_nothing_twice(folder, uri, arrived, monkeypatch, lost_save):
    """Whichever note about what was sent is the one that a kill prevents, the next process finds out from the store."""
    save, saves = sent.save, []

    def killed(*arguments: object) -> None:
        saves.append(arguments)
        if len(saves) > lost_save:
            raise KeyboardInterrupt
        save(*arguments)

    train(folder, 1, 8)
    with monkeypatch.context() as patch:
        patch.setattr("ganlab.track.sent.save", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(folder, uri)
    train(folder, 8, 12)
    folder.set_status("finished", 11000)
    deliver(folder, uri)
    there = arrived(uri)
    assert there.steps("loss/generator") == [1000 * tick for tick in range(1, 12)]
    assert there.sample_steps() == [5000, 10000]
    assert there.run.info.status == "FINISHED"
    assert len(there.run.inputs.dataset_inputs) == 1


def test_more_points_than_a_batch_holds(folder, uri, arrived, monkeypatch):
    monkeypatch.setattr("ganlab.track.mlflow.delivery.BATCH_POINTS", 7)
    train(folder, 1, 12)
    assert deliver(folder, uri).points_sent == 33
    assert arrived(uri).steps("growth/fade") == [1000 * tick for tick in range(1, 12)]


def test_a_run_that_is_resumed_runs_again_and_ends_again(folder, uri, arrived):
    def status() -> str:
        return arrived(uri).run.info.status

    deliver(folder, uri)
    assert status() == "RUNNING"
    folder.set_status("interrupted", 3000)
    deliver(folder, uri)
    assert status() == "KILLED"
    folder.set_status("running", 3000)
    deliver(folder, uri)
    assert status() == "RUNNING"
    folder.set_status("failed", 4000, "loss/generator is nan")
    deliver(folder, uri)
    assert status() == "FAILED"
    assert arrived(uri).run.data.tags["ganlab.message"] == "loss/generator is nan"


def test_a_run_deleted_in_mlflow_is_sent_anew(folder, uri, arrived):
    train(folder, 1, 7)
    deliver(folder, uri)
    first = arrived(uri)
    first.client.delete_run(first.run_id)
    assert deliver(folder, uri).points_sent == 18
    assert arrived(uri).run_id != first.run_id
    assert arrived(uri).sample_steps() == [5000]


def test_killed_between_the_two_files_of_a_sample_it_is_completed_and_not_sent_twice(folder, uri, arrived):
    train(folder, 1, 11)
    deliver(folder, uri)
    files = arrived(uri).files("images")
    full, small = (next(it for it in files if "+step+5000+" in it and it.endswith(end)) for end in (".png", ".webp"))
    stored = Path(arrived(uri).client.download_artifacts(arrived(uri).run_id, ""))
    (stored / small).unlink()
    (stored / full).write_bytes((stored / full).read_bytes()[:20])  # as a copy that was cut off
    assert deliver(folder, uri).samples_sent == 1
    assert sorted(arrived(uri).files("images")) == sorted(files)
    with Image.open(stored / full) as whole, Image.open(stored / small) as compressed:
        assert whole.tobytes() == Image.open(folder.sample_path(5000)).tobytes()
        assert max(compressed.size) == 256
    assert deliver(folder, uri).samples_sent == 0


def test_a_sample_that_is_not_whole_waits_for_the_next_time(folder, uri, arrived):
    train(folder, 5, 6)
    whole = folder.sample_path(5000).read_bytes()
    folder.sample_path(5000).write_bytes(whole[: len(whole) // 2])
    following = deliver(folder, uri)
    assert arrived(uri).sample_steps() == []
    folder.sample_path(5000).write_bytes(whole)
    following.deliver()
    assert arrived(uri).sample_steps() == [5000]


def test_each_store_is_brought_up_to_date_for_itself(folder, uri, project, new_database, arrived):
    train(folder, 1, 3)
    deliver(folder, uri)
    other = project / "other" / "mlflow.db"
    other.parent.mkdir()
    other.write_bytes(new_database.read_bytes())
    train(folder, 3, 5)
    deliver(folder, f"sqlite:///{other}")
    deliver(folder, uri)
    for address in (uri, f"sqlite:///{other}"):
        assert arrived(address).steps("growth/fade") == [1000, 2000, 3000, 4000]
    assert sent.last_uri(folder.path) == uri
    assert (other.parent / "mlruns").is_dir()


def test_the_experiment_can_be_chosen(folder, uri, project, arrived, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from/the environment")
    deliver(folder, uri)
    assert arrived(uri).experiment.name == "from/the environment"
    (project / "runs" / "tiny" / "1" / "mlflow.json").unlink()
    MlflowStore(uri)
    Delivery(folder, TrackSettings(experiment="from the recipe"), uri, say=print).deliver()
    names = {found.name for found in MlflowStore(uri)._client.search_experiments()}
    assert names == {"Default", "from/the environment", "from the recipe"}


def test_a_run_that_was_killed_and_resumed_has_the_tags_of_the_resumed_one(folder, uri, arrived):
    deliver(folder, uri)
    folder.write_info({**folder.info(), "device": "cuda"}, resumed=True)
    deliver(folder, uri)
    assert arrived(uri).run.data.tags["ganlab.device"] == "cuda"


def test_findings_arrive_as_a_tag_while_the_run_goes_on_and_are_taken_back_with_a_resume(folder, uri, arrived):
    following = deliver(folder, uri)
    assert "ganlab.findings" not in arrived(uri).run.data.tags
    write_findings(folder.path, [Finding("collapse", 12000, "alike", "less"), Finding("non-finite", 15000, "inf", "")])
    following.deliver()
    there = arrived(uri).run
    assert there.info.status == "RUNNING"
    assert there.data.tags["ganlab.findings"] == "collapse at 12,000 images; non-finite at 15,000 images"
    drop_findings_after(folder.path, 12000)
    deliver(folder, uri)
    assert arrived(uri).run.data.tags["ganlab.findings"] == "collapse at 12,000 images"
    drop_findings_after(folder.path, 0)
    deliver(folder, uri)
    assert arrived(uri).run.data.tags["ganlab.findings"] == "none"
