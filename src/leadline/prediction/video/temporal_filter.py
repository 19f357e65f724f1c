"""Depth that does not flicker: a filter over the frames of a clip that holds still what stands still."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_SHARE = 0.2
"""What a new frame weighs where nothing moves: noise from frame to frame falls to a seventh of what it was."""
STILL, MOVING = 0.015, 0.04
"""Changes of brightness below which a place stands still and above which it moves. They are averaged with their sign
over `GRAIN_PX`, which takes a camera's noise (0.02 in each colour) down to 0.004, and then without it over `REACH_PX`,
so that a thin thing that passes is seen."""
GRAIN_PX, REACH_PX = 3, 9  # nine are three threes, see `_threes`
WHITE = 3 * 255
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
        self._last: tuple[NDArray[np.int16], NDArray[np.float32]] | None = None  # brightness and depth

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


def _brightness(rgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Sum of the three channels, up to `WHITE`, (H, W)."""
    sums = rgb[..., 0].astype(np.int16)
    sums += rgb[..., 1]
    sums += rgb[..., 2]
    return sums


def _averaged(
    brighter: NDArray[np.int16], last_m: NDArray[np.float32], depth_m: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Depth that goes from the last one to the new one by what the new frame weighs, (H, W)."""
    changes = _threes(_threes(np.abs(_threes(brighter)).astype(np.float32)), apart=3)
    changes /= WHITE * GRAIN_PX**2 * REACH_PX**2  # the sums are whole numbers, also as floats below 2^24: exact
    everything = float((np.mean(changes > STILL) - FEW) / (MANY - FEW))  # a float64 would widen what follows
    if everything >= 1:
        return depth_m
    moving = (changes - STILL) / (MOVING - STILL)
    farther = np.log(depth_m / last_m)
    jump = (np.abs(farther) - JUMP / 2) / (JUMP / 2)
    share = np.clip(np.maximum(np.maximum(moving, jump), everything), MIN_SHARE, 1)
    averaged: NDArray[np.float32] = last_m * np.exp(share * farther)
    return averaged


def _threes(values: NDArray[Any], apart: int = 1) -> NDArray[Any]:
    """Sums of each value and those `apart` from it on all sides, (H, W), the picture mirrored beyond its border.

    They take a third of the time of SciPy's `uniform_filter`.
    """
    height, width = values.shape
    padded = np.pad(values, apart, mode="symmetric")
    rows = padded[:height] + padded[apart : apart + height]
    rows += padded[2 * apart :]
    sums: NDArray[Any] = rows[:, :width] + rows[:, apart : apart + width]
    sums += rows[:, 2 * apart :]
    return sums
