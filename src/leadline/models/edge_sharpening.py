"""Sharp edges: what lies between a thing and its background is given to one of them, as the picture's shades say.

A network's depth slides from near to far over several pixels, since its last map is smaller than the picture and since
it cannot be sure where the edge runs. The picture is as large as the answer and shows the edge. So each pixel of such a
slide asks its neighbours on which side they are; those that look like it count most (the weights of the bilateral
filter, Tomasi & Manduchi 1998, in joint form: Petschnigg et al. 2004), and it takes the whole of the winner's depth
(as a shock filter does, Osher & Rudin 1990), not a mean, which would be another slide.
"""

from math import cos, pi, sin, sqrt
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

USUAL_AREA_PX = 640 * 480
"""Area of a picture in which a radius is as many pixels as it says; in a larger one it grows with the sides."""
MAX_AREA_PX = 4 * USUAL_AREA_PX
"""Larger pictures are sharpened at this size: what it costs grows with the area, and a radius with it."""
EDGE_RATIO = 1.08
"""Of the depths within a radius, to be an edge."""
ALIKE = 0.1
"""Standard deviation of the weights: how different, of white less black, shades are that still look alike."""
NUM_NEIGHBOURS = 16
NEIGHBOUR_RADII = 5 / 3
"""How far the neighbours that are asked lie, at most, in radii."""
_GOLDEN_ANGLE = pi * (3 - sqrt(5))


def sharpen_edges(depth_m: Tensor, image: Tensor, radius_px: float) -> Tensor:
    """Make the edges of things as sharp as they are in the picture.

    Works on inverse depth, in which a plane, however slanted, is linear. Where it is, the range of its values doubles
    with the window; where there is a step, a wider window has no larger range. By how little the range grows, from
    one radius to two, a pixel is moved to its side; slanted floors stay as they are.

    Args:
        depth_m: metres, positive, (B, 1, H, W).
        image: RGB in [0, 1], (B, 3, H, W).
        radius_px: half of the width of the slides, in pixels of a picture of `USUAL_AREA_PX`.

    Returns:
        Metres (B, 1, H, W), each within the range of `depth_m` around it.
    """
    height, width = depth_m.shape[-2:]
    reach = max(1, round(radius_px * sqrt(height * width / USUAL_AREA_PX)))
    neighbours = _sunflower(reach * NEIGHBOUR_RADII)
    inverse = depth_m.reciprocal()
    near, far = _largest_around(inverse, reach), -_largest_around(-inverse, reach)
    # Maps in one dimension each, with a margin so that every neighbour lies within.
    margin = max(reach, *(abs(step) for offset in neighbours for step in offset))
    shade = (image[:, :1] + image[:, 1:2] + image[:, 2:]) / (3 * ALIKE)
    padded = _with_margin([inverse, shade, near, far], margin)
    stride, maps = padded.shape[-1], _Maps(*padded.transpose(0, 1).flatten(1))
    edges = _where(F.pad(near > EDGE_RATIO * far, [margin] * 4))

    share = _step_share(maps, edges, [down * stride + right for down in (-reach, reach) for right in (-reach, reach)])
    steps = share > 0
    edges, share = edges[steps], share[steps]
    side = _vote(maps, edges, [down * stride + right for down, right in neighbours])
    own = maps.inverse.index_select(0, edges)
    sharp = maps.inverse.index_copy(0, edges, own.lerp(side, share)).view_as(padded[:, :1])
    return sharp[..., margin:-margin, margin:-margin].reciprocal()


class _Maps(NamedTuple):
    """Values of every pixel, (N,) each; `index_select` from one dimension is many times as quick as indexing rows."""

    inverse: Tensor
    shade: Tensor
    near: Tensor
    far: Tensor


def _where(mask: Tensor) -> Tensor:
    """Places of what is true, counted through all dimensions; on a processor NumPy finds them many times as quickly."""
    return torch.from_numpy(np.flatnonzero(mask)) if mask.device.type == "cpu" else mask.flatten().nonzero()[:, 0]


def _vote(maps: _Maps, edges: Tensor, offsets: list[int]) -> Tensor:
    """Inverse depth of the side on which those neighbours are that look like each edge pixel."""
    shade, near, far = (values.index_select(0, edges) for values in maps[1:])
    middle, half = (near + far) / 2, (near - far) / 2
    votes = torch.zeros_like(shade)
    for offset in offsets:
        neighbour = edges + offset
        # One that is itself between the sides has a part of a vote.
        leaning = ((maps.inverse.index_select(0, neighbour) - middle) / half).clamp_(-1, 1)
        unlike = maps.shade.index_select(0, neighbour) - shade
        votes += leaning * (unlike.square_() / -2).exp_()
    return torch.where(votes > 0, near, far)


def _step_share(maps: _Maps, edges: Tensor, corners: list[int]) -> Tensor:
    """How much of a step there is at each edge pixel, from 0 (a plane) to 1."""
    height = maps.near.index_select(0, edges) - maps.far.index_select(0, edges)
    # Windows of one radius around the corners make up one of two radii.
    wide_near = torch.stack([maps.near.index_select(0, edges + corner) for corner in corners]).amax(0)
    wide_far = torch.stack([maps.far.index_select(0, edges + corner) for corner in corners]).amin(0)
    # The root leaves less between the sides: a slide is rarely all within one radius.
    return (2 * height / (wide_near - wide_far) - 1).clamp(0, 1).sqrt()


def _with_margin(maps: list[Tensor], margin: int) -> Tensor:
    """Maps (B, 1, H, W) as channels, their outermost values repeated; twice as quick as cat and pad."""
    batch, _, height, width = maps[0].shape
    padded = maps[0].new_empty(batch, len(maps), height + 2 * margin, width + 2 * margin)
    inside = slice(margin, -margin)
    first, last = slice(margin, margin + 1), slice(-margin - 1, -margin)
    for number, values in enumerate(maps):
        padded[:, number, inside, inside] = values[:, 0]
    padded[..., :margin, inside], padded[..., -margin:, inside] = padded[..., first, inside], padded[..., last, inside]
    padded[..., :margin], padded[..., -margin:] = padded[..., first], padded[..., last]
    return padded


def _largest_around(values: Tensor, reach: int) -> Tensor:
    """Largest value within `reach` pixels across and along, (B, 1, H, W); many times as quick as max_pool2d."""
    for dim, padding in ((-1, (reach, reach, 0, 0)), (-2, (0, 0, reach, reach))):
        values = F.pad(values, padding, mode="replicate")
        covered, wanted = 1, 2 * reach + 1
        while covered < wanted:
            shift = min(covered, wanted - covered)
            length = values.shape[dim] - shift
            values = torch.maximum(values.narrow(dim, 0, length), values.narrow(dim, shift, length))
            covered += shift
    return values


def _sunflower(radius: float) -> list[tuple[int, int]]:
    """Offsets (down, right) spread evenly over a disc, as the seeds of a sunflower are (Vogel 1979)."""
    distances = [radius * sqrt((number + 0.5) / NUM_NEIGHBOURS) for number in range(NUM_NEIGHBOURS)]
    angles = [number * _GOLDEN_ANGLE for number in range(NUM_NEIGHBOURS)]
    return [(round(far * sin(angle)), round(far * cos(angle))) for far, angle in zip(distances, angles, strict=True)]
