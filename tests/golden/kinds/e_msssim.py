"""Kind E_msssim: scores of pairs, the means at each level, and the windows."""

from __future__ import annotations

import numpy as np

from ganlab_metrics.components import MultiScaleSimilarity
from ganlab_metrics.ms_ssim import gaussian_window, similarity

from ..golden import Case
from ..made_images import Images, image_set

ATOL = 2e-5


def check(case: Case) -> None:
    for entry in case.notes:
        name, _, what = entry.partition(".")
        assert what == "images", f"unknown entry of the notes: {entry}"
        check_set(case, name, image_set(case.notes[entry]))
    for key in case.keys_under("window.size"):
        window = gaussian_window(int(key.removeprefix("window.size")))
        case.expect(key, np.outer(window, window), atol=1e-12)


def check_set(case: Case, name: str, images: Images) -> None:
    case.expect(f"{name}.first2", images[:2], "exact")
    found = similarity(images[0::2], images[1::2])
    case.expect(f"{name}.per_pair", found.scores, atol=ATOL)
    case.expect(f"{name}.ssim_levels", found.structural, atol=ATOL)
    case.expect(f"{name}.cs_levels", found.contrast, atol=ATOL)
    case.expect(f"{name}.msssim", found.scores.mean(), atol=ATOL)
    metric = MultiScaleSimilarity(pairs=len(images) // 2).build()
    value = metric(None, lambda start, stop: images[start:stop], seed=0)
    case.expect(f"{name}.api", np.array([value["ms-ssim"]]), atol=ATOL)
