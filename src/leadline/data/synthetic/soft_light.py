"""Pictures with soft shadows, darker corners and highlights, through cameras of many kinds."""

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from leadline.data.synthetic.raycast import Array, Pose, Room, Triple, camera_rays, cast_rays, solid_windows
from leadline.data.synthetic.shading import Places, Rendering, find_places, reflectance, surface_looks
from leadline.geometry import focal_px_from_fov

STEP = 2
"""Light is looked for at one pixel of so many along each side."""
SPREAD = 2
"""Neighbours along each side that look at different points of a lamp, and whose answers are averaged."""
OPEN_M = 0.3
"""Within this distance other surfaces take away some of the light that comes from everywhere."""
LIFT_M = np.float32(0.002)
"""Rays to a light start so far above their surface."""
SHADOW_REACH_M = 3.0
"""Solids farther than this from what is seen throw no shadow."""


def render_soft(room: Room, pose: Pose, height: int, width: int, fov_deg: float, rng: Generator) -> Rendering:
    """Take a picture; see `shading.render`. Lamp size, gloss, exposure, tint, blur and noise are drawn by chance."""
    rays = np.tensordot(pose.rotation, camera_rays(height, width, fov_deg), 1)
    windows = solid_windows(room, pose, height, width, fov_deg)
    hits = cast_rays(room, pose.position_m.reshape(3, 1, 1), rays, windows)
    places = find_places(room, pose, rays.reshape(3, -1), hits, focal_px_from_fov(fov_deg, width))
    light = _light(room, pose, places, (height, width), rng)
    return Rendering(_develop(light.reshape(3, height, width), rng), hits.depth_m, hits.surface)


def _light(room: Room, pose: Pose, places: Places, size: tuple[int, int], rng: Generator) -> Array:
    """Light that leaves each place towards the camera, (3, P)."""
    near = _near_solids(room, places)
    open_share = _open_share(near, places, size, rng)
    color = reflectance(room, places)
    glow = surface_looks(room).glow.take(places.surface)
    ambient = np.float32(rng.uniform(0.06, 0.3))
    light = color * (glow + ambient * open_share * (1 - np.float32(0.25) * places.normal[1]))
    gloss = rng.uniform(0, 0.35) * rng.random(len(room.solids) + 6) ** 2
    shine = gloss.astype(np.float32).take(places.surface)
    to_camera = _unit(pose.position_m.astype(np.float32)[:, None] - places.point_m)
    for position, tint in zip(room.lights_m, room.light_colors, strict=True):
        towards = np.array(position, np.float32)[:, None] - places.point_m
        square = np.einsum("cp,cp->p", towards, towards)
        towards /= np.sqrt(square)
        lit = _lit_share(near, places, position, rng.uniform(0.05, 0.6), size, rng)
        facing = np.maximum(np.einsum("cp,cp->p", towards, places.normal), 0)
        half_way = np.einsum("cp,cp->p", _unit(towards + to_camera), places.normal)
        highlight = shine * np.maximum(half_way, 0) ** np.float32(rng.uniform(10, 80))
        direct = lit / (1 + square / 6)
        strength = np.array(tint, np.float32)[:, None]
        light += strength * (
            color * (0.85 * facing * direct + 0.1 * open_share / (1 + square / 6)) + highlight * direct
        )
    return np.asarray(light, np.float32)


def _near_solids(room: Room, places: Places) -> Room:
    """The room with only what may throw a shadow on what is seen."""
    low, high = np.percentile(places.point_m[:, ::37], (5, 95), axis=1)
    centre, half = room.bodies.centre_m[:, 6:].T, np.linalg.norm(room.bodies.half_m[:, 6:], axis=0)
    away = np.linalg.norm(np.maximum(np.maximum(low - centre, centre - high), 0), axis=1) - half
    return replace(
        room, solids=tuple(solid for solid, far in zip(room.solids, away, strict=True) if far < SHADOW_REACH_M)
    )


def _lit_share(
    room: Room, places: Places, light_m: Triple, radius_m: float, size: tuple[int, int], rng: Generator
) -> Array:
    """Share of a lamp that each place sees, (P,)."""
    low, high = room.bounds_m[:, :, None]
    offsets = rng.normal(0, radius_m, (3, SPREAD, SPREAD)) * np.array([1, 0.3, 1])[:, None, None]
    lamp = np.array(light_m)[:, None, None] + offsets
    lamp = np.clip(lamp.reshape(3, -1), low + 0.05, high - 0.05).reshape(3, SPREAD, SPREAD)
    return _interleaved(places, size, SPREAD, lambda point, normal, tile: _unblocked(room, point, tile(lamp) - point))


def _open_share(room: Room, places: Places, size: tuple[int, int], rng: Generator) -> Array:
    """How far each place lies open to the light that comes from everywhere, (P,)."""
    wide = 2 * SPREAD
    ways = rng.normal(size=(3, wide, wide))
    ways /= np.linalg.norm(ways, axis=0) * 1.05

    def reach(point: Array, normal: Array, tile) -> Array:  # type: ignore[no-untyped-def]
        return _unblocked(room, point, np.float32(OPEN_M) * (normal + tile(ways)))

    return 0.35 + np.float32(0.65) * _interleaved(places, size, wide, reach)


def _interleaved(places: Places, size: tuple[int, int], wide: int, answer) -> Array:  # type: ignore[no-untyped-def]
    """Ask at every `STEP`th pixel, neighbours in different ways, and give each pixel the mean around it, (P,)."""
    point, normal = (part.reshape(3, *size)[:, ::STEP, ::STEP] for part in (places.point_m, places.normal))
    rows, columns = point.shape[1:]
    repeats = (1, -(-rows // wide), -(-columns // wide))

    def tile(pattern: Array) -> Array:
        return np.tile(pattern, repeats)[:, :rows, :columns].astype(np.float32)

    share = answer(point + LIFT_M * normal, normal, tile).astype(np.float32)
    smooth = _box_mean(_box_mean(share, wide).T, wide).T
    return smooth.repeat(STEP, 0).repeat(STEP, 1)[: size[0], : size[1]].ravel()


def _box_mean(values: Array, wide: int) -> Array:
    """Mean of `wide` neighbours along the first axis."""
    padded = np.pad(values, ((wide // 2, wide - 1 - wide // 2), (0, 0)), mode="edge")
    return np.asarray(sum(padded[k : k + len(values)] for k in range(wide)) / np.float32(wide))


def _unblocked(room: Room, origin: Array, direction: Array) -> Array:
    return cast_rays(room, origin, direction).depth_m > 0.999


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.sqrt(np.einsum("cp,cp->p", vector, vector)), np.float32)


def _develop(light: Array, rng: Generator) -> Array:
    """What some camera makes of the light: 8-bit sRGB, (H, W, 3)."""
    exposure = np.exp(rng.uniform(np.log(0.06), np.log(0.6)))
    exposed = 1 - np.exp(light * np.float32(-exposure / np.median(light.mean(axis=0))))
    tint = np.exp(rng.normal(0, 0.06, (3, 1, 1))).astype(np.float32)
    for _ in range(rng.integers(1, 3)):
        exposed = _blur(exposed, np.float32(rng.uniform(0.02, 0.25)))
    encoded = np.clip(exposed * tint, 0, 1) ** np.float32(1 / rng.uniform(1.8, 2.6))
    contrast = np.float32(rng.uniform(0, 0.5))
    encoded += contrast * (encoded * encoded * (3 - 2 * encoded) - encoded)
    if rng.random() < 0.25:
        encoded = encoded.mean(axis=0) + np.float32(rng.uniform(0.2, 0.8)) * (encoded - encoded.mean(axis=0))
    encoded += np.float32(rng.uniform(0.002, 0.025)) * rng.standard_normal(encoded.shape, np.float32)
    stored: Array = (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.moveaxis(stored, 0, -1).copy()


def _blur(image: Array, share: np.float32) -> Array:
    """Spread `share` of each pixel to each of its neighbours."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    tall = share * (wide[:, :, :-2] + wide[:, :, 2:]) + (1 - 2 * share) * wide[:, :, 1:-1]
    return np.asarray(share * (tall[:, :-2] + tall[:, 2:]) + (1 - 2 * share) * tall[:, 1:-1])
