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
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None  # brightness and log depth

    def __call__(self, rgb: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter the next frame.

        Args:
            rgb: the picture, (H, W, 3); a change of size starts anew.
            depth_m: its depth in metres, (H, W), positive everywhere.

        Returns:
            Depth in metres, (H, W).
        """
        grey, log_depth = _brightness(rgb), np.log(depth_m)
        if self._last is not None and self._last[0].shape == grey.shape:
            last_grey, last_log_depth = self._last
            share = _share(grey - last_grey, log_depth - last_log_depth)
            log_depth = (1 - share) * last_log_depth + share * log_depth
        self._last = grey, log_depth
        smoothed: NDArray[np.float32] = np.exp(log_depth).astype(np.float32)
        return smoothed


def _brightness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean of the three channels in [0, 1], (H, W); many times as quick as NumPy's mean over the last axis."""
    grey = rgb[..., 0].astype(np.float32)
    grey += rgb[..., 1]
    grey += rgb[..., 2]
    grey /= 3
    grey /= 255
    return grey


def _share(brighter: NDArray[np.float32], farther: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the new frame weighs, from the changes of brightness and of log depth, (H, W)."""
    change = uniform_filter(np.abs(uniform_filter(brighter, GRAIN_PX)), REACH_PX)
    moving = (change - STILL) / (MOVING - STILL)
    everything = (np.mean(moving > 0) - FEW) / (MANY - FEW)
    jump = (np.abs(farther) - JUMP / 2) / (JUMP / 2)
    share: NDArray[np.float32] = np.clip(np.maximum(np.maximum(moving, jump), everything), MIN_SHARE, 1).astype(
        np.float32
    )
    return share
