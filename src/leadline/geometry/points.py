"""Coloured points from depth, without those that fly between surfaces."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError

FLYING_RATIO = 1.08
"""Largest ratio of depths within 3×3 pixels of one surface, in a picture of `FLYING_AREA_PX`. A floor seen from 1.2 m
above at 10 m, with 520 px of focal length, has 1.03; across the edge of a thing a network's depth slides from near to
far through points where nothing is, at more than this."""


FLYING_AREA_PX = 640 * 480
"""In a larger picture the window is larger: the slide is as long in the scene, not in pixels."""


class Cloud(NamedTuple):
    """Coloured points."""

    points_m: NDArray[np.float32]  # (N, 3): x right, y down, z forward, in metres
    rgb: NDArray[np.uint8]  # (N, 3)


def on_surface(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels lie on a surface, and do not fly between one thing and what is behind it.

    Args:
        depth_m: metres, (H, W).
        valid: bool, (H, W).

    Returns:
        bool (H, W): valid, and depths of the valid pixels around within `FLYING_RATIO` of each other.
    """
    from scipy.ndimage import maximum_filter, minimum_filter  # a sixth of a second, that a depth map does not need

    window_px = 2 * max(1, round(sqrt(depth_m.size / FLYING_AREA_PX))) + 1
    far_m = maximum_filter(np.where(valid, depth_m, 0), size=window_px, mode="nearest")
    near_m = minimum_filter(np.where(valid, depth_m, np.inf), size=window_px, mode="nearest")
    surface: NDArray[np.bool_] = valid & (far_m <= FLYING_RATIO * near_m)
    return surface


def known_camera(intrinsics: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The intrinsics, where they are known.

    Raises:
        LeadlineError: if they are None or NaN.
    """
    if intrinsics is None or not np.isfinite(intrinsics).all():
        raise LeadlineError(
            "points in space need the camera: give --focal-px, --fov or --intrinsics, or a picture whose EXIF tells"
        )
    return intrinsics


def point_cloud(
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
) -> Cloud:
    """Unproject a picture, leaving flying pixels out.

    Args:
        rgb: (H, W, 3).
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3).

    Returns:
        The points that lie on a surface.

    Raises:
        LeadlineError: if the camera is unknown.
    """
    kept = on_surface(depth_m, valid)
    return Cloud(vertices_of(depth_m, intrinsics)[kept], rgb[kept])


def vertices_of(depth_m: NDArray[np.float32], intrinsics: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Unproject a depth map into camera space.

    Args:
        depth_m: metres along the optical axis, (H, W).
        intrinsics: pinhole matrix in pixels of this depth map, (3, 3).

    Returns:
        Points in metres, (H, W, 3): x right, y down, z forward.

    Raises:
        LeadlineError: if the camera is unknown.
    """
    matrix = known_camera(intrinsics).astype(np.float32)
    height, width = depth_m.shape
    ray_y = (np.arange(height, dtype=np.float32)[:, None] - matrix[1, 2]) / matrix[1, 1]
    ray_x = (np.arange(width, dtype=np.float32) - matrix[0, 2] - matrix[0, 1] * ray_y) / matrix[0, 0]
    return np.stack([ray_x * depth_m, ray_y * depth_m, depth_m], axis=-1)
