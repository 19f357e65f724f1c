"""The colours of a room: patterns, two soft lights, shadows on the shell, and what a camera makes of it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from leadline.data.synthetic.patterns import PATTERNS
from leadline.data.synthetic.raycast import Array, Hits, Pose, Room, camera_rays, cast_rays, solid_windows
from leadline.geometry import focal_px_from_fov

MAP_SIZE = 20
"""Places along each side of a wall where the light is computed."""
LIGHT_SPREAD_M = np.array([(0.3, 0, 0.2), (-0.3, 0, 0.2), (0, 0, -0.35)])
"""Offsets of the points that stand for a lamp of some size."""
CURVED_DIRECTIONS = {"box": 0, "cylinder": 1, "ellipsoid": 2}
EXPOSURE = (0.32, 0.6)
"""Mean brightness before the film saturates, least and most."""
BLUR = np.float32(0.2)
"""Share of a pixel's light that the lens spreads to the next one on each side."""
NOISE = np.float32(0.008)
"""Standard deviation of the sensor's noise, of the full range."""


class Rendering(NamedTuple):
    """A picture of a room."""

    rgb: NDArray[np.uint8]  # sRGB, (H, W, 3)
    depth_m: Array  # along the optical axis, (H, W)
    surface: NDArray[np.int16]  # 0 to 5: the sides of the shell; from 6 on: the solids, (H, W)


class Looks(NamedTuple):
    """How the S surfaces of a room look, as columns of a table."""

    curved: NDArray[np.int8]  # directions it is curved in: 0 box, 1 cylinder, 2 ellipsoid, (S,)
    color: Array  # (3, S)
    second: Array  # (3, S)
    scale_m: Array  # (S,)
    glow: Array  # (S,)
    pattern: NDArray[np.int8]  # index into PATTERNS, (S,)


class Places(NamedTuple):
    """What shading needs to know of the P pixels of a picture."""

    surface: NDArray[np.intp]  # (P,)
    point_m: Array  # in the world, (3, P)
    local: Array  # in the axes of its body, in halves of its size, (3, P)
    normal: Array  # in the world, towards the camera, (3, P)
    u_m: Array  # place on the surface, (P,)
    v_m: Array
    footprint_m: Array  # how much of the surface a pixel spans, (P,)


@lru_cache(maxsize=64)
def surface_looks(room: Room) -> Looks:
    """How the surfaces of a room look, as a table."""
    shapes = ["box"] * len(room.shell) + [solid.shape for solid in room.solids]
    curved = np.array([CURVED_DIRECTIONS[shape] for shape in shapes], np.int8)
    names, *numbers = zip(*room.shell, *(solid.look for solid in room.solids), strict=True)
    color, second, scale, glow = (np.array(column, np.float32).T.copy() for column in numbers)
    return Looks(curved, color, second, scale, glow, np.array([list(PATTERNS).index(name) for name in names], np.int8))


@lru_cache(maxsize=64)
def light_map(room: Room) -> Array:
    """Share of the light that reaches a grid of places on each side of the shell, (6, n, n).

    Furniture between a light and a place takes that light away; the corners of the room lose some more.
    """
    grid = (np.arange(MAP_SIZE, dtype=np.float32) + 0.5) / MAP_SIZE
    first, second = (part.ravel() for part in np.meshgrid(grid, grid, indexing="ij"))
    low, size = room.bounds_m[0], room.bounds_m[1] - room.bounds_m[0]
    share, sides = [], []
    for side in range(6):
        axis, others = side // 2, [k for k in range(3) if k != side // 2]
        part = np.empty((3, len(first)), np.float32)
        part[axis], part[others[0]], part[others[1]] = side % 2, first, second
        to_corner = np.minimum(part[others], 1 - part[others]) * size[others, None]
        share.append((1 - 0.35 * np.exp(-to_corner / 0.25)).prod(axis=0))
        sides.append(low[:, None] + part * size[:, None])
    places = np.concatenate(sides, axis=1)  # (3, 6 * n * n)
    lights = np.add(room.lights_m, LIGHT_SPREAD_M[:, None]).reshape(-1, 3)
    origins = np.clip(lights, low + 0.1, low + size - 0.1).astype(np.float32).T[:, :, None]
    lit = (cast_rays(room, origins, places[:, None] - origins).depth_m > 0.999).mean(axis=0)
    return np.asarray(np.concatenate(share) * lit, np.float32).reshape(6, MAP_SIZE, MAP_SIZE)


def render(room: Room, pose: Pose, height: int, width: int, fov_deg: float, rng: Generator) -> Rendering:
    """Take a picture.

    Args:
        room: what to take it of.
        pose: from where; inside the room and outside its furniture.
        height: pixels.
        width: pixels.
        fov_deg: horizontal field of view.
        rng: for the exposure and the noise of the sensor; nothing else depends on it.

    Returns:
        The picture with its exact depth.
    """
    rays = np.tensordot(pose.rotation, camera_rays(height, width, fov_deg), 1)
    windows = solid_windows(room, pose, height, width, fov_deg)
    hits = cast_rays(room, pose.position_m.reshape(3, 1, 1), rays, windows)
    places = find_places(room, pose, rays.reshape(3, -1), hits, focal_px_from_fov(fov_deg, width))
    light = _shade(room, places)
    return Rendering(_develop(light.reshape(3, height, width), rng), hits.depth_m, hits.surface)


def find_places(room: Room, pose: Pose, rays: Array, hits: Hits, focal_px: float) -> Places:
    """Points, normals and surface coordinates of all pixels at once."""
    bodies, looks = room.bodies, surface_looks(room)
    surface, depth = hits.surface.ravel().astype(np.intp), hits.depth_m.ravel()
    half = bodies.half_m.take(surface, axis=1)
    axes = np.moveaxis(bodies.axes, 0, 2).take(surface, axis=2)
    point = pose.position_m[:, None] + depth * rays
    local = np.einsum("ijp,jp->ip", axes, point - bodies.centre_m.take(surface, axis=1))
    scaled = local / half
    own_normal, u, v = _faces(looks.curved.take(surface), local, scaled, half)
    normal = np.einsum("jip,jp->ip", axes, own_normal)
    facing = np.einsum("cp,cp->p", normal, rays)
    normal *= -np.sign(facing)
    slope = np.abs(facing) / np.sqrt(np.einsum("cp,cp->p", rays, rays))
    return Places(surface, point, scaled, normal, u, v, depth / focal_px / np.maximum(slope, 0.1))


def _faces(directions: NDArray[np.int8], local: Array, scaled: Array, half: Array) -> tuple[Array, Array, Array]:
    """Normals in a body's own axes, and two coordinates in metres along its surface."""
    size = np.abs(scaled)
    axis = size.argmax(axis=0)
    normal = np.zeros_like(scaled)
    np.put_along_axis(normal, axis[None], np.float32(1), 0)
    u = np.where(axis == 0, local[2], local[0])
    v = np.where(axis == 1, local[2], local[1])
    mantle = (directions == 1) & (size[1] < np.hypot(scaled[0], scaled[2]))
    curved = np.flatnonzero(mantle | (directions == 2))
    bent = scaled[:, curved] / half[:, curved]
    bent[1] *= directions[curved] == 2
    normal[:, curved] = bent / np.sqrt((bent * bent).sum(axis=0))
    u[curved] = np.arctan2(local[0, curved], local[2, curved]) * half[0, curved]
    v[curved] = local[1, curved]
    return normal, u, v


def _shade(room: Room, places: Places) -> Array:
    """Light that leaves each place towards the camera, (3, P)."""
    up = -places.normal[1]
    open_share = _open_share(room, places)
    glow = surface_looks(room).glow.take(places.surface) + np.float32(0.24) + np.float32(0.06) * up
    light = np.stack((glow, glow, glow))
    for position, color in zip(room.lights_m, room.light_colors, strict=True):
        towards = np.reshape(position, (3, 1)).astype(np.float32) - places.point_m
        square = np.einsum("cp,cp->p", towards, towards)
        facing = np.einsum("cp,cp->p", towards, places.normal) / np.sqrt(square)
        strength = open_share * (0.85 * np.maximum(facing, 0) + 0.15) / (1 + square / 6)
        light += np.reshape(color, (3, 1)).astype(np.float32) * strength
    light *= reflectance(room, places)
    return light


def _open_share(room: Room, places: Places) -> Array:
    """Share of the light that is not taken by what stands around, (P,)."""
    share: Array = 1 - np.float32(0.4) * np.exp(places.point_m[1] / np.float32(0.15))
    shell = np.flatnonzero(places.surface < 6)
    side = places.surface[shell]
    scaled = places.local[:, shell]
    first = np.where(side // 2 == 0, scaled[1], scaled[0])
    second = np.where(side // 2 == 2, scaled[1], scaled[2])
    share[shell] = _bilinear(light_map(room), side, 0.5 * first + 0.5, 0.5 * second + 0.5)
    return share


def _bilinear(maps: Array, index: NDArray[np.intp], first: Array, second: Array) -> Array:
    """Look up maps (K, n, n) at places in [0, 1]."""
    size = maps.shape[-1]
    row, column = (np.clip(part * size - 0.5, 0, size - 1.001) for part in (first, second))
    i, j = row.astype(np.int32), column.astype(np.int32)
    a, b = row - i, column - j
    low = maps[index, i, j] * (1 - b) + maps[index, i, j + 1] * b
    high = maps[index, i + 1, j] * (1 - b) + maps[index, i + 1, j + 1] * b
    return np.asarray(low * (1 - a) + high * a, np.float32)


def reflectance(room: Room, places: Places) -> Array:
    """Reflectance of each place, (3, P)."""
    looks = surface_looks(room)
    scale = looks.scale_m.take(places.surface)
    shift = (places.surface * 17).astype(np.float32)  # so that no two surfaces show the same part of a pattern
    u, v = places.u_m / scale + shift, places.v_m / scale
    weight = np.empty_like(u)
    pattern = looks.pattern.take(places.surface)
    for index, draw in enumerate(PATTERNS.values()):
        chosen = np.flatnonzero(pattern == index)
        if chosen.size:
            weight[chosen] = draw(u[chosen], v[chosen])
    # a pattern finer than the pixels fades into its mean, as it does in a lens
    fade = np.clip(1.5 - 2 * places.footprint_m / scale, 0, 1)
    weight = np.float32(0.4) + (weight - np.float32(0.4)) * fade
    first, change = (
        looks.color.take(places.surface, axis=1),
        (looks.second - looks.color).take(places.surface, axis=1),
    )
    return np.asarray(first + change * weight, np.float32)


def _develop(light: Array, rng: Generator) -> np.ndarray:
    """Expose, blur, add noise and store as 8-bit sRGB, (H, W, 3)."""
    exposed = 1 - np.exp(light * np.float32(-rng.uniform(*EXPOSURE) / light.mean()))
    wide = np.pad(exposed, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tall = BLUR * (wide[:, :, :-2] + wide[:, :, 2:]) + (1 - 2 * BLUR) * wide[:, :, 1:-1]
    blurred = BLUR * (tall[:, :-2] + tall[:, 2:]) + (1 - 2 * BLUR) * tall[:, 1:-1]
    encoded = blurred ** np.float32(1 / 2.2)
    encoded += NOISE * rng.standard_normal(encoded.shape, np.float32)
    stored: Array = (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.moveaxis(stored, 0, -1).copy()
