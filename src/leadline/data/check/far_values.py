"""Values of depth maps that mean "nothing there" and would be taken for depth."""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.folder import MILLIMETRES, FolderInfo, is_invalid
from leadline.io import FAR_CODES, FARTHEST_M

MIN_SHARE = 1e-4
"""Share of the valid pixels from which on a value is worth a word."""
MIN_CODE_SHARE = 0.01
"""Likewise of a known code without a gap below it."""
MIN_GAP = 1.5
"""How many times as far as all others a value is that stands alone."""

CONFIDENCE_SHIFT = 13
"""Android's DEPTH16 has millimetres in so many bits and a confidence in the three above."""
_LOW_BITS = (1 << CONFIDENCE_SHIFT) - 1
_SURFACE_MM = 256  # neighbours of one surface differ by less
_MIN_CONFIDENCE_PAIRS = 0.005
_MIN_AGREEING = 0.7


class FarValues(NamedTuple):
    """What tells of such values in one depth map."""

    num_pixels: int
    num_valid: int
    num_infinite: int  # pixels whose depth is more than 32-bit floats hold, and that nothing says to be none
    top_infinite: float  # the largest finite number that is stored in them; 0 where there is none
    top_m: float  # the largest valid depth; 0 where there is none
    top_stored: float  # what the file holds there
    num_top: int  # how many pixels have it
    below_m: float  # the largest depth below it; 0 where there is none
    num_beyond: int  # valid pixels farther than FARTHEST_M
    num_pairs: int  # valid neighbours that may be DEPTH16; 0 where the numbers are of another kind
    num_apart: int  # of these, how many differ above the low bits
    num_agreeing: int  # of these, how many are of one surface by the low bits


def find_far_values(
    stored: NDArray[Any], depth_m: NDArray[Any], valid: NDArray[np.bool_], info: FolderInfo
) -> FarValues:
    """Count what tells of far values.

    Args:
        stored: the numbers of the file, (H, W).
        depth_m: metres along what is stored, (H, W).
        valid: which of them are depth, (H, W).
        info: what they were read with.
    """
    values_m = depth_m[valid]
    top_m = float(values_m.max(initial=0))
    below_m = float(values_m[values_m < top_m].max(initial=0))
    infinite = _infinite(stored, info)
    top_infinite = float(infinite[np.isfinite(infinite)].max(initial=0))
    top_stored = float(stored[valid][values_m.argmax()]) if values_m.size else 0.0
    num_top, num_beyond = int((values_m == top_m).sum()), int((values_m > FARTHEST_M).sum())
    sizes = (valid.size, values_m.size, infinite.size, top_infinite)
    return FarValues(*sizes, top_m, top_stored, num_top, below_m, num_beyond, *_confidence_pairs(stored, valid))


def _infinite(stored: NDArray[Any], info: FolderInfo) -> NDArray[Any]:
    """The stored numbers that are infinite as 32-bit metres, and neither marked as invalid nor beyond a limit."""
    if stored.dtype.kind != "f" or info.depth_max_m is not None:
        return stored[:0, :0].ravel()
    with np.errstate(over="ignore"):
        depth_m = stored.astype(np.float32) * np.float32(info.metres_per_unit(stored.dtype))
    found: NDArray[Any] = stored[np.isinf(depth_m) & ~is_invalid(stored, info.depth_invalid)]
    return found


def _confidence_pairs(stored: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[int, int, int]:
    if stored.dtype.kind not in "ui" or stored.dtype.itemsize < 2:
        return 0, 0, 0
    both = valid[:, 1:] & valid[:, :-1]
    left, right = (part[both].astype(np.int64) for part in (stored[:, :-1], stored[:, 1:]))
    apart = left >> CONFIDENCE_SHIFT != right >> CONFIDENCE_SHIFT
    agreeing = apart & (np.abs((left & _LOW_BITS) - (right & _LOW_BITS)) <= _SURFACE_MM)
    return left.size, int(apart.sum()), int(agreeing.sum())


def far_problems(maps: Sequence[FarValues], info: FolderInfo, is_folder: bool = True) -> tuple[list[str], list[str]]:
    """Problems and notes, a sentence each.

    Args:
        maps: of each depth map.
        info: what they were read with, the scale filled in.
        is_folder: whether there is a dataset.toml to say it in; else only once the data set is converted.
    """
    found = _confidence_problem(maps, info)
    problems, notes = ([found], []) if found else _top_value(maps, is_folder)
    num_infinite, num_pixels = sum(one.num_infinite for one in maps), sum(one.num_pixels for one in maps)
    if num_infinite:
        top = max(one.top_infinite for one in maps)
        too_large = f" or too large for 32-bit floats (up to {top:.5g})" if top else ""
        notes.append(f"{num_infinite / num_pixels:.1%} of the pixels are infinite{too_large}, which is no depth")
    return problems, notes


def _confidence_problem(maps: Sequence[FarValues], info: FolderInfo) -> str | None:
    pairs, apart = sum(one.num_pairs for one in maps), sum(one.num_apart for one in maps)
    agreeing = sum(one.num_agreeing for one in maps)
    if info.depth_scale != MILLIMETRES or apart <= _MIN_CONFIDENCE_PAIRS * pairs or agreeing < _MIN_AGREEING * apart:
        return None
    return (
        f"values look like Android's DEPTH16, {CONFIDENCE_SHIFT} bits of millimetres with a confidence in the 3 bits "
        f"above: save value & {_LOW_BITS} as depth"
    )


def _top_value(maps: Sequence[FarValues], is_folder: bool) -> tuple[list[str], list[str]]:
    """A value that stands alone beyond all others, or depths beyond everything."""
    num_valid = sum(one.num_valid for one in maps)
    top_m, stored = max(((one.top_m, one.top_stored) for one in maps), default=(0.0, 0.0))
    if not num_valid:
        return [], []
    below_m = max(one.below_m if one.top_m == top_m else one.top_m for one in maps)
    share = sum(one.num_top for one in maps if one.top_m == top_m) / num_valid
    stands_alone = below_m > 0 and top_m >= MIN_GAP * below_m and share >= MIN_SHARE
    if stands_alone or (stored in FAR_CODES and share >= MIN_CODE_SHARE):
        shown = ", ".join(filter(None, [f"{stored:.10g}", FAR_CODES.get(stored)]))
        nearer = f"depth_max_m = {max(1, ceil(below_m))}"
        remedy = (
            f"set depth_invalid = [0, {stored:.10g}] in dataset.toml, or {nearer}"
            if is_folder
            else f"leadline data convert it and set {nearer} in the dataset.toml there"
        )
        said = (
            f"{share:.1%} of the valid pixels have the value {shown} ({top_m:.5g} m); the next is {below_m:.4g} m: if "
            f"it means no depth, {remedy}"
        )
        return ([said], []) if stored in FAR_CODES or top_m > FARTHEST_M else ([], [said])
    beyond = sum(one.num_beyond for one in maps) / num_valid
    if beyond < MIN_SHARE:
        return [], []
    return [f"{beyond:.1%} of the valid pixels are beyond {FARTHEST_M:g} m, up to {top_m:.3g} m: set depth_max_m"], []
