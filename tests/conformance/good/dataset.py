"""A data set without faults."""

import attrs
import numpy as np

import ganlab


@attrs.frozen
class Shades:
    """Grey images, each of one shade, in two classes."""

    count: int = ganlab.parameter(100, ge=1, unit="images", help="number of images")

    def build(self):
        return ShadeImages(self.count)


class ShadeImages:
    name = "shades"
    channels = 1
    label_size = 2
    resolutions = (4, 8, 16)
    place = None

    def __init__(self, count):
        self.count = count
        self.digest = f"shades 1: {count}"

    def numbers(self, indices):
        found = np.asarray(indices, np.int64)
        if ((found < 0) | (found >= self.count)).any():
            raise ganlab.GanlabError(f"shades: there are samples 0 to {self.count - 1}")
        return found

    def images(self, resolution, indices):
        if resolution not in self.resolutions:
            raise ganlab.GanlabError(f"shades: no images of {resolution} pixels")
        shades = (self.numbers(indices) * 37 % 256).astype(np.uint8)
        return np.broadcast_to(shades[:, None, None, None], (len(shades), 1, resolution, resolution)).copy()

    def labels(self, indices):
        return np.eye(2, dtype=np.float32)[self.numbers(indices) % 2]

    def describe(self):
        return {"source": "drawn", "licence": "CC0", "count": self.count, "digest": self.digest}


@ganlab.hookimpl
def register_datasets(register):
    register("shades", Shades, summary="one shade an image")
