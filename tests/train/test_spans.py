"""A schedule is taken apart into stretches that together are the whole run."""

from __future__ import annotations

from pathlib import Path

from ganlab.train.spans import spans

from .tiny import tiny


def test_every_image_is_in_one_stretch_and_edges_are_exact(tmp_path: Path) -> None:
    recipe = tiny(tmp_path, "schedule.minibatches={16=4}", "run.images=1000").recipe
    schedule = recipe.schedule.build(resolution=16, total_images=1000, learning_rate=0.001)
    found = spans(schedule, 1000)
    assert [(span.stage.resolution, span.faded, span.stage.minibatch) for span in found] == [
        (4, False, 8), (8, True, 8), (8, False, 8), (16, True, 4), (16, False, 4),
    ]  # fmt: skip
    assert sum(span.images for span in found) == 1000
    for span in found:
        kinds = {(s.resolution, s.fade < 1) for s in map(schedule.at, range(span.start, span.start + span.images))}
        assert kinds == {(span.stage.resolution, span.faded)}
    assert abs(next(span.stage.fade for span in found if span.faded) - 0.5) < 0.05


def test_a_run_that_ends_while_growing(tmp_path: Path) -> None:
    recipe = tiny(tmp_path, "run.images=100").recipe
    schedule = recipe.schedule.build(resolution=16, total_images=100, learning_rate=0.001)
    assert [span.kind[:1] + span.kind[2:] for span in spans(schedule, 100)] == [(4, False), (8, True)]
