"""The parameters of metrics that compare features of images. What computes them is imported only when they are built.

Defaults are the counts of published figures, which take long on a CPU; compare only figures of the same count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ganlab.interfaces import FeatureNetwork
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from ganlab.interfaces import BuiltMetric

FEATURES_HELP = "The network whose features are compared."
FEW: Mapping[str, Any] = {"features": "efficientnet-lite0", "count": 4}
"""What tests compute with: the weights come with a package."""
COUNT_HELP = "Generated images, and as many real ones (all of them where there are fewer)."


@attrs.frozen
class FrechetDistance:
    """Frechet distance of two Gaussians with the means and covariances of the features of reals and fakes.

    Reports `frechet-distance/<network>`, 0 or more; smaller is better. With `inception-v3` it is the FID of Heusel et
    al. 2017. It is well defined for fewer images than features, too, but falls with the number of images, far more so
    below about ten thousand.
    """

    better: ClassVar[Mapping[str, str]] = {"frechet-distance": "lower"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (FEW,)

    features: FeatureNetwork = component("feature-network", "inception-v3", help=FEATURES_HELP)
    count: int = parameter(50_000, ge=2, unit="images", help=COUNT_HELP)

    def build(self) -> BuiltMetric:
        """Loads the network; raises `GanlabError` where it cannot."""
        from .frechet import FrechetMetric

        return FrechetMetric(self.features.build(), self.count)


@attrs.frozen
class KernelDistance:
    """Kernel distance (KID): squared maximum mean discrepancy under the kernel (x.y / size + 1)^3.

    Reports `kid/<network>`, the mean over random subsets, and `kid-std/<network>`, their standard deviation. Smaller is
    better; the estimate is unbiased for any number of images, so that equal sets give values around 0, half of them
    negative. Source: Binkowski et al. 2018.
    """

    better: ClassVar[Mapping[str, str]] = {"kid": "lower"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({**FEW, "subsets": 3, "subset_size": 3},)

    features: FeatureNetwork = component("feature-network", "inception-v3", help=FEATURES_HELP)
    count: int = parameter(50_000, ge=2, unit="images", help=COUNT_HELP)
    subsets: int = parameter(100, ge=1, help="Random subsets of both sets that the result is averaged over.")
    subset_size: int = parameter(1000, ge=2, unit="images", help="Images of each set in a subset, at most `count`.")

    def __attrs_post_init__(self) -> None:
        if self.subset_size > self.count:
            raise ValueError(f"subset_size: expected at most count = {self.count}, got {self.subset_size}")

    def build(self) -> BuiltMetric:
        """Loads the network; raises `GanlabError` where it cannot."""
        from .kernel_distance import KernelDistanceMetric

        return KernelDistanceMetric(self.features.build(), self.count, self.subsets, self.subset_size)


@attrs.frozen
class PrecisionRecall:
    """Improved precision and recall: how many fakes lie among the reals, and how many reals among the fakes.

    An image lies among a set if it is as near to one of the set as that one's `neighbours`-th nearest neighbour is.
    Reports `precision/<network>` and `recall/<network>`, both in [0, 1], more is better. Source: Kynkaanniemi et al.
    2019.
    """

    better: ClassVar[Mapping[str, str]] = {"precision": "higher", "recall": "higher"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({**FEW, "neighbours": 1},)

    features: FeatureNetwork = component("feature-network", "inception-v3", help=FEATURES_HELP)
    count: int = parameter(50_000, ge=2, unit="images", help=COUNT_HELP)
    neighbours: int = parameter(3, ge=1, help="Which neighbour's distance is an image's radius; less than `count`.")

    def __attrs_post_init__(self) -> None:
        if self.neighbours >= self.count:
            raise ValueError(f"neighbours: expected less than count = {self.count}, got {self.neighbours}")

    def build(self) -> BuiltMetric:
        """Loads the network; raises `GanlabError` where it cannot."""
        from .neighbours import PrecisionRecallMetric

        return PrecisionRecallMetric(self.features.build(), self.count, self.neighbours)


@attrs.frozen
class InceptionScore:
    """Inception score: exp of the mean KL divergence of the classes of a fake from the classes of all fakes.

    Reports `inception-score/<network>`, the mean over `splits` parts of the fakes, and `inception-score-std/<network>`,
    their standard deviation. From 1 to the number of classes; more is better. The reals are not looked at. Source:
    Salimans et al. 2016.
    """

    better: ClassVar[Mapping[str, str]] = {"inception-score": "higher"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({**FEW, "splits": 2},)

    features: FeatureNetwork = component("feature-network", "inception-v3", help="The network whose classes are used.")
    count: int = parameter(50_000, ge=1, unit="images", help="Generated images.")
    splits: int = parameter(10, ge=1, help="Equal parts that are scored each for itself, at most `count`.")

    def __attrs_post_init__(self) -> None:
        if self.splits > self.count:
            raise ValueError(f"splits: expected at most count = {self.count}, got {self.splits}")

    def build(self) -> BuiltMetric:
        """Loads the network; raises `GanlabError` where it cannot."""
        from .inception_score import InceptionScoreMetric

        return InceptionScoreMetric(self.features.build(), self.count, self.splits)
