"""Resizing pictures and depth maps."""

from math import floor, sqrt

from torch import Tensor
from torch.nn import functional

MIN_SIDE_PX = 32
"""No side of a working size is shorter."""


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize pictures, averaging where they get smaller; the outer edges stay the outer edges.

    Args:
        image: float, (B, C, H, W).
        height: of the result.
        width: of the result.

    Returns:
        (B, C, height, width); the tensor itself if that is its size.
    """
    if image.shape[-2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)


def resize_depth(depth_m: Tensor, height: int, width: int) -> Tensor:
    """Resize depth maps that are valid everywhere, between the four nearest pixels only.

    Args:
        depth_m: metres, (B, 1, H, W).
        height: of the result.
        width: of the result.

    Returns:
        (B, 1, height, width); the tensor itself if that is its size.
    """
    if depth_m.shape[-2:] == (height, width):
        return depth_m
    return functional.interpolate(depth_m, (height, width), mode="bilinear", align_corners=False)


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
