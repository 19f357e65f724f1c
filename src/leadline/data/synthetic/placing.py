"""Things put on surfaces: one at a place, turned in any way, or many side by side."""

from collections.abc import Mapping
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from leadline.data.synthetic.furniture import FIXED_LOOKS, Piece
from leadline.data.synthetic.layout import palette_look
from leadline.data.synthetic.raycast import Look, Solid, Triple, body_axes

RANDOM_COLOR_SHARE = 0.2
"""Share of the looks that get colours of no palette."""


class Surface(NamedTuple):
    """A level rectangle that things stand on."""

    x_m: float
    z_m: float
    yaw_rad: float
    height_m: float
    half_x_m: float
    half_z_m: float

    def place(self, right_m: float, back_m: float) -> tuple[float, float]:
        """World x and z of a place in the rectangle's own axes."""
        c, s = cos(self.yaw_rad), sin(self.yaw_rad)
        return self.x_m + c * right_m + s * back_m, self.z_m - s * right_m + c * back_m


class Subject(NamedTuple):
    """What a camera looks at, and from where."""

    surface: Surface
    distance_m: tuple[float, float]
    elevation_deg: tuple[float, float]  # of the camera above what it looks at
    facing: bool = False  # only from the side that the surface's own -z faces


def assemble_at(
    rng: Generator,
    piece: Piece,
    extent: np.ndarray,
    centre_m: Triple,
    yaw_rad: float,
    tilt_rad: tuple[float, float] = (0.0, 0.0),
) -> list[Solid]:
    """The bodies of a thing whose middle is at a place, turned in any way."""
    looks = FIXED_LOOKS | {"body": any_look(rng, piece.body), "accent": any_look(rng, piece.accent)}
    axes = body_axes(Solid("box", centre_m, (1, 1, 1), yaw_rad, looks["body"], tilt_rad))
    solids = []
    for part in piece.parts:
        if rng.random() < part.chance:
            x, y, z = np.multiply(np.subtract(part.centre, (0, 0.5, 0)), extent).tolist()
            centre = tuple((np.array(centre_m) + axes.T @ (x, -y, z)).tolist())
            half = tuple(np.multiply(part.half, extent).tolist())
            solids.append(Solid(part.shape, centre, half, yaw_rad, looks[part.look], tilt_rad))
    return solids


def any_look(rng: Generator, palette: str) -> Look:
    """A look of a palette, now and then in colours of its own."""
    look = palette_look(rng, palette)
    if rng.random() < RANDOM_COLOR_SHARE and look.pattern not in ("text", "keys"):
        colors = rng.uniform(0.02, 0.8, (2, 3)) ** 1.3
        colors += rng.uniform(0, 1) * (colors.mean(axis=1, keepdims=True) - colors)
        first, second = (tuple(color) for color in colors.tolist())
        look = look._replace(color=first, second=second if look.pattern != "plain" else tuple(0.93 * np.array(first)))
    return look._replace(scale_m=look.scale_m * float(np.exp(rng.normal(0, 0.25))))


def standing(
    rng: Generator, piece: Piece, x: float, z: float, base_m: float, yaw: float
) -> tuple[list[Solid], np.ndarray]:
    """A thing that stands at a place, and its width, height and depth."""
    extent = rng.uniform(piece.low_m, piece.high_m)
    return assemble_at(rng, piece, extent, (x, -base_m - extent[1] / 2, z), yaw), extent


def scatter(rng: Generator, surface: Surface, things: Mapping[str, Piece], count: int) -> list[Solid]:
    """Put things on a surface: side by side, flat ones on each other, some of them overturned."""
    names = list(things)
    solids: list[Solid] = []
    taken: list[Triple] = []
    layer_m, aligned = 0.0, rng.random() < 0.5
    for _ in range(count):
        piece = things[names[rng.integers(len(names))]]
        extent = rng.uniform(piece.low_m, piece.high_m)
        radius = 0.38 * float(np.hypot(extent[0], extent[2]))
        room_x, room_z = surface.half_x_m - extent[0] / 2, surface.half_z_m - extent[2] / 2
        if room_x <= 0 or room_z <= 0:
            continue
        right, back = rng.uniform(-room_x, room_x), rng.uniform(-room_z, room_z)
        flat = extent[1] < 0.012
        if not flat and any(np.hypot(right - r, back - b) < radius + other for r, b, other in taken):
            continue
        yaw = surface.yaw_rad + (rng.normal(0, 0.15) if aligned else rng.uniform(0, 2 * pi))
        lying = 0.06 < extent[1] < 0.35 and extent[1] > 1.2 * extent[0] and rng.random() < 0.15
        rise = extent[0] / 2 if lying else extent[1] / 2
        if flat:
            layer_m += 0.0016
        else:
            taken.append((right, back, radius))
        x, z = surface.place(right, back)
        centre = (x, -surface.height_m - rise - layer_m * flat, z)
        solids += assemble_at(rng, piece, extent, centre, yaw, (0.0, pi / 2) if lying else (0.0, 0.0))
    return solids


def draw_room_size(rng: Generator) -> Triple:
    """Width, height and depth of a room; one in five is large."""
    if rng.random() < 0.2:
        return rng.uniform(5, 12), rng.uniform(2.5, 3.5), rng.uniform(6, 14)
    return rng.uniform(2.6, 6.0), rng.uniform(2.35, 2.9), rng.uniform(3.0, 7.0)
