"""The depths of a data set in a few numbers, and whether their unit can be right."""

from collections.abc import Sequence
from math import ceil, floor, log, log10
from typing import NamedTuple

import numpy as np

from leadline.data.datasets.folder import MILLIMETRES, FolderInfo

PLAUSIBLE_MEDIAN_M = (0.2, 100.0)
USUAL_MEDIAN_M = 3.0
FAR_FOR_A_ROOM_M = 8.0
METRES_PER_UNIT = {
    "millimetres": MILLIMETRES,
    "5000 per metre, as TUM's": 0.0002,
    "256 per metre, as KITTI's": 1 / 256,
    "centimetres": 0.01,
    "metres": 1.0,
}
"""Known ways of storing depth."""
TUM_M = METRES_PER_UNIT["5000 per metre, as TUM's"]
NEAREST_OF_SENSORS_M = 0.35
MAX_BINS = 15
BAR_WIDTH = 40
"""Longest bar of the histogram, in characters."""


class DepthStatistics(NamedTuple):
    """The depths of many pictures, in metres."""

    min_m: float
    median_m: float
    max_m: float
    valid_share: float  # of all pixels
    bin_m: float  # width of the histogram's bins, which begin at whole multiples of it
    first_m: float  # where the first bin begins
    shares: tuple[float, ...]  # of the valid pixels, one a bin; the last one has all that is farther, too
    low_m: float = 0.0  # only 1 % is nearer


def summarise_depth(values_m: Sequence[np.ndarray], valid_shares: Sequence[float]) -> DepthStatistics | None:
    """Sum up the depths of many pictures.

    Args:
        values_m: valid depths of each picture in metres, (N,) each.
        valid_shares: share of each picture's pixels that is valid.

    Returns:
        The summary, or None if there are no depths.
    """
    pooled = np.concatenate([np.empty(0), *values_m])
    if not pooled.size:
        return None
    low, near, median, high, most = np.percentile(pooled, (0, 1, 50, 99, 100)).tolist()
    bin_m = _round_step((high - low) / MAX_BINS) if high > low else high
    first = floor(low / bin_m)
    num_bins = max(1, ceil(high / bin_m) - first)
    bins = np.clip(np.floor(pooled / bin_m) - first, 0, num_bins - 1).astype(int)
    shares = np.bincount(bins, minlength=num_bins) / pooled.size
    return DepthStatistics(
        low, median, most, float(np.mean(valid_shares)), bin_m, first * bin_m, tuple(shares.tolist()), near
    )


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not less."""
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def depth_lines(summary: DepthStatistics) -> list[str]:
    """The summary as text, with a histogram of bars."""
    _, _, _, valid, bin_m, first_m, shares, _ = summary
    tallest = max(shares)
    bars = []
    for index, share in enumerate(shares):
        low, bar = first_m + index * bin_m, "#" * round(BAR_WIDTH * share / tallest)
        end = f"to {low + bin_m:.4g} m" if index < len(shares) - 1 else "m or more"
        bars.append(f"  {low:6.4g} {end:<10} {100 * share:5.1f} %  {bar}".rstrip())
    span = f"{summary.min_m:.4g} m to {summary.max_m:.4g} m, median {summary.median_m:.4g} m"
    return [f"depth         {span}; {100 * valid:.1f} % of the pixels are valid", *bars]


def unit_problem(median_m: float, info: FolderInfo) -> str | None:
    """Say which unit the stored values seem to have, if the median depth cannot be in metres.

    Args:
        median_m: median depth as read with `info`.
        info: scale and offset that it was read with.

    Returns:
        A sentence, or None where the median is plausible.
    """
    low, high = PLAUSIBLE_MEDIAN_M
    if low <= median_m <= high:
        return None
    scale = info.depth_scale or MILLIMETRES
    stored = (median_m - info.depth_offset) / scale
    fits = {name: scale for name, scale in METRES_PER_UNIT.items() if low <= stored * scale <= high}
    found = f"a median depth of {median_m:.3g} m is hardly right"
    if not fits:
        return f"{found}: set depth_scale (metres per stored unit) in dataset.toml, now {scale:g}"
    name = min(fits, key=lambda name: abs(log(stored * fits[name] / USUAL_MEDIAN_M)))
    then = f"the median would be {stored * fits[name]:.3g} m"
    return f"{found}: values look like {name}: set depth_scale = {fits[name]:.6g} in dataset.toml ({then})"


def layout_unit_problem(depth: DepthStatistics, metres_per_unit: float | None) -> str | None:
    """Say so if the depths of a known layout cannot be in the unit that its makers use.

    Args:
        depth: as read.
        metres_per_unit: of the stored whole numbers; None where depth is stored in metres.

    Returns:
        A sentence, or None where the depths are plausible. Kinect and RealSense see nothing nearer than 0.35 m, so that
        depths in steps of 0.2 mm, as TUM's, that begin nearer are rather in millimetres.
    """
    low, high = PLAUSIBLE_MEDIAN_M
    nearer_than_sensors = metres_per_unit == TUM_M and depth.low_m < NEAREST_OF_SENSORS_M
    if low <= depth.median_m <= high and not nearer_than_sensors:
        return None
    found = f"depths from {depth.low_m:.3g} m, {depth.median_m:.3g} m in the median, are hardly right"
    if metres_per_unit is None:
        return f"{found}: is the capture in another unit than metres?"
    stored = depth.median_m / metres_per_unit
    fits = {name: scale for name, scale in METRES_PER_UNIT.items() if scale != metres_per_unit}
    name = min(fits, key=lambda name: abs(log(stored * fits[name] / USUAL_MEDIAN_M)))
    return (
        f"{found} for this layout, which has {1 / metres_per_unit:g} steps a metre: values look like {name}; "
        f"list the files in an index.csv and set depth_scale = {fits[name]:.6g} in dataset.toml"
    )


def unit_note(median_m: float, info: FolderInfo) -> str | None:
    """Say so if depths that are right for a street would be right for rooms in TUM's unit."""
    tum = METRES_PER_UNIT["5000 per metre, as TUM's"]
    if (info.depth_scale or MILLIMETRES) != MILLIMETRES or not FAR_FOR_A_ROOM_M < median_m <= PLAUSIBLE_MEDIAN_M[1]:
        return None
    there = median_m / MILLIMETRES * tum
    return f"a median of {median_m:.3g} m is far for a room; with depth_scale = {tum:g} (TUM's) it is {there:.3g} m"
