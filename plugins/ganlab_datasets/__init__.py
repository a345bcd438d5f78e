"""Where real images come from: packed shards, the embedded faces, and images drawn on the spot."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_datasets(register: ganlab.Register) -> None:
    """Offer our data sets."""
    register("shards", "ganlab_datasets.shards:Shards", summary="A data set made by `ganlab data pack`")
    register(
        "pixel-faces", "ganlab_datasets.pixel_faces:PixelFaces", summary="4,000 faces of 16x16, inside the package"
    )
    register("synthetic", "ganlab_datasets.synthetic:Synthetic", summary="Random shapes drawn on the spot, for tests")
    register("first", "ganlab_datasets.first:First", summary="The first images of another data set, compared with all")
