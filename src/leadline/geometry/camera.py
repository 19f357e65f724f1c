"""Pinhole cameras, and how they follow an image through resize, crop and mirror.

Convention, the same everywhere: a pixel's centre lies at its integer coordinates, so the centre of the upper left
pixel is (0, 0), an image of width W reaches from -0.5 to W - 0.5, and its middle is (W - 1) / 2. The matrix is
[[fx, skew, cx], [0, fy, cy], [0, 0, 1]], in pixels.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import atan, degrees, inf, isfinite, pi, radians, sqrt, tan
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadline.errors import LeadlineError, shown
from leadline.geometry.arguments import Count, check_fields, checked
from leadline.geometry.lens import Lens, resample

FOCAL_SIDES = (0.1, 100.0)
"""Focal lengths that there are, in longer sides of the image: fields of view of 157 and 0.6 degrees."""
CENTRE_SHARE = (0.25, 0.75)
"""Where an optical axis meets an image that is not cut out of another one, as shares of its sides."""
MAX_PIXEL_ASPECT = 10.0
MAX_SKEW_SHARE = 0.05
"""The largest skew as a share of the focal length: rows and columns of a sensor are at right angles."""
SQUARE_TOLERANCE = 0.01
"""Pixels whose sides differ by less are taken for square: most calibrations find fx and fy a little apart."""
STRONG_SHIFT = 0.05
"""A lens that moves a corner by a larger share of its distance from the axis is not taken for a pinhole."""
PHONE_SENSOR_MM, FULL_SENSOR_MM = 5.6, 36.0
"""Widths of sensors that focal lengths in millimetres are usually of: phones', and what cameras convert to."""


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
    width: Count
    """Of the image in pixels."""
    height: Count
    """Of the image in pixels."""
    source: CameraSource = CameraSource.GIVEN
    skew: float = 0.0
    """How far x moves with y, in pixels; 0 for nearly every camera."""
    lens: Lens | None = None
    """How it differs from a pinhole; None: not, as far as is known."""
    undistort: bool = False
    """Whether the image is to be brought to what a pinhole sees before anything else."""
    removed: Lens | None = None
    """What it was brought there from."""

    def __post_init__(self) -> None:
        """Refuse numbers that are no camera's."""
        check_fields(self)
        if not (0 < self.fx < inf and 0 < self.fy < inf):
            raise LeadlineError(
                f"a focal length is a positive number of pixels, got {self.fx:g} and {self.fy:g}: check the unit"
            )
        if not (isfinite(self.cx) and isfinite(self.cy) and isfinite(self.skew) and min(self.width, self.height) > 0):
            raise LeadlineError(f"a camera has a finite centre and an image with pixels, got {self}: check its numbers")

    @classmethod
    @checked
    def from_focal_px(
        cls, focal_px: float, width: Count, height: Count, source: CameraSource = CameraSource.GIVEN
    ) -> Self:
        """A camera with square pixels that looks through the middle of its image."""
        cx, cy = (width - 1) / 2, (height - 1) / 2
        return cls(fx=focal_px, fy=focal_px, cx=cx, cy=cy, width=width, height=height, source=source)

    @classmethod
    @checked
    def from_fov_deg(
        cls, fov_deg: float, width: Count, height: Count, source: CameraSource = CameraSource.GIVEN
    ) -> Self:
        """The same from its horizontal field of view in degrees, see `focal_px_from_fov`; radians are refused."""
        if 0 < fov_deg <= pi:
            raise LeadlineError(
                f"a field of view of {fov_deg:g}° looks like radians, which is {degrees(fov_deg):.1f}° or a focal "
                f"length of {width / 2 / tan(min(fov_deg, 3.1) / 2):.3g} px at {width} pixels of width: give "
                f"degrees, or the focal length in pixels of a lens as long as that"
            )
        return cls.from_focal_px(focal_px_from_fov(fov_deg, width), width, height, source)

    @classmethod
    @checked
    def from_matrix(
        cls, matrix: ArrayLike, width: Count, height: Count, source: CameraSource = CameraSource.GIVEN
    ) -> Self:
        """A camera from its matrix (3, 3) in pixels of its image."""
        try:
            values = np.asarray(matrix, dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise LeadlineError(f"wanted a pinhole matrix (3, 3) in pixels, got {shown(matrix)}") from error
        if values.shape != (3, 3):
            raise LeadlineError(f"wanted a pinhole matrix (3, 3) in pixels, got shape {values.shape}")
        (fx, skew, cx), (_, fy, cy), _ = values.tolist()
        return cls(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height, source=source, skew=skew)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """[[fx, skew, cx], [0, fy, cy], [0, 0, 1]] in pixels."""
        return np.array([[self.fx, self.skew, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float32)

    @property
    def is_pinhole(self) -> bool:
        """Whether points follow from depth by `matrix` alone, as near as a weak distortion lets them."""
        return self.lens is None or self.lens.largest_shift(*self._normalised_corners()) <= STRONG_SHIFT

    @property
    def has_square_pixels(self) -> bool:
        """Whether both focal lengths are the same, but for `SQUARE_TOLERANCE`."""
        return abs(self.fx / self.fy - 1) <= SQUARE_TOLERANCE

    @property
    def focal_px(self) -> float:
        """Focal length along the rows, in pixels."""
        return self.fx

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view in degrees, of a camera that looks through the middle of its image."""
        return fov_deg_from_focal(self.fx, self.width)

    @checked
    def resized(self, width: Count, height: Count) -> Self:
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

    @checked
    def cropped(self, left: int, top: int, width: Count, height: Count) -> Self:
        """The camera of a part of the image; negative `left` and `top` where columns and rows were added."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def mirrored(self) -> Self:
        """The camera of the image after it was mirrored left to right, the scene with it."""
        lens, removed = (each and each.mirrored() for each in (self.lens, self.removed))
        return replace(self, cx=self.width - 1 - self.cx, skew=-self.skew, lens=lens, removed=removed)

    def squared(self) -> Self:
        """The camera of the image after it was brought to square pixels; the squeezed side is enlarged."""
        focal_px = max(self.fx, self.fy)
        resized = self.resized(round(self.width * focal_px / self.fx), round(self.height * focal_px / self.fy))
        return replace(resized, fx=focal_px, fy=focal_px)  # rounding a side left less than half a pixel

    def without_lens(self, image: NDArray[Any]) -> tuple[Self, NDArray[Any], NDArray[np.bool_]]:
        """The camera and the image as a pinhole of the same matrix would have taken it.

        Args:
            image: (H, W, C), of the camera's size.

        Returns:
            The camera, the image, and which of its pixels the old image shows, (H, W).

        Raises:
            LeadlineError: if no lens is known, or its model cannot be removed.
        """
        if self.lens is None or not self.lens.can_be_removed:
            what = (
                "no distortion is known of this camera" if self.lens is None else f"{self.lens} cannot be undistorted"
            )
            raise LeadlineError(f"{what}: give a camera file with OpenCV's or Kannala-Brandt's coefficients")
        y, x = np.mgrid[: self.height, : self.width].astype(np.float64)
        y = (y - self.cy) / self.fy
        seen_x, seen_y = self.lens.distorted((x - self.cx - self.skew * y) / self.fx, y)
        values, inside = resample(image, seen_x * self.fx + self.skew * seen_y + self.cx, seen_y * self.fy + self.cy)
        return replace(self, lens=None, removed=self.lens), values, inside

    def since_without_lens(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where places of the image as its lens showed it are now: the same, unless that lens was removed.

        Args:
            xy: columns and rows, (N, 2).

        Returns:
            Likewise; NaN where a pinhole does not show them.
        """
        if self.removed is None:
            return xy
        seen_y = (xy[:, 1] - self.cy) / self.fy
        seen_x = (xy[:, 0] - self.cx - self.skew * seen_y) / self.fx
        with np.errstate(all="ignore"):  # beyond what the model was fitted to it leads anywhere
            x, y = self.removed.undistorted(seen_x, seen_y)
            back_x, back_y = self.removed.distorted(x, y)
            is_right = np.hypot(back_x - seen_x, back_y - seen_y) * max(self.fx, self.fy) < 0.5
            found = np.stack([x * self.fx + self.skew * y + self.cx, y * self.fy + self.cy], axis=1)
        return np.where(is_right[:, None], found, np.nan)

    @property
    def resize_note(self) -> str:
        """What to say if the axis is at the same share of both sides, as after a resize, and not in the middle."""
        across, down = (self.cx + 0.5) / self.width, (self.cy + 0.5) / self.height
        share = (across + down) / 2
        if abs(across - down) >= _SAME_SHARE or abs(share - 0.5) <= _OFF_CENTRE:
            return ""
        where = f"at {100 * share:.0f} % of both sides of {self.width}×{self.height} pixels"
        other = f"{2 * share * self.width:.0f}×{2 * share * self.height:.0f}"
        return (
            f"the optical axis ({self.cx:g}, {self.cy:g}) is {where}: if the intrinsics are of images of about "
            f"{other}, metres are {2 * share:.2g} times what they should be"
        )

    def plausible(self) -> Self:
        """The camera itself, if it can have taken an image of its size.

        This is the one judgement of every camera that anybody or any file tells.

        Raises:
            LeadlineError: if not; with the unit that the numbers seem to have, and the value in pixels.
        """
        reason = self._focal_mistake() or self._skew_mistake() or self._centre_mistake()
        if reason:
            raise LeadlineError(reason)
        return self

    def _focal_mistake(self) -> str:
        long_side, focal_px = max(self.width, self.height), sqrt(self.fx * self.fy)
        low, high = (share * long_side for share in FOCAL_SIDES)
        ratio = max(self.fx / self.fy, self.fy / self.fx)
        size = f"an image of {self.width}×{self.height} pixels"
        if low <= focal_px <= high and ratio <= MAX_PIXEL_ASPECT:
            return ""
        if low <= focal_px <= high:
            return f"focal lengths of {self.fx:g} and {self.fy:g} px: one is {ratio:.3g} times the other: {_CHECK}"
        told = f"{self.fx:g}" if self.fx == self.fy else f"{self.fx:g} and {self.fy:g}"
        reason = f"no camera has a focal length of {told} px for {size}, wanted {low:g} to {high:g} px"
        if focal_px > high:
            return f"{reason}: {_CHECK}"
        if focal_px < _MOST_SHARE:
            return (
                f"{reason}: it looks like a share of the image's sides, which is {self.fx * self.width:.0f} and "
                f"{self.fy * self.height:.0f} px: multiply fx and cx by the width, fy and cy by the height"
            )
        sensor_mm = PHONE_SENSOR_MM if focal_px < _LEAST_FULL_MM else FULL_SENSOR_MM
        return (
            f"{reason}: it looks like millimetres, which are {self.fx * long_side / sensor_mm:.0f} px on a sensor "
            f"{sensor_mm:g} mm wide: multiply by the width in pixels, divide by the sensor's in millimetres"
        )

    def _skew_mistake(self) -> str:
        if abs(self.skew) <= MAX_SKEW_SHARE * self.fx:
            return ""
        return (
            f"a skew of {self.skew:g} px beside a focal length of {self.fx:g} px, wanted at most "
            f"{MAX_SKEW_SHARE:.0%} of it: check the order of the matrix, [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]"
        )

    def _centre_mistake(self) -> str:
        low, high = CENTRE_SHARE
        shares = (self.cx + 0.5) / self.width, (self.cy + 0.5) / self.height
        is_within = low <= min(shares) and max(shares) <= high
        is_in_corner = max(shares) < low + _CORNER_SHARE or min(shares) > high - _CORNER_SHARE
        if is_within and self.axis_lies_on_its_side:
            return (
                f"the optical axis at ({self.cx:g}, {self.cy:g}) is in the middle of an image of "
                f"{self.height}×{self.width} pixels, and this one is {self.width}×{self.height}: change cx and cy, fx "
                f"and fy, or turn the image as its camera saw it"
            )
        if is_within and not is_in_corner:
            return ""
        where = f"the optical axis at ({self.cx:g}, {self.cy:g}) is "
        where += "in the very corner of" if is_within else "not within"
        where += f" the middle half of an image of {self.width}×{self.height} pixels"
        if 0 <= self.cx <= 1 and 0 <= self.cy <= 1:
            return (
                f"{where}: it looks like a share of the sides, which is ({self.cx * self.width - 0.5:.1f}, "
                f"{self.cy * self.height - 0.5:.1f}) px"
            )
        return (
            f"{where}: it fits images of about {2 * self.cx + 1:.0f}×{2 * self.cy + 1:.0f}; write the width and height "
            f"of its images into the camera file, and roi for a part cut out of them"
        )

    @property
    def axis_lies_on_its_side(self) -> bool:
        """Whether the optical axis is in the middle of the image with its sides changed, which are far from equal."""
        beside = abs(self.cx - (self.height - 1) / 2), abs(self.cy - (self.width - 1) / 2)
        is_middle = beside[0] <= _OFF_MIDDLE * self.height and beside[1] <= _OFF_MIDDLE * self.width
        return is_middle and abs(self.width - self.height) > _UNEQUAL_SIDES * max(self.width, self.height)

    def _normalised_corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x = (np.array([-0.5, self.width - 0.5, -0.5, self.width - 0.5]) - self.cx) / self.fx
        y = (np.array([-0.5, -0.5, self.height - 0.5, self.height - 0.5]) - self.cy) / self.fy
        return x, y


_CHECK = "check the unit"
_CORNER_SHARE = 0.02
"""An axis as near as this to a corner of the middle half is that of an image of half the size, or 1.5 times it."""
_SAME_SHARE, _OFF_CENTRE = 0.02, 0.07
"""Shares of an image's sides that are taken for the same, and for those of no image that was kept whole."""
_OFF_MIDDLE = 0.04
"""How far from the middle calibrations find the axis at the most, mostly, as a share of the side."""
_UNEQUAL_SIDES = 0.2
"""Share of the longer side by which the shorter one is less, before axes in the middle of the two are told apart."""
_MOST_SHARE = 3.2
"""Numbers below are shares of a side: 100 times less than pixels, and less than lenses have millimetres."""
_LEAST_FULL_MM = 12.0
"""Focal lengths in millimetres from here on are mostly of, or converted to, 36 mm wide film."""


def with_lens(camera: Camera | None, lens: Lens | None) -> Camera | None:
    """The camera with what an image's file says of its lens, where nothing else is known of that."""
    return camera if camera is None or lens is None or camera.lens else replace(camera, lens=lens)


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
