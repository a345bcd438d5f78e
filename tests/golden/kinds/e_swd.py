"""Kind E_swd: scores with the official random numbers, and each step on the way to them."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab_metrics.components import SlicedWasserstein
from ganlab_metrics.images import box_downscaled
from ganlab_metrics.patches import descriptors, draw_centres, sliced_distance, standardize
from ganlab_metrics.pyramid import doubled, halved, laplacian_levels
from ganlab_metrics.swd import SlicedWassersteinMetric

from ..golden import Array, Case
from ..made_images import Images, image_set

SCORE_ATOL = 0.01


@attrs.frozen
class OfficialRandom:
    """The official stream: numpy's legacy generator, under the method names we draw with."""

    state: np.random.RandomState

    def integers(self, low: int, high: int, size: int) -> npt.NDArray[np.int64]:
        return self.state.randint(low, high, size=size)

    def standard_normal(self, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        return self.state.randn(*size)


def legacy(seed: int) -> OfficialRandom:
    return OfficialRandom(np.random.RandomState(seed))


def check(case: Case) -> None:
    sets = {name.removeprefix("set_"): image_set(case.notes[name]) for name in case.notes if name.startswith("set_")}
    for name, images in sets.items():
        case.expect(f"set_{name}.first2", images[:2], "exact")
    for key in case.keys_under("swd."):
        check_scores(case, key, sets)
    check_pyramid(case)
    check_descriptors(case)
    check_distances(case)


def check_scores(case: Case, key: str, sets: dict[str, Images]) -> None:
    notes = case.notes["settings"]
    name = key.removeprefix("swd.")
    itself = name == "reals_vs_same_descriptors"
    # A set is at distance zero from itself whatever its size: one minibatch will do, and saves time.
    same = sets["A"][: notes["minibatch"]]
    reals, fakes = (same, same) if itself else (sets[part] for part in name.split("_vs_"))
    metric = SlicedWassersteinMetric(
        SlicedWasserstein(
            count=len(reals),
            patches_per_image=notes["nhoods_per_image"],
            patch_size=notes["nhood_size"],
            direction_repeats=notes["dir_repeats"],
            directions=notes["dirs_per_repeat"],
            smallest_level=min(notes["resolutions"]),
        )
    )
    scores = []
    for seed_reals, seed_fakes in case["seeds"]:
        fakes_random = legacy(seed_reals if itself else seed_fakes)
        values = metric.compare(
            lambda start, stop: reals[start:stop],
            lambda start, stop: fakes[start:stop],
            reals_random=legacy(seed_reals),
            fakes_random=fakes_random,
            directions_random=fakes_random,
            images_per_draw=notes["minibatch"],
        )
        assert list(values) == [f"swd/{level}" for level in notes["resolutions"]] + ["swd/mean"]
        scores.append(list(values.values()))
    official_names = [f"SWDx1e3_{level}" for level in notes["resolutions"]] + ["SWDx1e3_avg"]
    assert case.notes["names"] == official_names
    case.expect(key, np.array(scores), atol=SCORE_ATOL)


def check_pyramid(case: Case) -> None:
    images = case["pyr.in"]
    names = case.keys_under("pyr.level")
    levels = list(laplacian_levels(images, len(names)))
    for k, level in enumerate(levels):
        case.expect(f"pyr.level{k}", level)
    case.expect("pyr.down", halved(images.astype(np.float32)))
    case.expect("pyr.up", doubled(case["pyr.up_in"]))
    whole = levels.pop()
    while levels:
        whole = doubled(whole) + levels.pop()
    case.expect("pyr.reconstructed", whole)
    for key in case.keys_under("downscale.lod"):
        halvings = int(key.removeprefix("downscale.lod"))
        case.expect(key, box_downscaled(images.astype(np.uint8), halvings), "exact")


def check_descriptors(case: Case) -> None:
    notes = case.notes["desc"]
    images = case["desc.in"].astype(np.float32)
    count = len(images) * notes["nhoods_per_image"]
    height, width = images.shape[2:]
    x, y = draw_centres(legacy(notes["seed"]), width, height, count, notes["nhood_size"])
    case.expect("desc.x_centres", x, "exact")
    case.expect("desc.y_centres", y, "exact")
    found = descriptors(images, x, y, notes["nhood_size"])
    case.expect("desc.out", found, "exact")
    finalized = np.ascontiguousarray(found)
    standardize(finalized)
    case.expect("desc.finalized", finalized.reshape(count, -1))


def check_distances(case: Case) -> None:
    a, b = case["dist.A"], case["dist.B"]

    def distance(notes: dict[str, Any]) -> float:
        return sliced_distance(a, b, legacy(notes["seed"]), notes["dir_repeats"], notes["dirs_per_repeat"])

    values: Array = np.array([distance(notes) for notes in case.notes["dist"]])
    case.expect("dist.value", values, atol=SCORE_ATOL / 1000)
