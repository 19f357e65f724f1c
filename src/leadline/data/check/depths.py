"""The depths of a data set in a few numbers, and whether their unit can be right."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log, log10
from typing import NamedTuple

import numpy as np

from leadline.data.datasets.folder import MILLIMETRES, FolderInfo

PLAUSIBLE_MEDIAN_M = (0.2, 100.0)
USUAL_MEDIAN_M = 3.0
FAR_FOR_A_ROOM_M = 8.0
USUAL_DEPTHS_M = (0.5, 8.0)
"""Medians of rooms, among which the likely units are."""


class Unit(NamedTuple):
    """A known way of storing depth."""

    name: str
    whose: str  # who stores depth so; "" where many do
    scale: float  # metres per stored unit
    rarity: float  # how much nearer to the usual a median must come by it than by a common unit, in ln(metres)
    step: int = 1  # what stored numbers are multiples of where whole millimetres were brought to this unit


UNITS = (
    Unit("millimetres", "", MILLIMETRES, 0.0),
    Unit("5000 per metre, as TUM's", "TUM's", 0.0002, 0.0, 5),
    Unit("256 per metre, as KITTI's", "KITTI's", 1 / 256, 0.0),
    Unit("centimetres", "", 0.01, 0.0),
    Unit("metres", "", 1.0, 0.0),
    Unit("4000 per metre", "", 1 / 4000, 1.0, 4),
    Unit("6553.5 per metre, 10 m in 16 bits", "", 1 / 6553.5, 1.0),
    Unit("10000 per metre, tenths of millimetres", "", 0.0001, 1.0, 10),
    Unit("512 per metre, as Taskonomy's", "Taskonomy's", 1 / 512, 1.0),
    Unit("25.5 per metre, 10 m in 8 bits", "", 10 / 255, 1.0),
)
NEAREST_OF_SENSORS_M = 0.35
"""Kinect and RealSense see hardly anything nearer."""
TELLING_STEPS = (4, 5)
"""Steps of `UNITS` that no camera has in millimetres: some see whole centimetres."""
MIN_OF_A_UNIT = 2
"""Pictures that may be a group of another unit."""
APART_IN_UNIT = 3.0
"""How many times as far as the next a picture's median depth is where that begins: units differ by 3.9 and more."""
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
    low, median, high, most = np.percentile(pooled, (0, 50, 99, 100)).tolist()
    bin_m = _round_step((high - low) / MAX_BINS) if high > low else high
    first = floor(low / bin_m)
    num_bins = max(1, ceil(high / bin_m) - first)
    bins = np.clip(np.floor(pooled / bin_m) - first, 0, num_bins - 1).astype(int)
    shares = np.bincount(bins, minlength=num_bins) / pooled.size
    return DepthStatistics(
        low, median, most, float(np.mean(valid_shares)), bin_m, first * bin_m, tuple(shares.tolist())
    )


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not less."""
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def depth_lines(summary: DepthStatistics) -> list[str]:
    """The summary as text, with a histogram of bars."""
    _, _, _, valid, bin_m, first_m, shares = summary
    tallest = max(shares)
    bars = []
    for index, share in enumerate(shares):
        low, bar = first_m + index * bin_m, "#" * round(BAR_WIDTH * share / tallest)
        end = f"to {low + bin_m:.4g} m" if index < len(shares) - 1 else "m or more"
        bars.append(f"  {low:6.4g} {end:<10} {100 * share:5.1f} %  {bar}".rstrip())
    span = f"{summary.min_m:.4g} m to {summary.max_m:.4g} m, median {summary.median_m:.4g} m"
    return [f"depth         {span}; {100 * valid:.1f} % of pixels valid", *bars]


def unit_problem(median_m: float, info: FolderInfo, step: int = 1) -> str | None:
    """Say which unit the stored values seem to have, if the median depth cannot be in metres.

    Args:
        median_m: median depth as read with `info`.
        info: scale and offset that it was read with.
        step: what all stored numbers are multiples of.

    Returns:
        A sentence, or None where the median is plausible.
    """
    if PLAUSIBLE_MEDIAN_M[0] <= median_m <= PLAUSIBLE_MEDIAN_M[1]:
        return None
    scale = info.depth_scale or MILLIMETRES
    likely = likely_units((median_m - info.depth_offset) / scale, step, PLAUSIBLE_MEDIAN_M)
    found = f"a median depth of {median_m:.3g} m is hardly right"
    if not likely:
        return f"{found}: set depth_scale (metres per stored unit) in dataset.toml, now {scale:g}"
    (unit, there_m), *others = likely
    then = f"the median would be {there_m:.3g} m"
    said = f"{found}: values look like {unit.name}: set depth_scale = {unit.scale:.6g} in dataset.toml ({then})"
    return said + or_else(others)


def unit_note(median_m: float, info: FolderInfo, step: int = 1) -> str | None:
    """Say so if depths would be right for rooms in another unit: those of a street, of a box, multiples of its step.

    Args:
        median_m: as `unit_problem`, and so the others.
        info: likewise.
        step: likewise.
    """
    scale = info.depth_scale or MILLIMETRES
    brought = next((unit for unit in UNITS if unit.step == step in TELLING_STEPS), None)
    if scale == MILLIMETRES and brought and median_m <= FAR_FOR_A_ROOM_M:
        return (
            f"all values are multiples of {step}, as of millimetres brought to {brought.name}: with depth_scale "
            f"= {brought.scale:.6g} the median is {median_m / scale * brought.scale:.3g} m"
        )
    is_far = FAR_FOR_A_ROOM_M < median_m <= PLAUSIBLE_MEDIAN_M[1]
    is_near = PLAUSIBLE_MEDIAN_M[0] <= median_m < NEAREST_OF_SENSORS_M
    if scale != MILLIMETRES or not (is_far or is_near):
        return None
    likely = likely_units((median_m - info.depth_offset) / scale, step, USUAL_DEPTHS_M)
    if not likely:
        return None
    (unit, there_m), *others = likely
    whose = unit.whose or unit.name
    what = "far for a room" if is_far else "nearer than most depth cameras see"
    said = f"a median of {median_m:.3g} m is {what}; with depth_scale = {unit.scale:.6g} ({whose}) it is"
    return f"{said} {there_m:.3g} m{or_else(others)}"


def mixed_units_note(values_m: Mapping[str, np.ndarray]) -> str | None:
    """Say so if depth maps fall into two groups far apart, as where two recordings with units of their own were joined.

    Args:
        values_m: valid depths of each picture in metres, (N,) each.
    """
    medians_m = {name: float(np.median(values)) for name, values in values_m.items() if values.size}
    names = sorted(medians_m, key=lambda name: medians_m[name])
    gaps = [medians_m[farther] / medians_m[nearer] for nearer, farther in pairwise(names)]
    place = 1 + int(np.argmax(gaps)) if gaps else 0
    near, far = names[:place], names[place:]
    if min(len(near), len(far)) < MIN_OF_A_UNIT or gaps[place - 1] < APART_IN_UNIT:
        return None
    times = float(np.median([medians_m[name] for name in far]) / np.median([medians_m[name] for name in near]))
    return (
        f"depths of {len(far)} pictures, such as {far[-1]}, are {times:.3g} times those of the other {len(near)}, such "
        f"as {near[0]}, and none is between: if their units differ, make each a data set with a depth_scale of its own"
    )


def likely_units(median: float, step: int, span_m: tuple[float, float]) -> list[tuple[Unit, float]]:
    """Units by which stored depths are those of a room, and the median in metres by each; the likeliest first.

    Args:
        median: of the stored numbers.
        step: what all of them are multiples of.
        span_m: where the median may lie, in metres.
    """
    fits = [(unit, median * unit.scale) for unit in UNITS if span_m[0] <= median * unit.scale <= span_m[1]]

    def unlikely(fit: tuple[Unit, float]) -> float:
        unit, there_m = fit
        is_told = unit.step > 1 and unit.step == step
        return abs(log(there_m / USUAL_MEDIAN_M)) + (0 if is_told else unit.rarity) - 3 * is_told

    return sorted(fits, key=unlikely)


def or_else(others: Sequence[tuple[Unit, float]]) -> str:
    """The other units that rooms could be stored in, the likeliest three."""
    low, high = USUAL_DEPTHS_M
    usual = [f"{unit.scale:.6g} ({unit.name}: {there_m:.3g} m)" for unit, there_m in others if low <= there_m <= high]
    return f"; or {', '.join(usual[:3])}" if usual else ""
