"""Resizing images and depth maps."""

from math import floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MIN_SIDE_PX = 32
"""No side of a working size is shorter."""


def resize(image: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Resize an image, averaging where it gets smaller; the outer edges stay the outer edges.

    Args:
        image: (H, W) or (H, W, C), float32, or uint8, which become floats in [0, 1].
        height: of the result.
        width: of the result.

    Returns:
        float32 (height, width) or (height, width, C): each pixel a mean of old ones, whose weights fall linearly to
        where its neighbours' centres are, or the old pixels' if those are further apart.
    """
    return _resampled(image, height, width, Image.Resampling.BILINEAR)


def enlarge(image: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """Enlarge an image and keep it as sharp as it is, since softness is a sign of nearness to a network.

    Args:
        image: (H, W, C), float32 in [0, 1], or uint8.
        height: of the result, at least H.
        width: of the result, at least W.

    Returns:
        float32 (height, width, C) in [0, 1], by Lanczos' windowed sinc of three lobes.
    """
    return _resampled(image, height, width, Image.Resampling.LANCZOS).clip(0, 1)


def _resampled(image: NDArray[Any], height: int, width: int, kernel: Image.Resampling) -> NDArray[np.float32]:
    if image.ndim == 3:
        channels = [_resampled(image[..., channel], height, width, kernel) for channel in range(image.shape[2])]
        return np.stack(channels, axis=-1)
    values = image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image
    if values.shape == (height, width):
        return values
    resized = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(resized.resize((width, height), kernel))


def resize_depth(depth_m: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize a depth map that is valid everywhere, between the four nearest pixels only.

    Args:
        depth_m: metres, (H, W).
        height: of the result.
        width: of the result.

    Returns:
        float32 (height, width); the map itself if that is its size.
    """
    if height >= depth_m.shape[0] and width >= depth_m.shape[1]:
        return resize(depth_m, height, width)  # enlarging averages nothing
    for axis, side in enumerate((height, width)):
        depth_m = _between_nearest(depth_m, side, axis)
    return depth_m


def _between_nearest(values: NDArray[np.float32], side: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation along one axis at the new pixels' centres."""
    own = values.shape[axis]
    places = ((np.arange(side) + 0.5) * (own / side) - 0.5).clip(0, own - 1)
    before = places.astype(np.intp)
    share = (places - before).astype(np.float32).reshape([-1 if axis == number else 1 for number in range(2)])
    first, second = (values.take(index, axis) for index in (before, np.minimum(before + 1, own - 1)))
    result: NDArray[np.float32] = first + (second - first) * share
    return result


def size_with_area(
    height: int, width: int, area_px: int, multiple: int = 1, smallest: int = MIN_SIDE_PX
) -> tuple[int, int]:
    """The size of about `area_px` pixels with the aspect of a picture.

    Args:
        height: of the picture.
        width: of the picture.
        area_px: number of pixels wanted.
        multiple: each side is rounded to a multiple of this.
        smallest: no side is shorter than this; the other is then no longer than the area allows.

    Returns:
        Height and width; those given, if they have the area and are multiples already.
    """
    least = -(-smallest // multiple) * multiple
    scale = sqrt(area_px / (height * width))

    def rounded(side: float) -> int:
        return max(least, floor(side / multiple + 0.5) * multiple)

    new_height, new_width = rounded(height * scale), rounded(width * scale)
    if new_height == least:
        new_width = min(new_width, rounded(area_px / least))
    if new_width == least:
        new_height = min(new_height, rounded(area_px / least))
    return new_height, new_width


def enlargement(height: int, width: int, new_height: int, new_width: int) -> float:
    """How many times as long a focal length in pixels is after resizing: the root of the ratio of areas."""
    return sqrt(new_height * new_width / (height * width))
