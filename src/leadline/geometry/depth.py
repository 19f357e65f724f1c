"""Depth in metres: what values mean, how they are stored, and where they lie."""

from enum import StrEnum
from math import ceil, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.geometry.camera import Camera

MAX_MM = 65535
"""What 16 bits can hold."""


class Output(StrEnum):
    """What the values of a prediction mean."""

    METRES = "metres"
    """Depth along the optical axis in metres."""
    DEPTH = "depth"
    """Depth up to an unknown scale and shift: larger is farther."""
    DISPARITY = "disparity"
    """1/depth up to an unknown scale and shift: larger is nearer."""


def depth_along_axis(distance_m: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Turn distances from the camera, along each pixel's ray, into depths along its optical axis.

    Args:
        distance_m: metres, (H, W), of the camera's view at any resolution.
        camera: the camera.

    Returns:
        Metres, (H, W): distance / sqrt(1 + x² + y²), where (x, y, 1) is the ray.
    """
    height, width = distance_m.shape
    seen = camera.resized(width, height)
    y = (np.arange(height)[:, None] - seen.cy) / seen.fy
    x = (np.arange(width)[None] - seen.cx - seen.skew * y) / seen.fx
    return (distance_m / np.sqrt(1 + x**2 + y**2)).astype(np.float32)


def to_millimetres(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Depth as the 16-bit millimetres of depth files, 0 where there is none.

    What 16 bits cannot hold becomes 0 too, rather than a wrong number: depths beyond 65.535 m, below half a
    millimetre, NaN and infinities.

    Args:
        depth_m: depth in metres, any shape.
        valid: bool, of the same shape.
    """
    with np.errstate(over="ignore"):  # what becomes infinite has no number
        millimetres = np.rint(depth_m * np.float32(1000))
    fits = (millimetres > 0) & (millimetres <= MAX_MM) & valid  # NaN is neither
    return np.where(fits, millimetres, 0).astype(np.uint16)


_MAX_SAMPLES = 1_000_000  # percentiles of more depths than this would cost more than they gain


class DepthSummary(NamedTuple):
    """Where the depths of a picture lie; NaN if none is valid."""

    near_m: float  # 2nd percentile
    median_m: float
    far_m: float  # 98th percentile


def summarize_depth(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> DepthSummary:
    """Near, middle and far of a depth map, without its outliers.

    Args:
        depth_m: depth in metres, any shape.
        valid: which of them count, the same shape.

    Returns:
        The 2nd, 50th and 98th percentile of the valid depths (of an even sample, if there are very many).
    """
    depths_m = depth_m[valid & np.isfinite(depth_m)]
    if depths_m.size == 0:
        return DepthSummary(nan, nan, nan)
    step = ceil(depths_m.size / _MAX_SAMPLES)
    near_m, median_m, far_m = np.percentile(depths_m[::step], (2, 50, 98))
    return DepthSummary(float(near_m), float(median_m), float(far_m))
