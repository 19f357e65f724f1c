"""Any backend's estimates as what is scored, and the choice between a backend and a folder of maps."""

from pathlib import Path

import numpy as np
import torch

from leadline.backends import FEW_IMAGES, Backend, Estimate, Image, estimate_square, find_kind, open_backend
from leadline.data import DepthDataset, GroundTruth, Sample
from leadline.evaluation.prediction_files import FILES, FilesScorer, is_folder_of_maps
from leadline.evaluation.scorer import ImageEstimate, ScoredImage, Scorer
from leadline.geometry import Camera
from leadline.models import resize_depth


def open_scorer(model: str | Path, dataset: DepthDataset) -> Scorer:
    """Open whatever is to be scored.

    Args:
        model: "files:DIR" (predictions made elsewhere), or what `leadline.backends.open_backend` takes.
        dataset: the images; their names are those of the files.

    Raises:
        LeadlineError: if there is no such model or folder, or it cannot be opened.
    """
    if is_folder_of_maps(model):
        return FilesScorer(Path(str(model).removeprefix(FILES)), dataset)
    if len(dataset) >= FEW_IMAGES and isinstance(model, str | Path) and find_kind(model)[0] == "leadline":
        model = f"torch:{find_kind(model)[1]}"  # whose numbers the docs have; for few, as predict answers them
    return BackendScorer(open_backend(model, len(dataset)))


class BackendScorer:
    """A backend's estimates, by the camera that the data set gives each image.

    Attributes:
        name: the backend's.
        runtime: likewise.
        output: likewise.
        concurrency: likewise.
    """

    def __init__(self, backend: Backend) -> None:
        """Score a backend that is open."""
        self._backend = backend
        self.name, self.runtime = backend.name, backend.runtime
        self.output, self.concurrency = backend.output, backend.concurrency

    def open_image(self, dataset: DepthDataset, index: int) -> ScoredImage:
        """Decode an image with its depth; see `Scorer`."""
        sample = dataset[index]
        return ScoredImage(GroundTruth(sample.depth_m, sample.valid), lambda flip: self._estimate(sample, flip))

    def _estimate(self, sample: Sample, flip: bool) -> ImageEstimate:
        image, camera = sample.image.permute(1, 2, 0).numpy(), sample.camera
        estimate = estimate_square(image, camera, self._ask)
        if flip:
            others = estimate_square(image[:, ::-1], camera and camera.mirrored(), self._ask)
            estimate = _mean_with_mirror_image(estimate, others)
        metres, error = torch.from_numpy(estimate.values)[:, None], estimate.relative_error
        spread = None if error is None else metres * torch.from_numpy(error)[:, None]
        size = sample.depth_m.shape[-2:]
        return ImageEstimate(resize_depth(metres, *size), None if spread is None else resize_depth(spread, *size))

    def _ask(self, image: Image, camera: Camera | None) -> Estimate:
        return self._backend.estimate([image], [camera])


def _mean_with_mirror_image(estimate: Estimate, mirrored: Estimate) -> Estimate:
    """Mean of values and of relative errors, those of the mirror image turned back."""
    half = np.float32(0.5)  # exact, as dividing by 2 is
    values = (estimate.values + mirrored.values[..., ::-1]) * half
    error, mirrored_error = estimate.relative_error, mirrored.relative_error
    if error is None or mirrored_error is None:
        return Estimate(values)
    return Estimate(values, (error + mirrored_error[..., ::-1]) * half)
