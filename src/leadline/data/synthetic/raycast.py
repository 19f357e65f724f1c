"""Where rays end in a room of boxes, cylinders and ellipsoids: closed formulae, so depth is exact.

World coordinates are metres with x right, y down and z forward; the floor is y = 0, the room spans
0 ≤ x ≤ width, -height ≤ y ≤ 0 and 0 ≤ z ≤ depth. A solid turned by `yaw_rad` has its own +z axis along world
(sin yaw, 0, cos yaw). Camera axes are x right, y down, z forward, and rays are scaled so that their z is 1:
the ray's parameter *is* the depth along the optical axis. Pixel centres are at integer coordinates:
x_px = focal_px · X / Z + (width - 1) / 2, and the same for y.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import cos, sin
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.geometry import focal_px_from_fov

Array = np.ndarray
Triple = tuple[float, float, float]


class Look(NamedTuple):
    """The look of one surface: a pattern that blends two colours (linear RGB reflectances)."""

    pattern: str  # a key of patterns.PATTERNS
    color: Triple
    second: Triple
    scale_m: float  # size of the pattern's unit: a plank, a tile, a book
    glow: float = 0.0  # light that the surface gives off


class Solid(NamedTuple):
    """One convex body."""

    shape: str  # a key of SHAPES
    centre_m: Triple
    half_m: Triple  # half its width, height and depth
    yaw_rad: float
    look: Look
    tilt_rad: tuple[float, float] = (0.0, 0.0)  # about its own x, then its own z axis, before it is turned by yaw


@dataclass(frozen=True)
class Room:
    """A box seen from inside, and what it holds."""

    size_m: Triple
    """Width (x), height (y) and depth (z)."""
    shell: tuple[Look, ...]
    """Wall at low x, at high x, ceiling, floor, wall at low z, at high z."""
    solids: tuple[Solid, ...]
    lights_m: tuple[Triple, Triple]
    """Where the ceiling lamp and the daylight shine from."""
    light_colors: tuple[Triple, Triple]
    """Strength and tint of the two."""

    @cached_property
    def bounds_m(self) -> Array:
        """Low and high corner, (2, 3)."""
        width, height, depth = self.size_m
        return np.array([[0, -height, 0], [width, 0, depth]], np.float32)

    @cached_property
    def bodies(self) -> "Bodies":
        """The shell, as the same box six times, then the solids."""
        low, high = self.bounds_m
        box = Solid("box", tuple((low + high) / 2), tuple((high - low) / 2), 0.0, self.shell[0])
        bodies = [box] * len(self.shell) + list(self.solids)
        rows = [(body.centre_m, body.half_m, body_axes(body)) for body in bodies]
        centres, halves, axes = (np.array(column, np.float32) for column in zip(*rows, strict=True))
        return Bodies(centres.T, halves.T, axes)


class Bodies(NamedTuple):
    """Where the S surfaces of a room are, as columns of a table."""

    centre_m: Array  # (3, S)
    half_m: Array  # (3, S)
    axes: Array  # from world axes to its own, (S, 3, 3)


class Pose(NamedTuple):
    """Where the camera is: world = rotation @ camera + position."""

    position_m: Array  # (3,)
    rotation: Array  # (3, 3)


class Hits(NamedTuple):
    """Where rays end."""

    depth_m: Array  # in lengths of the ray's direction: metres of depth for camera rays, (H, W)
    surface: NDArray[np.int16]  # 0 to 5: the sides of the shell; from 6 on: the solids, (H, W)


def camera_rays(height: int, width: int, fov_deg: float) -> Array:
    """Directions of the rays through all pixel centres in camera axes, with z = 1, (3, H, W)."""
    focal_px = focal_px_from_fov(fov_deg, width)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / focal_px
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / focal_px
    plane = np.broadcast_arrays(x, y[:, None], np.float32(1))
    return np.stack(plane).astype(np.float32)


def look_at(position_m: Triple, target_m: Triple, roll_rad: float) -> Pose:
    """The pose of a camera at a place that looks at another."""
    forward = np.subtract(target_m, position_m)
    forward /= np.linalg.norm(forward)
    right = np.cross((0.0, 1.0, 0.0), forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turned = cos(roll_rad) * right + sin(roll_rad) * down
    axes = np.stack((turned, np.cross(forward, turned), forward), axis=1)
    return Pose(np.array(position_m, np.float32), axes.astype(np.float32))


def body_axes(solid: Solid) -> Array:
    """The matrix from world axes to those of a solid, (3, 3)."""
    yaw = _rotation(1, solid.yaw_rad)
    pitch, roll = solid.tilt_rad
    return (yaw @ _rotation(0, pitch) @ _rotation(2, roll)).T if pitch or roll else yaw.T


def _rotation(axis: int, angle_rad: float) -> Array:
    """From turned to unturned axes, (3, 3); about y, +z goes to (sin, 0, cos)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turned = np.eye(3)
    turned[first, first] = turned[second, second] = cos(angle_rad)
    turned[second, first], turned[first, second] = sin(angle_rad), -sin(angle_rad)
    return turned


def _slab(origin: Array, direction: Array, half: Array) -> tuple[Array, Array]:
    """Where rays enter and leave |coordinate| ≤ half on all the axes given."""
    inverse = 1 / np.where(direction == 0, np.float32(1e-12), direction)
    centre, reach = -origin * inverse, half * np.abs(inverse)
    return (centre - reach).max(axis=0), (centre + reach).min(axis=0)


def _ball(origin: Array, direction: Array) -> tuple[Array, Array]:
    """Where rays enter and leave the unit ball (or disc) of the axes given; NaN where they miss it."""
    square = (direction * direction).sum(axis=0)
    middle = -(origin * direction).sum(axis=0) / square
    nearest = origin + middle * direction  # its square, not b² - ac: that loses half the digits
    reach = np.sqrt((1 - (nearest * nearest).sum(axis=0)) / square)
    return middle - reach, middle + reach


def _ellipsoid(origin: Array, direction: Array, half: Array) -> tuple[Array, Array]:
    return _ball(origin / half, direction / half)


def _cylinder(origin: Array, direction: Array, half: Array) -> tuple[Array, Array]:
    side_in, side_out = _ball(origin[::2] / half[::2], direction[::2] / half[::2])
    cap_in, cap_out = _slab(origin[1:2], direction[1:2], half[1:2])
    return np.maximum(side_in, cap_in), np.minimum(side_out, cap_out)


SHAPES: dict[str, Callable[[Array, Array, Array], tuple[Array, Array]]] = {
    "box": _slab,
    "cylinder": _cylinder,
    "ellipsoid": _ellipsoid,
}
CORNERS = np.array([[-1, 1, -1, 1, -1, 1, -1, 1], [-1, -1, 1, 1, -1, -1, 1, 1], [-1] * 4 + [1] * 4], np.float32)
EDGES = np.array([[0, 2, 4, 6, 0, 1, 4, 5, 0, 1, 2, 3], [1, 3, 5, 7, 2, 3, 6, 7, 4, 5, 6, 7]])
NEAR_M = np.float32(0.02)
"""Nearer than this nothing is looked for."""
EVERYTHING = (slice(None), slice(None))
Window = tuple[slice, slice]


def _hit_shell(room: Room, origin: Array, direction: Array) -> Hits:
    """Where rays from inside leave the room."""
    low, high = room.bounds_m.reshape(2, 3, 1, 1)
    safe = np.where(direction == 0, np.float32(-1e-12), direction)
    leave = (np.where(direction > 0, high, low) - origin) / safe
    axis = leave.argmin(axis=0)
    positive = np.take_along_axis(direction, axis[None], 0)[0] > 0
    return Hits(leave.min(axis=0), (2 * axis + positive).astype(np.int16))


def cast_rays(room: Room, origin: Array, direction: Array, windows: list[Window] | None = None) -> Hits:
    """Find where rays end.

    Args:
        room: what they may meet.
        origin: where the rays start, inside the room, (3, 1, 1) or (3, H, W).
        direction: where they go, of any length, (3, H, W).
        windows: the rays that can meet each solid at all; all of them if not given.

    Returns:
        The ray parameter, 0 where the origin is inside a solid, and the surface met, (H, W).
    """
    hits = _hit_shell(room, origin, direction)
    centre, half, axes = room.bodies
    for index, solid in enumerate(room.solids, start=len(room.shell)):
        rows, columns = windows[index - len(room.shell)] if windows else EVERYTHING
        rays = direction[:, rows, columns]
        if rays.size:
            # Not by a matrix product: its library's own threads get in the way of those that each render an image.
            start, along = (
                np.einsum("ij,jhw->ihw", axes[index], part) for part in (origin - centre[:, index, None, None], rays)
            )
            with np.errstate(invalid="ignore"):
                enter, leave = SHAPES[solid.shape](start, along, half[:, index, None, None])
            np.maximum(enter, 0, out=enter)
            closer = (enter < leave) & (enter < hits.depth_m[rows, columns])
            np.copyto(hits.depth_m[rows, columns], enter, where=closer)
            np.copyto(hits.surface[rows, columns], np.int16(index), where=closer)
    return hits


def solid_windows(room: Room, pose: Pose, height: int, width: int, fov_deg: float) -> list[Window]:
    """The rows and columns of a picture that each solid can be seen in."""
    centre, half, axes = room.bodies
    corners = np.einsum("sji,jsk->isk", axes, half[:, :, None] * CORNERS[:, None])[:, 6:] + centre[:, 6:, None]
    seen = np.tensordot(pose.rotation.T, corners - pose.position_m[:, None, None], 1)
    low, high = seen[:, :, EDGES[0]], seen[:, :, EDGES[1]]
    share = (NEAR_M - low[2]) / np.where(high[2] == low[2], np.float32(1e-12), high[2] - low[2])
    cut = low + np.clip(share, 0, 1) * (high - low)  # where an edge passes the near plane, else one of its ends
    points = np.concatenate((seen, cut), axis=2)
    points = np.where(points[2] >= 0.99 * NEAR_M, points, np.float32(np.nan))
    focal_px = focal_px_from_fov(fov_deg, width)
    rows = _spans(points[1] / points[2] * focal_px + (height - 1) / 2, height)
    columns = _spans(points[0] / points[2] * focal_px + (width - 1) / 2, width)
    return list(zip(rows, columns, strict=True))


def _spans(places: Array, size: int) -> list[slice]:
    """The pixels from the first to the last place of each row, and one more on each side."""
    low, high = np.fmin.reduce(places, axis=1) - 1, np.fmax.reduce(places, axis=1) + 2
    ends = np.nan_to_num(np.clip((low, high), 0, size)).astype(int)
    return [slice(first, last) for first, last in ends.T.tolist()]
