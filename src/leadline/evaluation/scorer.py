"""What is scored: any backend's estimates, or maps that lie in a folder, behind one small interface."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from leadline.backends import Backend, Estimate, open_backend
from leadline.data import DepthDataset, GroundTruth, Sample
from leadline.geometry import Output

FILES = "files:"
"""A model's name begins so where it is a folder of predictions."""


class ImageEstimate(NamedTuple):
    """What is scored of one image, at the size of its ground truth."""

    values: Tensor  # float32 (1, 1, H, W); what they mean is the scorer's `output`
    uncertainty: Tensor | None = None  # float32 (1, 1, H, W), larger is less sure, in the values' unit; None if unknown


class ScoredImage(NamedTuple):
    """One image, decoded as far as its scorer needs it."""

    truth: GroundTruth
    estimate: Callable[[bool], ImageEstimate]
    """The estimate; or, if asked with True, the mean over the image and its mirror image."""


class Scorer(Protocol):
    """Anything whose estimates of a data set can be scored."""

    name: str
    """What it is called in results."""
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


def open_scorer(model: str | Path, dataset: DepthDataset) -> Scorer:
    """Open whatever is to be scored.

    Args:
        model: "files:DIR" (predictions made elsewhere), or what `leadline.backends.open_backend` takes.
        dataset: the images; their names are those of the files.

    Raises:
        LeadlineError: if there is no such model or folder, or it cannot be opened.
    """
    if is_folder_of_maps(model):
        from leadline.evaluation.prediction_files import FilesScorer

        return FilesScorer(Path(str(model).removeprefix(FILES)), dataset)
    return BackendScorer(open_backend(model))


def is_folder_of_maps(model: str | Path) -> bool:
    """Whether a model is the name of a folder of predictions."""
    return str(model).startswith(FILES)


class BackendScorer:
    """A backend's estimates, by the camera that the data set gives each image.

    Attributes:
        name: the backend's.
        output: likewise.
        concurrency: likewise.
    """

    def __init__(self, backend: Backend) -> None:
        """Score a backend that is open."""
        self._backend = backend
        self.name, self.output, self.concurrency = backend.name, backend.output, backend.concurrency

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """Decode an image with its depth; see `Scorer`."""
        sample = dataset[index]
        return ScoredImage(GroundTruth(sample.depth_m, sample.valid), lambda flip: self._estimate(sample, flip))

    def _estimate(self, sample: Sample, flip: bool) -> ImageEstimate:
        image, camera = sample.image.permute(1, 2, 0).numpy(), sample.camera
        values, error = self._backend.estimate([image], [camera])
        if flip:
            others = self._backend.estimate([image[:, ::-1]], [camera and camera.mirrored()])
            values, error = _mean_with_mirror_image(Estimate(values, error), others)
        metres = torch.from_numpy(values)[:, None]
        return ImageEstimate(metres, None if error is None else metres * torch.from_numpy(error)[:, None])


def _mean_with_mirror_image(estimate: Estimate, mirrored: Estimate) -> Estimate:
    """Mean of values and of relative errors, those of the mirror image turned back."""
    values = (estimate.values + mirrored.values[..., ::-1]) / 2
    if estimate.relative_error is None or mirrored.relative_error is None:
        return Estimate(values)
    return Estimate(values, (estimate.relative_error + mirrored.relative_error[..., ::-1]) / 2)
