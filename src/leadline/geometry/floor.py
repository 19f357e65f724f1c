"""The floor in a depth map, and from it the camera's height and tilt.

A plane n·X = h is z · (p·ray) = 1 with p = n/h: linear in p, and what it leaves, z · (p·ray) - 1, is how far a point is
below the plane in camera heights. Beds, tables and steps are told from the floor by what lies below them.
"""

from dataclasses import dataclass
from math import asin, atan2, degrees
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry.normals import surface_normals
from leadline.geometry.points import known_camera

TOLERANCE = 0.06
"""Points are on a plane that are nearer to it than this share of the camera's height; of exact depth, nearer still."""
KEPT = 0.4
"""What is left on a plane at half the tolerance when the depth is that exact."""
BELOW = 2.5
"""Points are below a plane that are lower than it by so many tolerances."""
LIKE_UP = 0.9
"""Cosine of the largest angle between the plane and the surface at a point on it."""
MIN_SUPPORT = 0.03
"""Share of the pixels that a floor has at the least."""
MAX_BELOW = 0.03
"""Share of the pixels that may lie below it, by mistakes of the depth and reflections."""
SURE_SUPPORT, SURE_BELOW = 0.10, 0.01
"""A floor with less support, or more below it, is doubtful."""
MAX_ROLL, MAX_PITCH = 25.0, 60.0
"""Degrees by which a camera is held askew, and looks down or up, at the most: beyond, a wall would do as well."""
_MAP = 160  # longer side of the map on which normals are taken
_SAMPLES = 4000
_TRIALS = 500
_TANGENT = 300
_REACH = 0.15  # of the longer side, within which three pixels are drawn
_REFINED = 30
_ROUNDS = 6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Floor:
    """A floor seen by a camera."""

    up: Floats
    """Unit vector in camera space (x right, y down, z forward) that points up from the floor, (3,)."""
    camera_height_m: float
    """Distance of the camera from it."""
    support: float
    """Share of the pixels that lie on it."""
    below: float
    """Share of the pixels that lie below it."""

    @property
    def tilt_deg(self) -> float:
        """How far the optical axis points below the horizon."""
        return degrees(asin(float(np.clip(-self.up[2], -1, 1))))

    @property
    def roll_deg(self) -> float:
        """How far the camera is turned about its optical axis, its right side down."""
        return degrees(atan2(float(self.up[0]), float(-self.up[1])))

    @property
    def sure(self) -> bool:
        """Whether much is on it and next to nothing below."""
        return self.support >= SURE_SUPPORT and self.below <= SURE_BELOW

    def __str__(self) -> str:
        """Height and tilt in words, and the doubt."""
        doubt = "" if self.sure else f" (unsure: {self.support:.0%} of the image on it, {self.below:.0%} below)"
        way = "up" if self.tilt_deg < -0.05 else "down"
        return f"camera {self.camera_height_m:.2f} m above the floor, tilted {abs(self.tilt_deg):.1f}° {way}{doubt}"

    def heights_m(self, points_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far points in camera space are above the floor, (..., 3) to (...)."""
        heights: NDArray[np.float32] = points_m @ self.up.astype(np.float32) + np.float32(self.camera_height_m)
        return heights


class _Samples(NamedTuple):
    """Some pixels of a depth map."""

    pixels: Floats  # columns and rows as shares of the longer side, (N, 2)
    points: Floats  # in camera space, (N, 3)
    normals: Floats  # (N, 3)


def find_floor(depth_m: NDArray[np.float32], valid: NDArray[np.bool_], intrinsics: NDArray[np.float32] | None) -> Floor:
    """Find the lowest large plane below the camera.

    Args:
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3).

    Raises:
        LeadlineError: if the camera is unknown, or nothing is like a floor.
    """
    samples = _samples(depth_m, valid, intrinsics)
    planes = _candidates(samples)
    # A rug lies above the floor by less than a prediction's error, but not by less than exact depth's.
    tolerances = (_noise(planes, samples), TOLERANCE) if len(planes) else ()
    found = next(filter(None, (_best(planes, samples, it) for it in tolerances)), None)
    if found is not None:
        plane, support, below = found
        length = float(np.linalg.norm(plane))
        return Floor(-plane / length, 1 / length, support, below)
    raise LeadlineError(
        f"no floor found: wanted a plane below the camera with {MIN_SUPPORT:.0%} of the image on it and little below; "
        "use an image that shows more of the floor"
    )


def _samples(
    depth_m: NDArray[np.float32], valid: NDArray[np.bool_], intrinsics: NDArray[np.float32] | None
) -> _Samples:
    step = max(1, max(depth_m.shape) // _MAP)
    matrix = known_camera(intrinsics).astype(np.float64)
    thinned = np.s_[step // 2 :: step, step // 2 :: step]
    smaller = np.array([[1 / step, 0, -(step // 2) / step], [0, 1 / step, -(step // 2) / step], [0, 0, 1]]) @ matrix
    depth_m, valid = depth_m[thinned], valid[thinned] & (depth_m[thinned] > 0)
    normals = surface_normals(depth_m, valid, smaller.astype(np.float32))
    rows, columns = np.nonzero(valid)
    if len(rows) > _SAMPLES:
        some = np.random.default_rng(0).choice(len(rows), _SAMPLES, replace=False)
        rows, columns = rows[some], columns[some]
    pixels = np.stack([columns, rows, np.ones(len(rows))], axis=1).astype(np.float64)
    rays = np.linalg.solve(smaller, pixels.T).T
    points = (rays * depth_m[rows, columns, None]).astype(np.float64)
    return _Samples(pixels[:, :2] / max(depth_m.shape), points, normals[rows, columns].astype(np.float64))


def _candidates(samples: _Samples) -> Floats:
    """Planes p with p·X = 1 of cameras held as people and robots hold them.

    They are the surface at a point, which finds narrow strips in exact depth, and go through three neighbouring points.
    """
    level = np.flatnonzero(_looks(-samples.normals) > 0)
    if len(level) < 3:
        return np.empty((0, 3))
    generator = np.random.default_rng(1)
    first = generator.choice(level, _TRIALS)
    near = generator.choice(level, (_TRIALS, 2, 24))
    apart = np.abs(samples.pixels[near] - samples.pixels[first, None, None]).max(-1)
    apart = np.where(apart > 0.02, apart, np.inf)
    chosen = np.take_along_axis(near, apart.argmin(-1)[..., None], -1)[..., 0]
    corners = samples.points[np.concatenate([first[:, None], chosen], axis=1)]
    regular = (apart.min(-1) < _REACH).all(1) & (np.abs(np.linalg.det(corners)) > 1e-9)
    through_three = np.linalg.solve(corners[regular], np.ones((int(regular.sum()), 3, 1)))[..., 0]
    normals, points = samples.normals[first[:_TANGENT]], samples.points[first[:_TANGENT]]
    tangent = normals / np.minimum((normals * points).sum(1, keepdims=True), -1e-9)
    planes: Floats = np.concatenate([through_three, tangent])
    return planes[_looks(planes) > 0]


def _looks(planes: Floats) -> Floats:
    """How usual a way to hold a camera each plane would mean as the floor: from 1, level, to 0, out of reach."""
    down = planes / np.maximum(np.linalg.norm(planes, axis=1, keepdims=True), 1e-9)
    roll, pitch = (np.degrees(np.arcsin(np.abs(down[:, axis]).clip(0, 1))) for axis in (0, 2))
    usual: Floats = down[:, 1].clip(0, 1) ** 2 * ((roll < MAX_ROLL) & (pitch < MAX_PITCH))
    return usual


def _best(planes: Floats, samples: _Samples, tolerance: float) -> tuple[Floats, float, float] | None:
    """The plane with the most on it and the least below, refined, with the shares of both; None if it is no floor."""
    merit, _, _ = _judged(planes, samples, tolerance)
    planes = np.stack([_refined(plane, samples.points, tolerance) for plane in planes[np.argsort(-merit)[:_REFINED]]])
    merit, support, below = _judged(planes, samples, tolerance)
    best = int(merit.argmax())
    if support[best] < MIN_SUPPORT or below[best] > MAX_BELOW or merit[best] <= 0:
        return None
    return planes[best], float(support[best]), float(below[best])


def _noise(planes: Floats, samples: _Samples) -> float:
    """The least of ever finer tolerances at which some plane still has most of what the coarsest gives it."""
    most, tolerance = 0.0, TOLERANCE
    for finer in TOLERANCE / 2.0 ** np.arange(6):
        _, support, _ = _judged(planes, samples, finer)
        first = planes[np.argsort(-support * (_looks(planes) > 0))[:_REFINED]]
        _, support, _ = _judged(np.stack([_refined(plane, samples.points, finer) for plane in first]), samples, finer)
        most = max(most, float(support.max()))
        if support.max() < KEPT * most:
            break
        tolerance = float(finer)
    return tolerance


def _judged(planes: Floats, samples: _Samples, tolerance: float) -> tuple[Floats, Floats, Floats]:
    """Merit of each plane, share of the points that lie on it, and below it.

    What lies below counts against a plane more than what lies on it counts for it.
    """
    under = planes @ samples.points.T - 1
    up = planes / np.linalg.norm(planes, axis=1, keepdims=True)
    flat = up @ samples.normals.T < -LIKE_UP
    support = ((np.abs(under) < tolerance) & flat).mean(1)
    below = (under > BELOW * tolerance).mean(1)
    return (support - 4 * below) * _looks(planes) * (below <= MAX_BELOW), support, below


def _refined(plane: Floats, points: Floats, tolerance: float) -> Floats:
    """The plane of least squares through the points near it, each round's distances weighing the next."""
    for number in range(_ROUNDS):
        reach = tolerance * (2 if number < _ROUNDS // 2 else 1)
        weight = np.maximum(1 - ((points @ plane - 1) / reach) ** 2, 0) ** 2
        weighted = points * weight[:, None]
        fitted = np.linalg.lstsq(weighted.T @ points, weighted.sum(0), rcond=None)[0]
        if weight.sum() < 3 or not np.linalg.norm(fitted) > 0:
            return plane
        plane = fitted
    return plane
