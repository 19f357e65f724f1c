"""Images whose pixels are not square, brought to square ones before a network sees them, and its answers back."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.backends.base import Estimate
from leadline.geometry import Camera, enlarge, resize_depth


def estimate_square(
    image: NDArray[Any],
    camera: Camera | None,
    answer: Callable[[NDArray[Any], Camera | None], Estimate],
) -> Estimate:
    """Ask for one image's estimate in square pixels: networks have seen no others, and scales follow one focal length.

    Every command that asks a backend about an image asks here.

    Args:
        image: RGB (H, W, 3), uint8 or float32 in [0, 1].
        camera: of the image; None if unknown, which has square pixels.
        answer: takes an image and its camera, whose pixels are square.

    Returns:
        What it answers, at the image's own size.
    """
    if camera is None or camera.has_square_pixels:
        return answer(image, camera)
    square = camera.squared()
    values, error_maps = answer(enlarge(image, square.height, square.width), square)
    height, width = image.shape[:2]
    return Estimate(np.stack([resize_depth(each, height, width) for each in values]), error_maps)
