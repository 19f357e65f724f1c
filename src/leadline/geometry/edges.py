"""Sharp edges: what lies between a thing and its background is given to one of them, as the image's shades say.

A network's depth slides from near to far over several pixels, since its last map is smaller than the image and since
it cannot be sure where the edge runs. The image is as large as the answer and shows the edge. So each pixel of such a
slide asks its neighbours on which side they are; those that look like it count most (the weights of the bilateral
filter, Tomasi & Manduchi 1998, in joint form: Petschnigg et al. 2004), and it takes the whole of the winner's depth
(as a shock filter does, Osher & Rudin 1990), not a mean, which would be another slide.
"""

from math import cos, pi, sin, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.geometry.resizing import resize, resize_depth, size_with_area

USUAL_AREA_PX = 640 * 480
"""Area of an image in which a radius is as many pixels as it says; in a larger one it grows with the sides."""
MAX_AREA_PX = 4 * USUAL_AREA_PX
"""Larger images are sharpened at this size: what it costs grows with the area, and a radius with it."""
EDGE_RATIO = 1.08
"""Of the depths within a radius, to be an edge."""
ALIKE = 0.1
"""Standard deviation of the weights: how different, of white less black, shades are that still look alike."""
NUM_NEIGHBOURS = 16
NEIGHBOUR_RADII = 5 / 3
"""How far the neighbours that are asked lie, at most, in radii."""
_GOLDEN_ANGLE = pi * (3 - sqrt(5))

Map = NDArray[np.float32]


class EdgeWindow(NamedTuple):
    """Where a pixel looks, in pixels of one image size."""

    reach: int
    """How far a slide goes to each side."""
    neighbours: list[tuple[int, int]]
    """Steps down and right to those that are asked."""

    @property
    def margin(self) -> int:
        """So far around an image's pixels something is looked at."""
        return max(self.reach, *(abs(step) for offset in self.neighbours for step in offset))


def edge_window(height: int, width: int, radius_px: float) -> EdgeWindow:
    """Where pixels of an image of this size look for a radius in pixels of one of `USUAL_AREA_PX`."""
    reach = max(1, round(radius_px * sqrt(height * width / USUAL_AREA_PX)))
    return EdgeWindow(reach, _sunflower(reach * NEIGHBOUR_RADII))


def sharpen_edges(depth_m: Map, image: Map, radius_px: float) -> Map:
    """Make the edges of things as sharp as they are in the image.

    Works on inverse depth, in which a plane, however slanted, is linear. Where it is, the range of its values doubles
    with the window; where there is a step, a wider window has no larger range. By how little the range grows, from
    one radius to two, a pixel is moved to its side; slanted floors stay as they are.

    Args:
        depth_m: metres, positive, (H, W).
        image: RGB (H, W, 3), uint8 or float32 in [0, 1].
        radius_px: half of the width of the slides, in pixels of an image of `USUAL_AREA_PX`.

    Returns:
        Metres (H, W), each within the range of `depth_m` around it.
    """
    height, width = depth_m.shape
    window = edge_window(height, width, radius_px)
    reach, margin = window.reach, window.margin
    padded = np.empty((4, height + 2 * margin, width + 2 * margin), np.float32)
    inverse, shade, near, far = padded
    inside = slice(margin, margin + height), slice(margin, margin + width)
    np.reciprocal(depth_m, out=inverse[inside])
    _repeat_outermost(inverse, margin)
    seen = inverse[margin - reach : margin + height + reach, margin - reach : margin + width + reach]
    near[inside], far[inside] = (_around(seen, reach, extreme) for extreme in (np.maximum, np.minimum))
    _shades(image, shade[inside])
    for values in padded[1:]:
        _repeat_outermost(values, margin)
    is_edge = np.zeros(inverse.shape, bool)
    is_edge[inside] = near[inside] > np.float32(EDGE_RATIO) * far[inside]
    stride, maps = inverse.shape[1], _Maps(*padded.reshape(4, -1))
    edges = np.flatnonzero(is_edge)

    share = _step_share(maps, edges, [down * stride + right for down in (-reach, reach) for right in (-reach, reach)])
    edges, share = edges[share > 0], share[share > 0]
    side = _vote(maps, edges, [down * stride + right for down, right in window.neighbours])
    own = maps.inverse[edges]
    maps.inverse[edges] = own + (side - own) * share
    sharp: Map = np.reciprocal(inverse[inside])
    return sharp


def with_sharp_edges(depth_m: Map, image: NDArray[Any], radius_px: float) -> Map:
    """Depth at its image's size with `sharpen_edges`, at most `MAX_AREA_PX` large on the way.

    Args:
        depth_m: metres, positive, (h, w), of any size.
        image: RGB, (H, W, 3), uint8 or float32 in [0, 1].
        radius_px: as `sharpen_edges`; 0 leaves the edges soft.

    Returns:
        Metres (H, W).
    """
    height, width = image.shape[:2]
    if radius_px > 0:
        size = size_with_area(height, width, min(height * width, MAX_AREA_PX), smallest=1)
        seen = image if size == (height, width) else resize(image, *size)
        depth_m = sharpen_edges(resize_depth(depth_m, *size), seen, radius_px)
    return resize_depth(depth_m, height, width)


class _Maps(NamedTuple):
    """Values of every pixel, in one dimension."""

    inverse: Map
    shade: Map
    near: Map
    far: Map


def _vote(maps: _Maps, edges: NDArray[np.intp], offsets: list[int]) -> Map:
    """Inverse depth of the side on which those neighbours are that look like each edge pixel."""
    shade, near, far = (values[edges] for values in maps[1:])
    middle, half = (near + far) / 2, (near - far) / 2
    votes = np.zeros_like(shade)
    for offset in offsets:
        neighbour = edges + offset
        # One that is itself between the sides has a part of a vote.
        leaning = ((maps.inverse[neighbour] - middle) / half).clip(-1, 1)
        votes += leaning * np.exp((maps.shade[neighbour] - shade) ** 2 / -2)
    return np.where(votes > 0, near, far)


def _step_share(maps: _Maps, edges: NDArray[np.intp], corners: list[int]) -> Map:
    """How much of a step there is at each edge pixel, from 0 (a plane) to 1."""
    height = maps.near[edges] - maps.far[edges]
    # Windows of one radius around the corners make up one of two radii.
    wide_near = np.max([maps.near[edges + corner] for corner in corners], axis=0)
    wide_far = np.min([maps.far[edges + corner] for corner in corners], axis=0)
    # The root leaves less between the sides: a slide is rarely all within one radius.
    share: Map = np.sqrt((2 * height / (wide_near - wide_far) - 1).clip(0, 1))
    return share


def _around(values: Map, reach: int, extreme: np.ufunc) -> Map:
    """Largest or smallest value of windows of 2 * reach + 1 pixels each way: two that double make up any third."""
    for axis in (1, 0):
        covered, wanted = 1, 2 * reach + 1
        while covered < wanted:
            shift = min(covered, wanted - covered)
            length = values.shape[axis] - shift
            values = extreme(_cut(values, axis, 0, length), _cut(values, axis, shift, length))
            covered += shift
    return values


def _cut(values: Map, axis: int, start: int, length: int) -> Map:
    return values[:, start : start + length] if axis else values[start : start + length]


def _shades(image: NDArray[Any], out: Map) -> None:
    """How bright an image is, in steps that still look alike."""
    white = 255 if image.dtype == np.uint8 else 1
    np.add(image[..., 0], image[..., 1], out=out, dtype=np.float32)
    out += image[..., 2]
    out /= np.float32(3 * ALIKE * white)


def _repeat_outermost(padded: Map, margin: int) -> None:
    """Fill a map's margin with the values beside it; several times as quick as making another with np.pad."""
    inside = slice(margin, -margin)
    padded[inside, :margin], padded[inside, -margin:] = padded[inside, [margin]], padded[inside, [-margin - 1]]
    padded[:margin], padded[-margin:] = padded[margin], padded[-margin - 1]


def _sunflower(radius: float) -> list[tuple[int, int]]:
    """Offsets (down, right) spread evenly over a disc, as the seeds of a sunflower are (Vogel 1979)."""
    distances = [radius * sqrt((number + 0.5) / NUM_NEIGHBOURS) for number in range(NUM_NEIGHBOURS)]
    angles = [number * _GOLDEN_ANGLE for number in range(NUM_NEIGHBOURS)]
    return [(round(far * sin(angle)), round(far * cos(angle))) for far, angle in zip(distances, angles, strict=True)]
