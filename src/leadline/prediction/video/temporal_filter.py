"""Depth that does not flicker: a filter over the frames of a clip that holds still what stands still."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

MIN_SHARE = 0.2
"""What a new frame weighs where nothing moves: noise from frame to frame falls to a seventh of what it was."""
STILL, MOVING = 0.015, 0.04
"""Changes of brightness below which a place stands still and above which it moves. They are averaged with their sign
over `GRAIN_PX`, which takes a camera's noise (0.02 in each colour) down to 0.004, and then without it over `REACH_PX`,
so that a thin thing that passes is seen."""
GRAIN_PX, REACH_PX = 3, 9
FEW, MANY = 0.1, 0.3
"""Parts of the picture: if fewer of its pixels move, a thing moves; if more, the camera does, and nothing is averaged,
since plain surfaces would then stay behind."""
JUMP = 0.15
"""A relative change of depth from here on is believed at once, even where the picture looks the same."""


class TemporalFilter:
    """Averages depth over time where the picture stands still, and takes the new depth where it moves.

    An exponential average in log depth whose weight follows each pixel: `MIN_SHARE` where the smoothed change of
    the picture is below `STILL` and the depth agrees, 1 where it is above `MOVING` or the depth jumps, and everywhere
    if the camera moves.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None  # brightness and depth

    def __call__(self, rgb: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter the next frame.

        Args:
            rgb: the picture, (H, W, 3); a change of size starts anew.
            depth_m: its depth in metres, (H, W), positive everywhere.

        Returns:
            Depth in metres, (H, W).
        """
        grey = _brightness(rgb)
        if self._last is not None and self._last[0].shape == grey.shape:
            depth_m = _averaged(grey - self._last[0], self._last[1], depth_m)
        self._last = grey, depth_m
        return depth_m


def _brightness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean of the three channels in [0, 1], (H, W); many times as quick as NumPy's mean over the last axis."""
    grey = rgb[..., 0].astype(np.float32)
    grey += rgb[..., 1]
    grey += rgb[..., 2]
    grey /= 3
    grey /= 255
    return grey


def _averaged(
    brighter: NDArray[np.float32], last_m: NDArray[np.float32], depth_m: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Depth that goes from the last one to the new one by what the new frame weighs, (H, W)."""
    change = uniform_filter(np.abs(uniform_filter(brighter, GRAIN_PX)), REACH_PX)
    everything = (np.mean(change > STILL) - FEW) / (MANY - FEW)
    if everything >= 1:
        return depth_m
    moving = (change - STILL) / (MOVING - STILL)
    farther = np.log(depth_m / last_m)
    jump = (np.abs(farther) - JUMP / 2) / (JUMP / 2)
    share = np.clip(np.maximum(np.maximum(moving, jump), everything), MIN_SHARE, 1)
    averaged: NDArray[np.float32] = (last_m * np.exp(share * farther)).astype(np.float32)
    return averaged
