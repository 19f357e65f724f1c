"""Pinhole cameras, and how they follow an image through resize, crop and mirror.

Convention, the same everywhere: a pixel's centre lies at its integer coordinates, so the centre of the upper left
pixel is (0, 0), an image of width W reaches from -0.5 to W - 0.5, and its middle is (W - 1) / 2. The matrix is
[[fx, skew, cx], [0, fy, cy], [0, 0, 1]], in pixels.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import atan, degrees, inf, isfinite, radians, tan
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadline.errors import LeadlineError


class CameraSource(StrEnum):
    """Where a camera is from, best first: the one rule of precedence of every command."""

    GIVEN = "given"
    """By the user, for this image."""
    DATA_SET = "data set"
    """A column of the index, else dataset.toml."""
    EXIF = "EXIF"
    """Written into the image by its camera."""
    ASSUMED = "assumed"
    """That of the training images."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """The pinhole camera of one image."""

    fx: float
    """Focal length along the rows, in pixels."""
    fy: float
    """Focal length along the columns, in pixels."""
    cx: float
    """Where the optical axis meets the image, in pixels from the centre of the leftmost pixel."""
    cy: float
    """The same from the centre of the topmost pixel."""
    width: int
    """Of the image in pixels."""
    height: int
    """Of the image in pixels."""
    source: CameraSource = CameraSource.GIVEN
    skew: float = 0.0
    """How far x moves with y, in pixels; 0 for nearly every camera."""

    def __post_init__(self) -> None:
        """Refuse numbers that are no camera's."""
        if not (0 < self.fx < inf and 0 < self.fy < inf):
            raise LeadlineError(
                f"a focal length is a positive number of pixels, got {self.fx:g} and {self.fy:g}: check the unit"
            )
        if not (isfinite(self.cx) and isfinite(self.cy) and isfinite(self.skew) and min(self.width, self.height) > 0):
            raise LeadlineError(f"a camera has a finite centre and an image with pixels, got {self}: check its numbers")

    @classmethod
    def from_focal_px(cls, focal_px: float, width: int, height: int, source: CameraSource = CameraSource.GIVEN) -> Self:
        """A camera with square pixels that looks through the middle of its image."""
        cx, cy = (width - 1) / 2, (height - 1) / 2
        return cls(fx=focal_px, fy=focal_px, cx=cx, cy=cy, width=width, height=height, source=source)

    @classmethod
    def from_fov_deg(cls, fov_deg: float, width: int, height: int, source: CameraSource = CameraSource.GIVEN) -> Self:
        """The same from its horizontal field of view in degrees, see `focal_px_from_fov`."""
        return cls.from_focal_px(focal_px_from_fov(fov_deg, width), width, height, source)

    @classmethod
    def from_matrix(cls, matrix: ArrayLike, width: int, height: int, source: CameraSource = CameraSource.GIVEN) -> Self:
        """A camera from its matrix (3, 3) in pixels of its image."""
        values = np.asarray(matrix, dtype=np.float64)
        if values.shape != (3, 3):
            raise LeadlineError(f"wanted a pinhole matrix (3, 3) in pixels, got shape {values.shape}")
        (fx, skew, cx), (_, fy, cy), _ = values.tolist()
        return cls(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height, source=source, skew=skew)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """[[fx, skew, cx], [0, fy, cy], [0, 0, 1]] in pixels."""
        return np.array([[self.fx, self.skew, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float32)

    @property
    def focal_px(self) -> float:
        """Focal length along the rows, in pixels."""
        return self.fx

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view in degrees, of a camera that looks through the middle of its image."""
        return fov_deg_from_focal(self.fx, self.width)

    def resized(self, width: int, height: int) -> Self:
        """The camera of the image after a resize, which keeps its outer edges: x goes to (x + 0.5) * scale - 0.5."""
        across, down = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=(self.cx + 0.5) * across - 0.5,
            cy=(self.cy + 0.5) * down - 0.5,
            skew=self.skew * across,
            width=width,
            height=height,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Self:
        """The camera of a part of the image; negative `left` and `top` where columns and rows were added."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def mirrored(self) -> Self:
        """The camera of the image after it was mirrored left to right, the scene with it."""
        return replace(self, cx=self.width - 1 - self.cx, skew=-self.skew)

    def squared(self) -> Self:
        """The camera of the image after it was brought to square pixels: its height follows, its width stays."""
        resized = self.resized(self.width, max(1, round(self.height * self.fx / self.fy)))
        return replace(resized, fy=self.fx)  # rounding the height left less than half a pixel


def choose_camera(
    given: Camera | None = None,
    data_set: Camera | None = None,
    exif: Camera | None = None,
    assumed: Camera | None = None,
) -> Camera | None:
    """The best known camera of an image: given → data set → EXIF → assumed; None if nothing tells.

    Every command that looks at an image asks here, so that the same image has the same metres everywhere.
    """
    return next((camera for camera in (given, data_set, exif, assumed) if camera is not None), None)


def focal_px_from_fov(fov_deg: float, width_px: int) -> float:
    """Focal length of a pinhole camera with a known field of view.

    Args:
        fov_deg: horizontal field of view in degrees, between the picture's outer edges.
        width_px: width of the picture in pixels.

    Returns:
        The focal length in pixels: (width / 2) / tan(fov / 2).

    Raises:
        LeadlineError: unless the field of view lies between 0 and 180 degrees.
    """
    if not 0 < fov_deg < 180:
        raise LeadlineError(
            f"a horizontal field of view lies between 0 and 180 degrees, got {fov_deg}: "
            f"about 65 fits a phone's main camera"
        )
    return width_px / 2 / tan(radians(fov_deg) / 2)


def fov_deg_from_focal(focal_px: float, width_px: int) -> float:
    """Horizontal field of view in degrees of a focal length in pixels; undoes `focal_px_from_fov`.

    Args:
        focal_px: focal length in pixels.
        width_px: width of the picture in pixels.

    Returns:
        The angle between the picture's outer edges in degrees.
    """
    return degrees(2 * atan(width_px / 2 / focal_px))
