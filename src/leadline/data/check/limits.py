"""Do `depth_invalid` and `depth_max_m` of a `dataset.toml` leave out what they are meant to?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.folder import MILLIMETRES, FolderInfo, is_invalid
from leadline.io import FARTHEST_M


class LeftOut(NamedTuple):
    """What the two leave out of one depth map."""

    dtype: np.dtype[Any]
    num_codes: tuple[int, ...]  # pixels that have each of `depth_invalid`
    num_as_metres: tuple[int, ...]  # pixels that would have it if it were told in metres
    num_depths: int  # pixels that have depth before `depth_max_m`
    num_cut: int  # of these, those beyond it
    nearest_m: float  # of these; infinite where there are none


def find_left_out(stored: NDArray[Any], info: FolderInfo) -> LeftOut:
    """Count it.

    Args:
        stored: the numbers of the file, (H, W).
        info: what they are read with.
    """
    codes, scale = _codes(info), info.metres_per_unit(stored.dtype)
    with np.errstate(over="ignore"):
        depth_m = stored.astype(np.float32) * np.float32(scale) + np.float32(info.depth_offset)
    values_m = depth_m[~is_invalid(stored, info.depth_invalid) & np.isfinite(depth_m) & (depth_m > 0)]
    return LeftOut(
        stored.dtype,
        tuple(int(is_invalid(stored, code).sum()) for code in codes),
        tuple(int(is_invalid(stored, _as_stored(code, info, scale)).sum()) for code in codes),
        values_m.size,
        int((values_m > (info.depth_max_m or np.inf)).sum()),
        float(values_m.min(initial=np.inf)),
    )


def limit_problems(maps: Sequence[LeftOut], info: FolderInfo) -> tuple[list[str], list[str]]:
    """Problems and notes, a sentence each.

    Args:
        maps: of each depth map.
        info: what they were read with.
    """
    if not maps:
        return [], []
    codes = [_code_problem(maps, place, code, info) for place, code in enumerate(_codes(info))]
    problems = [said for said, is_certain in filter(None, codes) if is_certain]
    notes = [said for said, is_certain in filter(None, codes) if not is_certain]
    return problems + _farthest_problem(maps, info.depth_max_m), notes


def _codes(info: FolderInfo) -> tuple[float, ...]:
    """`depth_invalid` without those that are no depth anyway."""
    listed = info.depth_invalid if isinstance(info.depth_invalid, tuple) else (info.depth_invalid,)
    return tuple(code for code in listed if code and np.isfinite(code))


def _as_stored(metres: float, info: FolderInfo, scale: float) -> float:
    return float(np.rint((metres - info.depth_offset) / scale))


def _code_problem(maps: Sequence[LeftOut], place: int, code: float, info: FolderInfo) -> tuple[str, bool] | None:
    """What to say of a code that no pixel has, and whether it is certainly wrong."""
    if any(one.num_codes[place] for one in maps):
        return None
    dtype = maps[0].dtype
    scale = info.metres_per_unit(dtype)
    said = f"depth_invalid in dataset.toml: no pixel of the {len(maps)} depth maps looked at has the value {code:.10g}"
    if scale != 1 and any(one.num_as_metres[place] for one in maps):
        stored = _as_stored(code, info, scale)
        return f"{said}; it is a number of the file, not metres: set depth_invalid = [0, {stored:.10g}]", True
    if dtype.kind != "f" and not (code.is_integer() and np.iinfo(dtype).min <= code <= np.iinfo(dtype).max):
        return f"{said}, which files of {dtype} cannot hold: give the number that they have where there is none", True
    return f"{said}: leave it out if none ever has", False


def _farthest_problem(maps: Sequence[LeftOut], farthest_m: float | None) -> list[str]:
    num_depths, num_cut = sum(one.num_depths for one in maps), sum(one.num_cut for one in maps)
    if farthest_m is None or not num_depths:
        return []
    said = f"depth_max_m = {farthest_m:g} in dataset.toml"
    if num_cut == num_depths:
        nearest_m = min(one.nearest_m for one in maps)
        return [f"{said} leaves no depth, the nearest is {nearest_m:.4g} m: give the farthest that counts, in metres"]
    if farthest_m >= FARTHEST_M and not num_cut:
        metres = farthest_m * MILLIMETRES
        return [
            f"{said} leaves out nothing and looks like millimetres: give metres (depth_max_m = {metres:g}), or none"
        ]
    return []
