"""A floor plan of what an image shows: occupancy as ROS's map_server reads it, and heights above the floor."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry import Floor, on_surface, vertices_of
from leadline.io import SOFTWARE, atomic_file, encode_png, ensure_overwritable, save_png

RESOLUTION_M = 0.05
"""Side of a cell."""
STEP_M, OVERHEAD_M = 0.10, 2.0
"""What is higher than the one and lower than the other stands in the way."""
OCCUPIED, FREE, UNKNOWN = 0, 254, 205
"""Grey values of map_server."""
OCCUPIED_THRESHOLD, FREE_THRESHOLD = 0.65, 0.196
"""Those of ROS 1: with the 0.25 of some ROS 2 files unknown cells, of (255 - 205) / 255, would count as free."""
HEIGHT_ZERO_MM = 1000
"""What is written for a height of 0, so that what lies lower than the floor has a number too."""
_MAX_CELLS = 4_000_000


@dataclass(frozen=True)
class FloorMap:
    """A grid above the floor; its x axis points forwards, its y axis to the left, 0 is below the camera."""

    occupancy: NDArray[np.uint8]  # grey values, row 0 at the largest y
    height_m: NDArray[np.float32]  # of the highest point below `OVERHEAD_M`, NaN where there is none
    origin_m: tuple[float, float]  # x and y of the lower left corner


def floor_map(
    floor: Floor,
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
) -> FloorMap:
    """Look at a depth map from above; arguments as `find_floor`, whose result `floor` is.

    A cell is occupied if a point in it is neither floor nor overhead, free if only floor is seen in it.

    Raises:
        LeadlineError: if the camera is unknown, or the map would be larger than any room.
    """
    points = vertices_of(depth_m, intrinsics)[on_surface(depth_m, valid)]
    heights = floor.heights_m(points)
    forward = np.array([0.0, 0.0, 1.0]) - floor.up[2] * floor.up
    forward /= np.linalg.norm(forward)
    left = np.cross(floor.up, forward)  # x forwards, y left, z up is right-handed
    plan = np.stack([points @ forward, points @ left], axis=1)
    below = heights < OVERHEAD_M
    plan, heights = plan[below], heights[below]
    if not len(plan):
        raise LeadlineError("nothing below 2 m to draw a floor plan of: leave that format out")
    low = np.floor(plan.min(0) / RESOLUTION_M).astype(int)
    columns, rows = (np.floor(plan.max(0) / RESOLUTION_M).astype(int) - low + 1).tolist()
    if rows * columns > _MAX_CELLS:
        raise LeadlineError(
            f"a floor plan of {columns * RESOLUTION_M:.0f}×{rows * RESOLUTION_M:.0f} m is larger than any room: "
            "leave that format out"
        )
    cells = np.floor(plan / RESOLUTION_M).astype(int) - low
    flat = cells[:, 1] * columns + cells[:, 0]
    height = np.full(rows * columns, -np.inf, np.float32)
    np.maximum.at(height, flat, heights)
    height[np.isinf(height)] = np.nan
    grey = np.full(rows * columns, UNKNOWN, np.uint8)
    grey[height <= STEP_M] = FREE
    grey[height > STEP_M] = OCCUPIED
    upright = (rows, columns)
    return FloorMap(
        grey.reshape(upright)[::-1].copy(),
        height.reshape(upright)[::-1].copy(),
        (float(low[0]) * RESOLUTION_M, float(low[1]) * RESOLUTION_M),
    )


def write_floor_map(path: Path, plan: FloorMap, floor: Floor) -> None:
    """Write occupancy as PNG with its YAML beside it, and heights as 16-bit PNG.

    Args:
        path: the PNG of the occupancy, NAME_floor.png; beside it come NAME_floor.yaml and NAME_floor_height.png.
        plan: the map.
        floor: that it is of.

    Raises:
        LeadlineError: if another program's file has the name of the heights.
        OSError: if a file cannot be written; nothing of it stays.
    """
    heights, words = path.with_name(f"{path.stem}_height.png"), path.with_suffix(".yaml")
    ensure_overwritable([heights, words])
    known = np.isfinite(plan.height_m)
    millimetres = np.where(known, np.rint(plan.height_m * 1000) + HEIGHT_ZERO_MM, 0).clip(0, 65535).astype(np.uint16)
    text = {"unit": f"millimetre above the floor + {HEIGHT_ZERO_MM}", "invalid": "0", "software": SOFTWARE}
    with atomic_file(heights) as temporary:
        temporary.write_bytes(encode_png(millimetres, text))
    with atomic_file(words) as temporary:
        temporary.write_text(_yaml(path, plan, floor), encoding="utf-8")
    save_png(path, Image.fromarray(plan.occupancy))


def _yaml(path: Path, plan: FloorMap, floor: Floor) -> str:
    x, y = plan.origin_m
    return (
        f"# {SOFTWARE}: {floor}\n"
        f"# x forwards, y left, 0 below the camera; heights: {path.stem}_height.png, "
        f"millimetres + {HEIGHT_ZERO_MM}, 0 unknown\n"
        f'image: "{path.name}"\n'
        f"mode: trinary\nresolution: {RESOLUTION_M}\norigin: [{x:.3f}, {y:.3f}, 0.0]\nnegate: 0\n"
        f"occupied_thresh: {OCCUPIED_THRESHOLD}\nfree_thresh: {FREE_THRESHOLD}\n"
    )
