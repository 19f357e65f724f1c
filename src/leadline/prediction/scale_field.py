"""A smooth correction of a depth map, in its logarithm, from distances that are known at some pixels.

The correction is a Gaussian process over column, row and logarithm of the predicted depth: one factor, a smooth part
and a rough part. Depth is among the coordinates so that what was learnt of a chair does not leak onto the wall behind
it, and the correction may be larger where the model expects larger errors, the rough part most. Before any point is
looked at, what is far or unsure is taken to be a little nearer than predicted: errors draw predictions away from the
middle, and too far costs more, relative to the truth, than too near. A point may be wrong: it keeps the weight that
its distance from what the others say leaves it. What is left out of the fit is had in closed form, so that every
point judges the field that the others give: the field goes as far as that bears out.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAN = -0.02
"""What the correction is expected to be: this times freedom, and times the logarithm of depth from the image's middle.

This and what follows were chosen on images of NYU's training split (research/LOG.md).
"""
FACTOR_SD = 0.15
"""Prior standard deviations of the logarithm of depth: of the factor of the whole image, unless the points say more;"""
SMOOTH_SD, ROUGH_SD, NOISE_SD = 0.18, 0.115, 0.03
"""of the smooth part, to be multiplied by the root of the freedom, of the rough part, by all of it, and of the rest."""
SMOOTH_REACH = np.array([0.29, 0.29, 0.27])
"""How far the smooth part reaches: columns and rows as shares of the longer side, logarithm of depth."""
ROUGH_REACH = np.array([0.07, 0.07, 0.2])
"""How far the rough part does."""
WRONG_SHARE = 0.3
"""Share of points that are taken to be wrong before they are looked at."""
WRONG_SD = 0.5
"""Spread of the logarithm of wrong ones."""
EXTENT_SD = 0.7
"""Prior standard deviation of the share of the correction that is right, around all of it."""
MAX_POINTS = 400
"""More points are pooled."""
_ROUNDS = 3
_FIRST_NOISE_SD = 0.2  # in the first round, when nothing is known of the points: so that none of them stands alone
_NODES = 48  # steps along the longer side between the nodes at which the field is worked out
_LEVEL = 0.13  # largest step of the logarithm of depth between them
_MAX_LEVELS = 24


class Pooled(NamedTuple):
    """Points of a depth map, one a cell."""

    places: Floats  # (N, 4), see `places_of`
    residuals: Floats  # ln(known / predicted), (N,)


class ScaleField(NamedTuple):
    """A fitted correction."""

    places: Floats  # (N, 4)
    pull: Floats  # (N,): covariances with the points times this give the correction
    inverse: Floats  # (N, N) of the points' covariance
    factor_sd: float
    left_out: Floats  # what the others say at each point, (N,)
    spread: Floats  # standard deviation of its error, (N,)
    trust: Floats  # (N,) from 0, wrong, to 1, right

    def at(self, places: Floats) -> Floats:
        """The logarithm of the correction at places, (M, 4) to (M,)."""
        return expected(places) + covariance(places, self.places, self.factor_sd) @ self.pull


def places_of(
    x: NDArray[Any], y: NDArray[Any], log_depth: Floats, size: tuple[int, ...], freedom: NDArray[Any] | float = 1.0
) -> Floats:
    """Coordinates of pixels in which distance means likeness of the correction, and its freedom.

    Args:
        x: columns, (N,).
        y: rows, (N,).
        log_depth: logarithm of the predicted depth as a share of the image's middle one, (N,).
        size: height and width of the map.
        freedom: the error that the model expects as a multiple of the usual, (N,).

    Returns:
        Column and row as shares of the longer side, logarithm of depth, freedom, (N, 4).
    """
    longer = max(size)
    return np.stack([x / longer, y / longer, log_depth, np.broadcast_to(freedom, len(log_depth))], axis=1)


def pool(places: Floats, residuals: Floats, most: int = MAX_POINTS) -> Pooled:
    """Medians of the points in each cell of like place and depth, `most` at the most; few points stay as they are."""
    cell = 1 / 32
    while len(residuals) > most:
        keys = np.floor(places[:, :3] / [cell, cell, 4 * cell]).astype(np.int64)
        _, cells = np.unique(keys, axis=0, return_inverse=True)
        if cells.max() < most:
            return Pooled(_medians(places, cells), _medians(residuals[:, None], cells)[:, 0])
        cell *= 1.25
    return Pooled(places, residuals)


def _medians(values: Floats, cells: NDArray[np.int64]) -> Floats:
    """The median of each column in each cell."""
    from scipy.ndimage import median

    labels = np.arange(cells.max() + 1)
    medians: Floats = np.stack([median(column, cells.ravel(), labels) for column in values.T], axis=1)
    return medians


def expected(places: Floats) -> Floats:
    """Prior mean of the correction at places, (N, 4) to (N,)."""
    mean: Floats = LEAN * (places[:, 2] + places[:, 3])
    return mean


def covariance(first: Floats, second: Floats, factor_sd: float) -> Floats:
    """Prior covariance of the correction between places, (N, 4) and (M, 4) to (N, M)."""
    apart = np.abs(first[:, None, :3] - second[None, :, :3])
    smooth = np.exp(-0.5 * ((apart / SMOOTH_REACH) ** 2).sum(-1))
    rough = _matern(apart / ROUGH_REACH).prod(-1)
    freedom = np.outer(first[:, 3], second[:, 3])
    both: Floats = factor_sd**2 + SMOOTH_SD**2 * np.sqrt(freedom) * smooth + ROUGH_SD**2 * freedom * rough
    return both


def _matern(apart: Floats) -> Floats:
    """Matérn's covariance of smoothness 3/2: once differentiable, which is rougher than a Gaussian."""
    scaled = sqrt(3) * apart
    covariances: Floats = (1 + scaled) * np.exp(-scaled)
    return covariances


def fit_field(points: Pooled) -> ScaleField:
    """Fit the correction to points, the wrong ones among them having little weight.

    Args:
        points: two or more.
    """
    places, lean = points.places, expected(points.places)
    residuals = points.residuals - lean
    factor_sd = float(np.hypot(FACTOR_SD, np.median(points.residuals)))
    prior = covariance(places, places, factor_sd)
    trust = np.ones(len(residuals))
    for number in range(_ROUNDS):
        noise = (NOISE_SD if number else _FIRST_NOISE_SD) ** 2 / trust
        inverse = np.linalg.inv(prior + np.diag(noise)).astype(np.float64)
        pull = inverse @ residuals
        without = 1 / np.diag(inverse)  # variance of each point given the others, its own noise included
        errors = pull * without
        right = np.maximum(without - noise, 0) + NOISE_SD**2
        trust = np.clip(_share_of_right(errors, right), 1e-4, 1)
    left_out = residuals - errors
    extent = _extent(left_out, residuals, trust / right)
    return ScaleField(places, extent * pull, inverse, factor_sd, lean + extent * left_out, np.sqrt(right), trust)


def _extent(left_out: Floats, residuals: Floats, weights: Floats) -> float:
    """The share of the correction that is right, 0 to 1: of what is left out, the share that the residuals are."""
    doubt = EXTENT_SD**-2
    share = (weights @ (left_out * residuals) + doubt) / (weights @ left_out**2 + doubt)
    return float(np.clip(share, 0, 1))


def _share_of_right(errors: Floats, variance: Floats) -> Floats:
    """How likely each error is one of a right point rather than of a wrong one."""
    wrong = variance + WRONG_SD**2
    likely, unlikely = (
        share * np.exp(-0.5 * errors**2 / spread) / np.sqrt(spread)
        for share, spread in ((1 - WRONG_SHARE, variance), (WRONG_SHARE, wrong))
    )
    return likely / (likely + unlikely)


def correction(
    field: ScaleField, log_depth: NDArray[np.float32], freedom: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The correction of every pixel.

    It is worked out on a grid of columns, rows and depths, and lies between its nodes linearly.

    Args:
        field: fitted to points of this map.
        log_depth: logarithm of the predicted depth as a share of the image's middle one, (H, W), finite.
        freedom: of every pixel, see `places_of`, (H, W); 1 if it is not given.

    Returns:
        Logarithm of what to multiply the depth by, (H, W).
    """
    size = log_depth.shape
    levels = _levels(log_depth)
    nums = [max(2, round(_NODES * side / max(size))) for side in size]
    y, x = (np.linspace(0, (side - 1) / max(size), num) for side, num in zip(size, nums, strict=True))
    smooth, rough = (np.diff(part, axis=0, prepend=0).astype(np.float32) for part in _on_grid(field, x, y, levels))
    step = levels[1] - levels[0]
    height = (log_depth - np.float32(levels[0])) * np.float32(1 / step)
    freedom = np.ones(size, np.float32) if freedom is None else freedom
    root, both = np.sqrt(freedom), np.zeros(size, np.float32)
    for number, layers in enumerate(zip(smooth, rough, strict=True)):  # what each level adds, linearly from that below
        more, rougher = (enlarged(layer, size) for layer in layers)
        both += np.clip(height - np.float32(number - 1), 0, 1) * (more + root * rougher)
    both *= root
    both += np.float32(LEAN) * (log_depth + freedom) + np.float32(field.factor_sd**2 * field.pull.sum())
    return both


def _levels(log_depth: NDArray[np.float32]) -> Floats:
    """Evenly spaced logarithms of depth that span the map."""
    low, high = float(log_depth.min()), float(log_depth.max())
    num = int(np.clip(np.ceil((high - low) / _LEVEL), 1, _MAX_LEVELS - 1)) + 1
    return np.linspace(low, max(high, low + 1e-3), num)


def _on_grid(field: ScaleField, x: Floats, y: Floats, levels: Floats) -> list[Floats]:
    """Smooth and rough part of freedom 1 at nodes (levels, rows, columns): each is a product over the coordinates."""
    freedom = field.places[:, 3]
    apart = [np.abs(axis[:, None] - field.places[:, number]) for number, axis in enumerate((x, y, levels))]
    smooth = [np.exp(-0.5 * (it / reach) ** 2) for it, reach in zip(apart, SMOOTH_REACH, strict=True)]
    rough = [_matern(it / reach) for it, reach in zip(apart, ROUGH_REACH, strict=True)]
    parts = []
    for (across, down, deep), variance in ((smooth, SMOOTH_SD**2 * np.sqrt(freedom)), (rough, ROUGH_SD**2 * freedom)):
        weighted = down[None] * (deep * (variance * field.pull))[:, None]  # (levels, rows, N)
        parts.append(weighted @ across.T)
    return parts


def enlarged(nodes: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """A map between nodes that are spread evenly over rows and columns, the outermost at the outermost pixels."""
    down, across = (_interpolation(num, side) for num, side in zip(nodes.shape, size, strict=True))
    return (down @ nodes @ across.T).astype(np.float32, copy=False)


def _interpolation(num: int, side: int) -> NDArray[np.float32]:
    """Weights of `num` nodes at each pixel of a side, (side, num)."""
    places = np.linspace(0, num - 1, side)
    weights: Floats = np.maximum(1 - np.abs(places[:, None] - np.arange(num)), 0)
    return weights.astype(np.float32)


def spread_at(field: ScaleField, places: Floats) -> Floats:
    """Standard deviation of what the correction leaves, at places (M, 4) to (M,)."""
    known = covariance(places, field.places, field.factor_sd)
    prior = field.factor_sd**2 + SMOOTH_SD**2 * places[:, 3] + ROUGH_SD**2 * places[:, 3] ** 2
    variance = prior - ((known @ field.inverse) * known).sum(1)
    spread: Floats = np.sqrt(np.maximum(variance, 0) + NOISE_SD**2)
    return spread
