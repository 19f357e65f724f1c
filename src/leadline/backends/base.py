"""The one contract of whatever answers depth."""

from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, Output, resize_depth

Image = NDArray[Any]
"""RGB, (H, W, 3), uint8 or float32 in [0, 1]."""


class Estimate(NamedTuple):
    """What a backend answers for images of one size."""

    values: NDArray[np.float32]  # (B, H, W), at the images' own size; what they mean is the backend's `output`
    error_maps: Sequence[NDArray[np.float32]] | NDArray[np.float32] | None = None
    """Expected |error| / depth of each image, (h, w) of any size; None if the backend does not say."""

    @property
    def relative_error(self) -> NDArray[np.float32] | None:
        """`error_maps` at the values' size, (B, H, W), which takes a while: not done until somebody asks."""
        if self.error_maps is None:
            return None
        height, width = self.values.shape[1:]
        return np.stack([resize_depth(each, height, width) for each in self.error_maps])


class Backend(Protocol):
    """Anything that answers depth: a leadline model, an ONNX or OpenVINO file, a Hugging Face model."""

    name: str
    """What it goes by in tables and results."""
    output: Output
    """Metres, or depth or disparity up to scale and shift."""
    working_size: tuple[int, int] | None
    """Height and width at which the network sees an image, its aspect aside; None: the image's own, or not told."""
    device: str
    """Where it runs: cpu, cuda or mps."""
    runtime: str
    """What runs it, and in which precision: "onnxruntime float32", "torch bfloat16"."""
    concurrency: int
    """How many images are best answered at a time, each by a thread of the caller's."""

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """The camera that an image of this size is taken to have where nothing tells; None if that is not known."""
        ...

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Answer images of one size.

        Args:
            images: RGB, each (H, W, 3), uint8 or float32 in [0, 1].
            cameras: of each image, of the image's size; None where it is unknown. Metres follow its focal length.

        Raises:
            LeadlineError: if an image cannot be answered.
        """
        ...


def known_focal_px(cameras: Sequence[Camera | None]) -> list[float]:
    """Focal lengths in pixels, NaN where nothing tells: the assumed one is what a backend takes anyway."""
    known = (camera if camera and camera.source is not CameraSource.ASSUMED else None for camera in cameras)
    return [nan if camera is None else camera.focal_px for camera in known]


def require_finite(estimate: Estimate, name: str) -> Estimate:
    """Refuse what a broken network answers: NaN is no depth, and infinities alone are none either.

    Args:
        estimate: of one or several images.
        name: of the model, for the message.

    Returns:
        The estimate; infinite values in it are pixels without an answer.

    Raises:
        LeadlineError: if a value or an error is NaN, or an image has no finite value.
    """
    parts = [estimate.values, *(() if estimate.error_maps is None else estimate.error_maps)]
    if any(bool(np.isnan(part).any()) for part in parts) or not np.isfinite(estimate.values).any(axis=(1, 2)).all():
        share = 1 - np.isfinite(estimate.values).mean()
        raise LeadlineError(
            f"{name} answers numbers that are not finite ({share:.0%} of the pixels): its weights or its file are "
            "damaged, or its training diverged; copy it again or take another model"
        )
    return estimate


def require_metres(backend: Backend) -> None:
    """Refuse a backend whose values have no unit.

    Raises:
        LeadlineError: unless its output is metres.
    """
    if backend.output is not Output.METRES:
        raise LeadlineError(
            f"{backend.name} predicts {backend.output} without a unit, wanted metres: fit known distances with "
            f"leadline calibrate IMAGE points.csv --model {backend.name} --out DIR, then give DIR as the model"
        )
