"""Do depth maps lie on their pictures? Edges of the one are compared with edges of the other, over a whole set.

A single picture tells little (texture has edges without depth); the mean over a set tells a lot: edges that
belong together correlate by 0.2 to 0.4, those of strangers by about 0.03.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GRID = 96
"""Most columns of the maps that are compared."""
REACH = 12
"""Largest shift looked for, in cells of that grid."""
MIN_SHIFT = 2
"""Smallest shift that is reported, in cells: less is within what sensors do."""
MIN_IMAGES = 8
MIN_SIGMA = 5.0
"""How many standard errors the better fit must be better by."""
SAME_VIEW = 0.5
"""Correlation of pictures, and of depth maps, from which on two pairs are of one view."""
MARGIN = 0.05
"""Share of each side that is not looked at: many sets have frames."""
TURNS = {
    "as they are": (slice(None), slice(None)),
    "mirrored": (slice(None), slice(None, None, -1)),
    "upside down": (slice(None, None, -1), slice(None)),
    "turned by 180 degrees": (slice(None, None, -1), slice(None, None, -1)),
}


class Edges(NamedTuple):
    """How much edge there is in each cell of a coarse grid."""

    picture: np.ndarray  # (h, w)
    depth: np.ndarray  # (h, w)
    cell_px: int  # pixels along the side of a cell


def find_edges(rgb: np.ndarray, depth_m: np.ndarray, valid: np.ndarray) -> Edges | None:
    """Edges of a picture and of its depth.

    Args:
        rgb: values in [0, 1], (3, H, W).
        depth_m: metres, (H, W).
        valid: which of them are known, (H, W).

    Returns:
        The edges, or None where there is too little depth or nothing to see.
    """
    cell_px = -(-depth_m.shape[1] // GRID)
    if min(depth_m.shape) < 16 * cell_px or valid.mean() < 0.5:
        return None
    log_depth = np.log(np.where(valid, depth_m, 1))
    known = valid[1:, 1:] & valid[:-1, 1:] & valid[1:, :-1]
    picture = _cells(_steps(rgb.mean(axis=0), 0.15), cell_px)
    depth = _cells((_steps(log_depth, 1.0) > 0.06) & known, cell_px)
    return Edges(picture, depth, cell_px) if picture.std() > 0 and depth.std() > 0 else None


def _steps(values: np.ndarray, most: float) -> np.ndarray:
    """Differences to the left and the upper neighbour, each at most `most`, (H - 1, W - 1)."""
    across = np.minimum(np.abs(np.diff(values, axis=1)), most)[1:]
    down = np.minimum(np.abs(np.diff(values, axis=0)), most)[:, 1:]
    return np.asarray(across + down)


def _cells(values: np.ndarray, cell_px: int) -> np.ndarray:
    """Means of square cells, without the margin, of mean 0 and norm 1."""
    height, width = values.shape
    top, left = int(MARGIN * height), int(MARGIN * width)
    rows, columns = (height - 2 * top) // cell_px, (width - 2 * left) // cell_px
    inner = values[top : top + rows * cell_px, left : left + columns * cell_px]
    cells = inner.reshape(rows, cell_px, columns, cell_px).mean(axis=(1, 3))
    cells -= cells.mean()
    norm = float(np.linalg.norm(cells))
    return np.asarray(cells / norm if norm > 0 else cells)


def _correlations(picture: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Correlation for every turn and every shift of the depth, (turns, 2 REACH + 1, 2 REACH + 1)."""
    size = [length + REACH for length in picture.shape]  # room for the shifts, so that nothing wraps around
    spectrum = np.fft.rfft2(picture, size)
    turned = np.stack([depth[turn] for turn in TURNS.values()])
    fit = np.fft.irfft2(spectrum * np.fft.rfft2(turned, size).conj(), size)
    return np.roll(fit, (REACH, REACH), (1, 2))[:, : 2 * REACH + 1, : 2 * REACH + 1]


def describe_misalignment(edges: Sequence[Edges]) -> str | None:
    """Say how the depth maps of a set should be moved to fit their pictures.

    Args:
        edges: from all over the set; those of the most common size are compared.

    Returns:
        A sentence, or None where they fit, or where there are too few views to tell.
    """
    shapes = Counter(pair.picture.shape for pair in edges)
    edges = _distinct([pair for pair in edges if pair.picture.shape == shapes.most_common(1)[0][0]])
    if len(edges) < MIN_IMAGES:
        return None
    fits = np.stack([_correlations(picture, depth) for picture, depth, _ in edges])
    turn, row, column = np.unravel_index(fits.mean(axis=0).argmax(), fits.shape[1:])
    as_given = fits[:, 0, REACH, REACH]
    down, right = int(row) - REACH, int(column) - REACH
    if (turn or max(abs(down), abs(right)) >= MIN_SHIFT) and _clearly_more(fits[:, turn, row, column], as_given):
        cell_px = edges[0].cell_px
        shift = f", moved {right * cell_px} px right and {down * cell_px} px down" if down or right else ""
        name = list(TURNS)[turn]
        return f"the depth maps fit their pictures better {name}{shift}: make both of them the same view"
    half = len(edges) // 2
    strangers = [edges[k - half].depth for k in range(len(edges))]
    by_chance = np.array([(pair.picture * depth).sum() for pair, depth in zip(edges, strangers, strict=True)])
    if len(edges) >= 2 * MIN_IMAGES and (as_given - by_chance).mean() < 2 * _standard_error(as_given - by_chance):
        return "the depth maps fit their own pictures no better than others: is the order of the pairs right?"
    return None


def _distinct(edges: Sequence[Edges]) -> list[Edges]:
    """One pair of each view: more of them say nothing more, and fit each other as well as their own."""
    kept: list[Edges] = []
    for pair in edges:
        if not any(_is_same(pair.picture, one.picture) and _is_same(pair.depth, one.depth) for one in kept):
            kept.append(pair)
    return kept


def _is_same(cells: np.ndarray, others: np.ndarray) -> bool:
    return float(np.vdot(cells, others)) > SAME_VIEW


def _standard_error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(len(values)))


def _clearly_more(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether paired values are larger in nearly all pictures and beyond doubt in their mean."""
    gain = values - others
    return bool((gain > 0).mean() > 0.8 and gain.mean() > MIN_SIGMA * _standard_error(gain) and values.mean() > 0.05)
