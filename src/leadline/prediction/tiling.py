"""Large pictures in overlapping tiles: low frequencies of depth from the whole picture, details from the tiles."""

from collections.abc import Callable, Iterator
from math import ceil, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.geometry import resize, resize_depth, size_with_area

MAX_ENLARGED = 2.0
"""A tile shows things at most so many times as large as the whole does: a network that sees a piece of wall and
nothing around it knows nothing of its shape. (Of a panorama the whole shows so little that its tiles, which are as
high as it is, may show more.)"""
OVERLAP = 0.25
"""Least part of a tile that the next one covers too."""
SLOW = 0.06
"""Standard deviation, in short sides of a tile, of the Gauss filter that tells slow from fast changes of depth."""


class _Axis(NamedTuple):
    """Tiles along one side of a picture."""

    starts: list[int]  # first pixel of each
    weights: list[NDArray[np.float32]]  # (pixels,) each, which sum to 1 at every pixel of the side


def tiled_depth(
    image: NDArray[Any], ask: Callable[[NDArray[Any]], NDArray[np.float32]], height: int, width: int
) -> NDArray[np.float32]:
    """Predict depth of one large picture with more detail than one look at it gives.

    The whole picture, at the working size, says how far things are. Each tile is a crop, hence has a larger apparent
    focal length: the network takes its things for nearer by one factor, which is also all that is fitted, by the
    median of the ratios to the whole. (A shift in metres has no cause, and cannot be told from a factor where a tile
    shows one wall.) Tiles are blended in log depth with weights that rise and fall as a Hann window does; then the slow
    changes of the result are replaced by the whole's, so that tiles that bend otherwise leave no trace.

    Args:
        image: RGB, (H, W, 3), uint8 or float32 in [0, 1].
        ask: depth in metres (h, w), positive, of such an image (h, w, 3) of any size.
        height: the working height of what is asked, in pixels.
        width: its working width.

    Returns:
        Metres as `ask` says of the whole, (H, W); that answer itself where the picture is too small for tiles.
    """
    from scipy.ndimage import gaussian_filter  # a sixth of a second, that one look does not need

    full = image.shape[0], image.shape[1]
    working = size_with_area(*full, height * width)
    whole_m = ask(resize(image, *working))
    shrunk = sqrt(full[0] * full[1] / (working[0] * working[1]))  # pixels per pixel of the whole's look
    # The same of a tile's look; tiles keep the working aspect, hence fit into a panorama.
    per_pixel = max(1.0, min(shrunk / MAX_ENLARGED, full[0] / height, full[1] / width))
    rows, columns = (
        _axis(min(side, round(per_pixel * of)), side) for side, of in zip(full, (height, width), strict=True)
    )
    if len(rows.starts) == len(columns.starts) == 1:
        return resize_depth(whole_m, *full)
    coarse = np.log(resize_depth(whole_m, *full))
    fine = np.zeros_like(coarse)
    for window, weight in _tiles(rows, columns):
        log_depth = np.log(ask(image[window]))
        log_depth += _lower_median(coarse[window] - log_depth)
        fine[window] += weight * log_depth
    del coarse
    sigma = SLOW * min(len(rows.weights[0]), len(columns.weights[0])) / shrunk
    difference = np.log(whole_m) - resize(fine, *working)
    fine += resize_depth(gaussian_filter(difference, sigma, mode="nearest"), *full)
    return np.exp(fine, out=fine)


def _lower_median(values: NDArray[np.float32]) -> np.float32:
    """The median; of an even number, the lower of the two in the middle."""
    middle = (values.size - 1) // 2
    lower: np.float32 = np.partition(values, middle, axis=None)[middle]
    return lower


def _axis(length: int, side: int) -> _Axis:
    """Lay tiles of one length, or one as long as the side, evenly along it, overlapping by at least `OVERLAP`."""
    length = min(length, side)
    count = 1 + ceil((side - length) / (length * (1 - OVERLAP)))
    starts = np.linspace(0, side - length, count).round().astype(int).tolist()
    window = np.sin((np.arange(length) + 0.5) * (pi / length)) ** 2
    total = np.zeros(side)
    for start in starts:
        total[start : start + length] += window
    return _Axis(starts, [(window / total[start : start + length]).astype(np.float32) for start in starts])


def _tiles(rows: _Axis, columns: _Axis) -> Iterator[tuple[tuple[slice, slice], NDArray[np.float32]]]:
    """Rows and columns of each tile, and its weights (h, w)."""
    for top, down in zip(rows.starts, rows.weights, strict=True):
        for left, across in zip(columns.starts, columns.weights, strict=True):
            window = slice(top, top + len(down)), slice(left, left + len(across))
            yield window, down[:, None] * across
