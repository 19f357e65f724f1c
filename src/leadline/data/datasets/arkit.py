"""What captures of iPhones and iPads with LiDAR share: ARKit's depth with its confidence.

From Apple's documentation of `ARDepthData` (2025): depth of 256×192 in metres, of the same camera as the picture, and
for each pixel a confidence of 0 (low), 1 (medium) or 2 (high). Beyond 5 m the numbers are a guess.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import require_size
from leadline.data.datasets.folder import MILLIMETRES as MILLIMETRES
from leadline.data.datasets.folder import FolderInfo, read_depth, read_stored

MEDIUM = 1
"""Least confidence of what counts as depth here: the default of Stray Scanner's own visualiser; Polycam advises it."""

UP = (0.0, 1.0, 0.0)
"""Up in a world that ARKit has aligned with gravity, which is its default."""

_DEPTH = FolderInfo()  # whole numbers are millimetres, floats metres, 0 is none


def read_lidar(path: Path, confidence: Path | None, least: int = MEDIUM) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read depth, without what is too unsure.

    Args:
        path: 16-bit millimetres or floats in metres.
        confidence: of each pixel; None or a file that is missing: everything is taken.
        least: the least confidence that counts.

    Returns:
        Metres, float32 (H, W), 0 where invalid; and which pixels are valid, bool (H, W).

    Raises:
        LeadlineError: if a file is broken, or the two differ in size.
    """
    depth_m, valid = read_depth(path, _DEPTH)
    if confidence is None or not confidence.is_file():
        return depth_m, valid
    levels = read_stored(confidence)
    require_size(confidence, levels, depth_m.shape, "depth map")
    return keep_sure(depth_m, valid, levels, least)


def keep_sure(
    depth_m: NDArray[Any], valid: NDArray[Any], levels: NDArray[Any], least: int = MEDIUM
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Depth and mask without the pixels below a confidence."""
    sure = valid & (levels >= least)
    return np.where(sure, depth_m, np.float32(0)), sure
