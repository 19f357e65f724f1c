"""Large pictures in overlapping tiles: low frequencies of depth from the whole picture, details from the tiles."""

from collections.abc import Callable, Iterator
from math import ceil, pi, sqrt
from typing import NamedTuple

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from leadline.geometry import resize, resize_depth, size_with_area

MAX_ENLARGED = 2.0
"""A tile shows things at most so many times as large as the whole does: a network that sees a piece of wall and
nothing around it knows nothing of its shape. (Of a panorama the whole shows so little that its tiles, which are as
high as it is, may show more.)"""
OVERLAP = 0.25
"""Least part of a tile that the next one covers too."""
SLOW = 0.06
"""Standard deviation, in short sides of a tile, of the Gauss filter that tells slow from fast changes of depth."""


class _Axis(NamedTuple):
    """Tiles along one side of a picture."""

    starts: list[int]  # first pixel of each
    weights: list[Tensor]  # (pixels,) each, which sum to 1 at every pixel of the side


def tiled_depth(image: Tensor, ask: Callable[[Tensor], Tensor], height: int, width: int) -> Tensor:
    """Predict depth of one large picture with more detail than one look at it gives.

    The whole picture, at the working size, says how far things are. Each tile is a crop, hence has a larger apparent
    focal length: the network takes its things for nearer by one factor, which is also all that is fitted, by the
    median of the ratios to the whole. (A shift in metres has no cause, and cannot be told from a factor where a tile
    shows one wall.) Tiles are blended in log depth with weights that rise and fall as a Hann window does; then the slow
    changes of the result are replaced by the whole's, so that tiles that bend otherwise leave no trace.

    Args:
        image: RGB in [0, 1], (1, 3, H, W).
        ask: depth in metres (1, 1, h, w), positive, of a picture (1, 3, h, w) of any size.
        height: the working height of what is asked, in pixels.
        width: its working width.

    Returns:
        Metres as `ask` says of the whole, (1, 1, H, W); that answer itself where the picture is too small for tiles.
    """
    full = image.shape[-2], image.shape[-1]
    working = size_with_area(*full, height * width)
    whole_m = ask(resize(image, *working))
    shrunk = sqrt(full[0] * full[1] / (working[0] * working[1]))  # pixels per pixel of the whole's look
    # The same of a tile's look; tiles keep the working aspect, hence fit into a panorama.
    per_pixel = max(1.0, min(shrunk / MAX_ENLARGED, full[0] / height, full[1] / width))
    rows, columns = (
        _axis(min(side, round(per_pixel * of)), side) for side, of in zip(full, (height, width), strict=True)
    )
    if len(rows.starts) == len(columns.starts) == 1:
        return resize_depth(whole_m, *full)
    coarse = resize_depth(whole_m, *full).log_()
    fine = torch.zeros_like(coarse)
    for window, weight in _tiles(rows, columns):
        log_depth = ask(image[..., *window]).log()
        log_depth += (coarse[..., *window] - log_depth).median()
        fine[..., *window] += weight.to(fine) * log_depth
    del coarse
    sigma = SLOW * min(len(rows.weights[0]), len(columns.weights[0])) / shrunk
    fine += resize_depth(_slow(whole_m.log() - resize(fine, *working), sigma), *full)
    return fine.exp_()


def _axis(length: int, side: int) -> _Axis:
    """Lay tiles of one length, or one as long as the side, evenly along it, overlapping by at least `OVERLAP`."""
    length = min(length, side)
    count = 1 + ceil((side - length) / (length * (1 - OVERLAP)))
    starts = torch.linspace(0, side - length, count).round().int().tolist()
    window = torch.sin((torch.arange(length, dtype=torch.float64) + 0.5) * (pi / length)).square()
    total = torch.zeros(side, dtype=torch.float64)
    for start in starts:
        total[start : start + length] += window
    return _Axis(starts, [(window / total[start : start + length]).float() for start in starts])


def _tiles(rows: _Axis, columns: _Axis) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
    """Rows and columns of each tile, and its weights (h, w)."""
    for top, down in zip(rows.starts, rows.weights, strict=True):
        for left, across in zip(columns.starts, columns.weights, strict=True):
            window = slice(top, top + len(down)), slice(left, left + len(across))
            yield window, down[:, None] * across


def _slow(difference: Tensor, sigma: float) -> Tensor:
    """A map (1, 1, h, w) without its fast changes."""
    smooth = gaussian_filter(difference[0, 0].float().cpu().numpy(), sigma, mode="nearest")
    return torch.from_numpy(smooth)[None, None].to(difference)
