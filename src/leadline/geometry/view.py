"""At which size a model looks at an image of some focal length, and what its metres are multiplied by."""

from math import isnan
from typing import NamedTuple

from leadline.geometry.resizing import enlargement, size_with_area

MAX_RESIZED = 4.0
"""Ratio of focal lengths beyond which the image's size changes no more, nor the gain: fish eyes and telescopes, and
mistakes, whose images would become too large for the memory."""


class ViewSize(NamedTuple):
    """At which size the network sees an image, and what its answer is multiplied by."""

    height: int
    width: int
    scale: float


class WorkingView(NamedTuple):
    """How a model looks at images."""

    height: int
    """Images are brought to height·width pixels, their aspect kept."""
    width: int
    multiple_px: int
    """Sides are multiples of this."""
    focal_px: float | None
    """Focal length of the training images, in pixels of that size; None if unknown."""
    focal_share: float
    """How much of another focal length is met by resizing the image, not by scaling metres."""
    focal_gain: float = 0.0
    """By how much more metres follow the focal length than in proportion, in the logarithm."""

    def view_size(self, focal_px: float, height: int, width: int) -> ViewSize:
        """How to look at an image of some focal length.

        A camera with twice the focal length shows a thing twice as large, and the network takes it for half as far
        if it judges by size: metres are to be multiplied. If it judges by how much of the room it sees, the image
        is to be resized until its focal length is the training images'. It does some of both, so a part of the
        ratio, `focal_share` in the logarithm, goes into the size and the rest into the metres. What is left is that a
        narrow view shows less of a room, and is answered a little too near: metres take `focal_gain` of it more.

        Args:
            focal_px: focal length in pixels of the image, NaN where unknown.
            height: of the image.
            width: of the image.
        """
        usual = self.size(height, width)
        if self.focal_px is None or isnan(focal_px):
            return ViewSize(*usual, 1.0)
        ratio = focal_px * enlargement(height, width, *usual) / self.focal_px
        within = min(max(ratio, 1 / MAX_RESIZED), MAX_RESIZED)
        size = self.size(height, width, within**-self.focal_share)
        scale = focal_px * enlargement(height, width, *size) / self.focal_px
        return ViewSize(*size, scale * within**self.focal_gain)

    def assumed_focal_px(self, height: int, width: int) -> float | None:
        """Focal length in pixels that an image is taken to have where its own is unknown; None if training's is."""
        if self.focal_px is None:
            return None
        return self.focal_px / enlargement(height, width, *self.size(height, width))

    def size(self, height: int, width: int, times: float = 1.0) -> tuple[int, int]:
        """Height and width, `times` the usual, at which the network sees an image: of its aspect."""
        return size_with_area(height, width, round(self.height * self.width * times**2), self.multiple_px)
