"""Surface normals of a depth map, not smeared across edges.

A plane's inverse depth is linear in the pixels, so that windows of it are fitted exactly. Of the windows that hold a
pixel, the one that its plane fits best is taken: at an edge, one that lies on one side.
"""

import numpy as np
from numpy.typing import NDArray

from leadline.geometry.points import known_camera

WINDOW_PX = 7
"""Side of a window in an image of 640 columns; odd."""
FLAT = 1.5e-3
"""A window is flat that its plane fits to this share of the inverse depth."""
_FEWEST = 6  # pixels of a window with depth: three determine a plane
_COARSEST = (
    1e-6  # smallest variance of a window's pixels along its narrow side, in squared pixels, against division by 0
)

Floats = NDArray[np.float64]


def surface_normals(
    depth_m: NDArray[np.float32], valid: NDArray[np.bool_], intrinsics: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Unit normals that point towards the camera.

    Args:
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3).

    Returns:
        (H, W, 3) in camera space: x right, y down, z forward; 0 where there is none.

    Raises:
        LeadlineError: if the camera is unknown.
    """
    matrix = known_camera(intrinsics).astype(np.float64)
    height, width = depth_m.shape
    window = max(WINDOW_PX, round(WINDOW_PX * max(height, width) / 640) // 2 * 2 + 1)
    usable = valid & (depth_m > 0)
    disparity = np.where(usable, 1 / np.where(usable, depth_m, 1), 0).astype(np.float64)
    slopes, misfit = _planes(disparity, usable, window)
    slopes = _best_of_windows(slopes, misfit, window // 2)
    y, x = np.mgrid[:height, :width]
    across, down = slopes
    level = disparity - across * x - down * y
    normals = np.stack([across, down, level], axis=-1) @ matrix  # of n/h = matrixᵀ · (slopes, level)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    known = usable[..., None] & np.isfinite(length) & (length > 0)
    return np.where(known, -normals / np.where(known, length, 1), 0).astype(np.float32)


def _planes(disparity: Floats, usable: NDArray[np.bool_], window: int) -> tuple[Floats, Floats]:
    """Slopes along columns and rows (2, H, W) of the plane in the window around each pixel, and its relative misfit."""
    from scipy.ndimage import uniform_filter  # a sixth of a second, that a depth map does not need

    weight = usable.astype(np.float64)
    y, x = (np.mgrid[: disparity.shape[0], : disparity.shape[1]]).astype(np.float64)

    def mean(values: Floats) -> Floats:
        result: Floats = uniform_filter(values * weight, window, mode="constant")
        return result

    share = np.maximum(mean(np.ones_like(disparity)), 1e-12)
    x0, y0, d0 = (mean(it) / share for it in (x, y, disparity))
    xx, yy = (np.maximum(mean(it * it) / share - at * at, _COARSEST) for it, at in ((x, x0), (y, y0)))
    xy = mean(x * y) / share - x0 * y0
    xd, yd = (mean(it * disparity) / share - at * d0 for it, at in ((x, x0), (y, y0)))
    dd = np.maximum(mean(disparity**2) / share - d0**2, 0)
    determinant = np.maximum(xx * yy - xy * xy, _COARSEST)
    across, down = (yy * xd - xy * yd) / determinant, (xx * yd - xy * xd) / determinant
    misfit = np.maximum(dd - across * xd - down * yd, 0) / np.maximum(d0, 1e-12) ** 2
    misfit[share * window**2 < _FEWEST - 0.5] = np.inf
    return np.stack([across, down]), misfit


def _best_of_windows(slopes: Floats, misfit: Floats, reach: int) -> Floats:
    """For each pixel the slopes of that window around it, or beside it, whose plane fits best."""
    height, width = misfit.shape
    # Its own window where that is flat, as choosing among noise adds to it, and unless another fits clearly better.
    best, least = slopes.copy(), np.where(misfit < FLAT**2, 0, 0.5 * misfit)
    padded = np.pad(misfit, reach, constant_values=np.inf)
    padded_slopes = np.pad(slopes, ((0, 0), (reach, reach), (reach, reach)))
    for down in (0, reach, 2 * reach):
        for across in (0, reach, 2 * reach):
            window = np.s_[down : down + height, across : across + width]
            better = padded[window] < least
            np.copyto(least, padded[window], where=better)
            np.copyto(best, padded_slopes[:, *window], where=better)
    return best
