"""How a lens differs from a pinhole: distortion models, how strong one is, and images without it.

Models work on normalised coordinates, (x - cx) / fx and (y - cy) / fy, so that resizing and cropping leave them as they
are. Coefficients are in OpenCV's order.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
"""One coordinate of many points, any shape."""


class LensModel(StrEnum):
    """What leads from a ray to its place in the image."""

    RADIAL_TANGENTIAL = "radial-tangential"
    """OpenCV's (Brown-Conrady): k1, k2, p1, p2, k3, k4, k5, k6."""
    INVERSE_RADIAL_TANGENTIAL = "inverse radial-tangential"
    """The same from the place in the image to the ray, as RealSense has it: k1, k2, p1, p2, k3."""
    KANNALA_BRANDT = "equidistant fish-eye"
    """OpenCV's fisheye, Kalibr's equidistant: k1, k2, k3, k4 of the angle to the optical axis."""
    PANORAMA = "panorama"
    """Columns and rows are angles."""
    OTHER = "unknown"
    """A model of another kind."""


@dataclass(frozen=True)
class Lens:
    """A lens that is no pinhole."""

    model: LensModel
    coefficients: tuple[float, ...] = ()
    """In OpenCV's order, as `LensModel` lists them; those left out are 0."""
    name: str = ""
    """What its file calls the model."""

    def __str__(self) -> str:
        """The model and its coefficients."""
        numbers = " ".join(f"{value:.4g}" for value in self.coefficients)
        return f"{self.name if self.model in (LensModel.OTHER, LensModel.PANORAMA) else self.model} {numbers}".strip()

    def mirrored(self) -> Self:
        """The lens of the image mirrored left to right: what shifts sideways shifts to the other side."""
        if self.model not in _PROJECTIONS or self.model is LensModel.KANNALA_BRANDT or len(self.coefficients) < 4:
            return self
        k1, k2, p1, p2, *others = self.coefficients
        return replace(self, coefficients=(k1, k2, p1, -p2, *others))

    @property
    def can_be_removed(self) -> bool:
        """Whether `distorted` knows the model."""
        return self.model in _PROJECTIONS

    def distorted(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Where the lens shows what a pinhole shows at normalised (x, y)."""
        return _PROJECTIONS[self.model][0](x, y, self.coefficients)

    def undistorted(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Where a pinhole shows what the lens shows at normalised (x, y); infinite where it cannot."""
        return _PROJECTIONS[self.model][1](x, y, self.coefficients)

    def largest_shift(self, x: Plane, y: Plane) -> float:
        """How far points are from where a pinhole shows them, as the largest share of their distance from the axis."""
        if not self.can_be_removed:
            return np.inf
        seen_x, seen_y = self.distorted(x, y)
        return float((np.hypot(seen_x - x, seen_y - y) / np.maximum(np.hypot(x, y), 1e-9)).max())


def _radial_tangential(x: Plane, y: Plane, coefficients: tuple[float, ...]) -> tuple[Plane, Plane]:
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *(0.0,) * 8)[:8]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def _inverse_radial_tangential(x: Plane, y: Plane, coefficients: tuple[float, ...]) -> tuple[Plane, Plane]:
    """The place that `_radial_tangential` leads to (x, y), by fixed-point iteration."""
    seen_x, seen_y = x, y
    for _ in range(20):
        back_x, back_y = _radial_tangential(seen_x, seen_y, coefficients)
        seen_x, seen_y = seen_x + (x - back_x), seen_y + (y - back_y)
    return seen_x, seen_y


def _kannala_brandt(x: Plane, y: Plane, coefficients: tuple[float, ...]) -> tuple[Plane, Plane]:
    k1, k2, k3, k4 = (*coefficients, *(0.0,) * 4)[:4]
    r = np.hypot(x, y)
    angle = np.arctan(r)
    a2 = angle * angle
    seen = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    scale = np.where(r > 1e-9, seen / np.maximum(r, 1e-9), 1.0)
    return x * scale, y * scale


def _inverse_kannala_brandt(x: Plane, y: Plane, coefficients: tuple[float, ...]) -> tuple[Plane, Plane]:
    """The place that `_kannala_brandt` leads to (x, y), the angle by fixed-point iteration."""
    k1, k2, k3, k4 = (*coefficients, *(0.0,) * 4)[:4]
    seen = np.hypot(x, y)
    angle = seen
    for _ in range(20):
        a2 = angle * angle
        angle = seen / (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    in_front = (angle >= 0) & (angle < np.pi / 2)
    scale = np.where(in_front, np.tan(angle) / np.maximum(seen, 1e-9), np.inf)
    scale = np.where(seen > 1e-9, scale, 1.0)
    return x * scale, y * scale


_Projection = Callable[[Plane, Plane, tuple[float, ...]], tuple[Plane, Plane]]
_PROJECTIONS: dict[LensModel, tuple[_Projection, _Projection]] = {
    LensModel.RADIAL_TANGENTIAL: (_radial_tangential, _inverse_radial_tangential),
    LensModel.INVERSE_RADIAL_TANGENTIAL: (_inverse_radial_tangential, _radial_tangential),
    LensModel.KANNALA_BRANDT: (_kannala_brandt, _inverse_kannala_brandt),
}
"""What leads from a pinhole's image to the lens', and back."""


def resample(image: NDArray[Any], x: Plane, y: Plane) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """An image's values at places between its pixels, bilinear.

    Args:
        image: (H, W, C).
        x: columns, (h, w).
        y: rows, (h, w).

    Returns:
        Values of the image's type, (h, w, C), 0 outside of the image; and which places are inside, (h, w).
    """
    height, width = image.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left).astype(np.float32)[..., None], (y - top).astype(np.float32)[..., None]
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    values = np.where(inside[..., None], upper * (1 - down) + lower * down, 0)
    return (np.rint(values) if image.dtype == np.uint8 else values).astype(image.dtype), inside
