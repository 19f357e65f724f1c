"""What a depth in metres may be, and how it turns into disparity and back."""

from dataclasses import dataclass
from math import inf, isfinite

import torch
from torch import Tensor

from leadline.errors import UserError


@dataclass(frozen=True)
class DepthRange:
    """The depths that a model can express.

    Raises:
        UserError: unless 0 < min_m < max_m, both finite.
    """

    min_m: float
    """Nearest depth in metres."""

    max_m: float
    """Farthest depth in metres."""

    def __post_init__(self) -> None:
        """Refuse a range that is empty, reversed or not finite."""
        if not (0 < self.min_m < self.max_m and isfinite(self.max_m)):
            raise UserError(
                f"a depth range needs 0 < min_m < max_m in metres, got min_m {self.min_m} and "
                f"max_m {self.max_m}: give the nearest depth first, for example 0.5 and 10"
            )

    @property
    def centre_m(self) -> float:
        """The middle of the range in metres."""
        return (self.max_m + self.min_m) / 2

    @property
    def half_m(self) -> float:
        """Half the length of the range in metres."""
        return (self.max_m - self.min_m) / 2


RANGES: dict[str, DepthRange] = {
    "report": DepthRange(0.5, 4.0),
    "indoor": DepthRange(0.5, 10.0),
}


def valid_depth(depth_m: Tensor, min_m: float = 0.0, max_m: float = inf) -> Tensor:
    """Mark the depths that can be used.

    Args:
        depth_m: depth in metres, any shape; may hold NaN, infinities, zeros and negative numbers.
        min_m: nearest depth to keep, itself kept.
        max_m: farthest depth to keep, itself kept.

    Returns:
        Bool, the shape of `depth_m`: finite, positive and within [min_m, max_m].
    """
    return depth_m.isfinite() & (depth_m > 0) & (depth_m >= min_m) & (depth_m <= max_m)


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
