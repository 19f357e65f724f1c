"""The one contract of what is scored: any backend's estimates, or maps that lie in a folder."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from leadline.data import DepthDataset, GroundTruth
from leadline.geometry import Output


class ImageEstimate(NamedTuple):
    """What is scored of one image, at the size of its ground truth."""

    values: Tensor  # float32 (1, 1, H, W); what they mean is the scorer's `output`
    uncertainty: Tensor | None = None  # float32 (1, 1, H, W), larger is less sure, in the values' unit; None if unknown


class ScoredBy(NamedTuple):
    """What a scorer says of itself beside the scores, also from another process."""

    name: str
    runtime: str = ""


class ScoredImage(NamedTuple):
    """One image, decoded as far as its scorer needs it."""

    truth: GroundTruth
    estimate: Callable[[bool], ImageEstimate]
    """The estimate; or, if asked with True, the mean over the image and its mirror image."""


class Scorer(Protocol):
    """Anything whose estimates of a data set can be scored."""

    name: str
    """What it is called in results."""
    runtime: str
    """What runs it, and in which precision; "" where nothing does."""
    output: Output
    """What its values mean."""
    concurrency: int
    """How many images are best estimated at a time, each by a thread."""

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """Decode one image of a data set; called ahead, in a thread.

        Raises:
            LeadlineError: if a file is missing or broken.
        """
        ...
