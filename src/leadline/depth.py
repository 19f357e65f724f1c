"""Depth in metres and disparity in 1/metres, and the way between them."""

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_MM = 65535
"""What 16 bits can hold."""


class Output(StrEnum):
    """What the values of a prediction mean."""

    METRES = "metres"
    """Depth along the optical axis in metres."""
    DEPTH = "depth"
    """Depth up to an unknown scale and shift: larger is farther."""
    DISPARITY = "disparity"
    """1/depth up to an unknown scale and shift: larger is nearer."""


def _inverse(value: Tensor) -> Tensor:
    """1 / value where that is finite and positive, else 0; the gradient is 0 there too, never NaN."""
    usable = value.isfinite() & (value > 0) & value.reciprocal().isfinite()
    one = torch.ones((), dtype=value.dtype, device=value.device)
    zero = torch.zeros((), dtype=value.dtype, device=value.device)
    return torch.where(usable, one / torch.where(usable, value, one), zero)


def depth_to_disparity(depth_m: Tensor) -> Tensor:
    """Turn depth into disparity.

    Args:
        depth_m: depth in metres, any shape.

    Returns:
        Disparity in 1/m; 0 where the depth is not finite and positive.
    """
    return _inverse(depth_m)


def disparity_to_depth(disparity: Tensor) -> Tensor:
    """Turn disparity into depth.

    Args:
        disparity: in 1/m, any shape.

    Returns:
        Depth in metres; 0, which is no valid depth, where the disparity is not finite and positive.
    """
    return _inverse(disparity)


def to_millimetres(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Depth as the 16-bit millimetres of depth files, 0 where there is none.

    What 16 bits cannot hold becomes 0 too, rather than a wrong number: depths beyond 65.535 m, below half a
    millimetre, NaN and infinities.

    Args:
        depth_m: depth in metres, any shape.
        valid: bool, of the same shape.
    """
    millimetres = np.rint(np.where(valid & np.isfinite(depth_m), depth_m, 0) * np.float32(1000))
    return np.where((millimetres > 0) & (millimetres <= MOST_MM), millimetres, 0).astype(np.uint16)
