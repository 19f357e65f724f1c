"""How evaluation asks backends today; goes when it asks `Backend.estimate` itself."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from leadline.backends.base import Answer, Estimate, Image
from leadline.data import Batch
from leadline.geometry import Camera, CameraSource


class BatchPredictor:
    """Makes a backend a `leadline.backends.base.Predictor`."""

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """As `Backend` says."""
        raise NotImplementedError

    def __call__(self, batch: Batch, flip: bool) -> Answer:
        """Answer a batch, or the mean over it and its mirror image."""
        height, width = batch.image.shape[-2:]
        focal_px = batch.intrinsics[:, 0, 0].tolist()
        cameras = [
            Camera.from_focal_px(focal, width, height, CameraSource.DATA_SET) if np.isfinite(focal) else None
            for focal in focal_px
        ]
        values, error = self._answer_all(batch.image, cameras)
        if flip:
            mirrored, mirrored_error = self._answer_all(batch.image.flip(-1), cameras)
            values = (values + mirrored.flip(-1)) / 2
            error = None if error is None or mirrored_error is None else (error + mirrored_error.flip(-1)) / 2
        return Answer(values, None if error is None else values * error)

    def _answer_all(self, image: Tensor, cameras: Sequence[Camera | None]) -> tuple[Tensor, Tensor | None]:
        values, error = self.estimate(list(image.permute(0, 2, 3, 1).numpy()), cameras)
        return torch.from_numpy(values)[:, None], None if error is None else torch.from_numpy(error)[:, None]
