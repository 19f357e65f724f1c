"""Depth in metres and disparity in 1/metres, and the way between them."""

import torch
from torch import Tensor


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
