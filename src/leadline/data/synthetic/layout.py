"""Rooms drawn by chance: their size, what stands in them, and places to take pictures from."""

from collections.abc import Sequence
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from leadline.data.synthetic.furniture import (
    FIXED_LOOKS,
    FLOORS,
    INK_PATTERNS,
    MIXED_PATTERNS,
    PALETTES,
    PATTERN_SCALES_M,
    PIECES,
    WALL_PATTERNS,
    Piece,
)
from leadline.data.synthetic.raycast import Look, Pose, Room, Solid, Triple, camera_rays, cast_rays, look_at

ORDER = (
    ("sofa", "bed", "table"),
    ("wardrobe", "shelf", "drawers"),
    ("wardrobe", "shelf", "drawers"),
    ("table", "round table"),
    ("chair",),
    ("chair", "plant", "lamp"),
    ("shelf", "drawers", "sofa"),
    ("plant", "lamp", "crate", "ball"),
    ("chair", "crate", "ball"),
    ("chair", "round table", "ball"),
)
"""What is tried in turn: one of each group, large things first."""
WALL_GAP_M = 0.07
"""Between furniture and wall: the depth of a window sill."""
DOOR_M = (0.9, 2.05)
NUM_POSES_TRIED = 12


class Spot(NamedTuple):
    """Where a piece stands on the floor, and how far it reaches along x and z from there."""

    x_m: float
    z_m: float
    reach_x_m: float
    reach_z_m: float
    yaw_rad: float = 0.0

    def overlaps(self, other: "Spot") -> bool:
        """Whether the two stand closer than 5 cm."""
        apart_x = abs(self.x_m - other.x_m) - self.reach_x_m - other.reach_x_m
        apart_z = abs(self.z_m - other.z_m) - self.reach_z_m - other.reach_z_m
        return max(apart_x, apart_z) < 0.05


def draw_room(rng: Generator) -> Room:
    """A room with a door, a window, pictures on its walls and about ten pieces of furniture."""
    return furnished_room(rng, (rng.uniform(3.0, 6.0), rng.uniform(2.35, 2.9), rng.uniform(3.6, 7.0)))


def furnished_room(
    rng: Generator, size: Triple, solids: Sequence[Solid] = (), taken: Sequence[Spot] = (), max_pieces: int = 10
) -> Room:
    """A room of a size with a door, a window, pictures on its walls and furniture.

    Args:
        rng: where all chance comes from.
        size: width, height and depth in metres.
        solids: what stands in it beforehand.
        taken: where that stands; furniture keeps off.
        max_pieces: how many pieces of furniture are tried at most.
    """
    wall = _wall_look(rng)
    accent = _wall_look(rng) if rng.random() < 0.5 else wall
    ceiling = Look("plain", (0.8, 0.79, 0.77), (0.74, 0.73, 0.71), 0.8)
    shell = (wall, wall, ceiling, _floor_look(rng), wall, accent)
    door_side, window_side, *bare_sides = rng.permutation(4).tolist()
    door, before_door = _door(rng, size, door_side)
    window, daylight = _window(rng, size, window_side)
    dressed = [*_skirting(size), *door, *window, *_pictures(rng, size, bare_sides), *_rug(rng, size)]
    dressed += [*solids, *_furnish(rng, size, [before_door, *taken], max_pieces)]
    lamp = (size[0] * rng.uniform(0.4, 0.6), -size[1] + 0.45, size[2] * rng.uniform(0.4, 0.6))
    return Room(size, shell, tuple(dressed), (lamp, daylight), _light_colors(rng))


def _light_colors(rng: Generator) -> tuple[Triple, Triple]:
    """Strength and tint of the lamp, the warmer one, and of the daylight."""
    balance = rng.uniform(-0.12, 0.12)
    lamp, day = rng.uniform(0.7, 1.4), rng.uniform(0.5, 1.6)
    return _tinted(lamp, balance + 0.1), _tinted(day, balance - 0.08)


def _tinted(strength: float, warmth: float) -> Triple:
    return strength * (1 + warmth), strength, strength * (1 - 1.6 * warmth)


def _mixed(rng: Generator, color: Triple) -> tuple[Triple, Triple]:
    """A colour near the one given, and a darker one."""
    jittered = np.clip(np.array(color) * rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3), 0.02, 0.85)
    dark = jittered * rng.uniform(0.55, 0.8)
    return tuple(jittered.tolist()), tuple(dark.tolist())


def _paler(color: Triple) -> Triple:
    red, green, blue = color
    return 0.93 * red, 0.93 * green, 0.93 * blue


def palette_look(rng: Generator, palette: str) -> Look:
    """A look of one of a palette's colours."""
    pattern, colors = PALETTES[palette]
    first, second = _mixed(rng, colors[rng.integers(len(colors))])
    if pattern in MIXED_PATTERNS:
        second = colors[rng.integers(len(colors))]
    if pattern in INK_PATTERNS:
        second = (0.05, 0.05, 0.06) if sum(first) > 0.6 else (0.4, 0.4, 0.4)
    if pattern == "plain":
        second = _paler(first)
    return Look(pattern, first, second, PATTERN_SCALES_M[pattern])


def _wall_look(rng: Generator) -> Look:
    pattern, scale = WALL_PATTERNS[rng.integers(len(WALL_PATTERNS))]
    first, second = _mixed(rng, PALETTES["wall"][1][rng.integers(5)])
    if pattern == "plain":
        second = _paler(first)
    return Look(pattern, first, second, scale * rng.uniform(0.8, 1.3))


def _floor_look(rng: Generator) -> Look:
    pattern, scale, colors = FLOORS[rng.integers(len(FLOORS))]
    return Look(pattern, *_mixed(rng, colors[rng.integers(len(colors))]), scale * rng.uniform(0.8, 1.3))


def on_wall(size: Triple, side: int, along: float, height: float, out: float, half: Triple, look: Look) -> Solid:
    """A box at a wall: `along` it from 0 to 1, at a height, `out` from it; sides 0 to 3: +z, +x, -z, -x."""
    width, _, depth = size
    x, z = (
        (along * width, depth - out),
        (width - out, along * depth),
        (along * width, out),
        (out, along * depth),
    )[side]
    return Solid("box", (x, -height, z), half, side * pi / 2, look)


def _skirting(size: Triple) -> list[Solid]:
    lengths = (size[0], size[2], size[0], size[2])
    look = FIXED_LOOKS["white"]
    return [
        on_wall(size, side, 0.5, 0.05, 0.0075, (length / 2, 0.05, 0.0075), look) for side, length in enumerate(lengths)
    ]


def _door(rng: Generator, size: Triple, side: int) -> tuple[list[Solid], Spot]:
    """A door in its frame, and the floor before it that stays free."""
    width, height = DOOR_M
    along = rng.uniform(0.25, 0.75)
    leaf, frame = palette_look(rng, rng.choice(["wood", "painted"])), FIXED_LOOKS["white"]
    solids = [
        on_wall(size, side, along, height / 2, 0.01, (width / 2 + 0.08, height / 2 + 0.04, 0.02), frame),
        on_wall(size, side, along, height / 2, 0.02, (width / 2, height / 2, 0.02), leaf),
        on_wall(
            size,
            side,
            along + 0.38 * width / size[2 * (side % 2)],
            1.0,
            0.06,
            (0.06, 0.012, 0.02),
            FIXED_LOOKS["metal"],
        ),
    ]
    before = on_wall(size, side, along, 0.0, 0.45, (0, 0, 0), frame).centre_m
    return solids, Spot(before[0], before[2], 0.5, 0.5)


def _window(rng: Generator, size: Triple, side: int) -> tuple[list[Solid], Triple]:
    """A window with its frame, and where its light comes from."""
    along, half_width, half_height = rng.uniform(0.35, 0.65), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.6)
    sky = Look("art", (0.55, 0.68, 0.85), (0.8, 0.85, 0.9), 1.5, glow=rng.uniform(1.2, 2.2))
    white = FIXED_LOOKS["white"]
    solids = [
        on_wall(size, side, along, 1.5, 0.0, (half_width + 0.06, half_height + 0.06, 0.03), white),
        on_wall(size, side, along, 1.5, 0.01, (half_width, half_height, 0.03), sky),
        on_wall(size, side, along, 1.5, 0.02, (0.025, half_height, 0.03), white),
        on_wall(size, side, along, 1.5, 0.02, (half_width, 0.02, 0.03), white),
        on_wall(size, side, along, 1.5 - half_height - 0.08, 0.035, (half_width + 0.12, 0.02, 0.035), white),
    ]
    return solids, on_wall(size, side, along, 1.6, 0.3, (0, 0, 0), white).centre_m


def _pictures(rng: Generator, size: Triple, sides: list[int]) -> list[Solid]:
    solids = []
    for side in sides:
        for along in (0.2, 0.5, 0.8):
            if rng.random() < 0.5:
                half_width, half_height = rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.35)
                height = rng.uniform(1.5, 1.7)
                first, second = map(tuple, rng.uniform(0.03, 0.8, (2, 3)).tolist())
                art = Look("art", first, second, rng.uniform(0.15, 0.6))
                frame = FIXED_LOOKS[rng.choice(["black", "white", "metal"])]
                solids.append(on_wall(size, side, along, height, 0.01, (half_width, half_height, 0.02), frame))
                inner = (half_width - 0.03, half_height - 0.03, 0.02)
                solids.append(on_wall(size, side, along, height, 0.013, inner, art))
    return solids


def _rug(rng: Generator, size: Triple) -> list[Solid]:
    if rng.random() < 0.4:
        return []
    half = (rng.uniform(0.6, 0.28 * size[0]), 0.008, rng.uniform(0.7, 0.28 * size[2]))
    look = palette_look(rng, "fabric")._replace(pattern=str(rng.choice(["weave", "stripes", "dots"])), scale_m=0.2)
    return [Solid("box", (size[0] / 2, -0.008, size[2] / 2), half, rng.uniform(-0.2, 0.2), look)]


def _furnish(rng: Generator, size: Triple, taken: list[Spot], max_pieces: int) -> list[Solid]:
    """Put in one piece of each group, where there is a place for it."""
    solids: list[Solid] = []
    for group in ORDER[:max_pieces]:
        piece = PIECES[group[rng.integers(len(group))]]
        extent = rng.uniform(piece.low_m, piece.high_m)
        spot = find_spot(rng, size, piece.at_wall, extent, taken)
        if spot:
            taken.append(spot)
            solids += assemble(rng, piece, extent, spot)
    return solids


def find_spot(rng: Generator, size: Triple, at_wall: bool, extent: np.ndarray, taken: list[Spot]) -> Spot | None:
    """A free place: with the back to a wall, or anywhere at any angle."""
    for _ in range(20):
        side = int(rng.integers(4))
        yaw = side * pi / 2 if at_wall else rng.uniform(0, 2 * pi)
        c, s = abs(cos(yaw)), abs(sin(yaw))
        reach_x, reach_z = (c * extent[0] + s * extent[2]) / 2, (s * extent[0] + c * extent[2]) / 2
        edge_x, edge_z = reach_x + WALL_GAP_M, reach_z + WALL_GAP_M
        x, z = rng.uniform(edge_x, size[0] - edge_x), rng.uniform(edge_z, size[2] - edge_z)
        if at_wall:
            x, z = ((x, size[2] - edge_z), (size[0] - edge_x, z), (x, edge_z), (edge_x, z))[side]
        spot = Spot(x, z, reach_x, reach_z, yaw)
        if not any(spot.overlaps(other) for other in taken):
            return spot
    return None


def assemble(rng: Generator, piece: Piece, extent: np.ndarray, spot: Spot) -> list[Solid]:
    """The bodies of a piece of furniture that stands somewhere."""
    looks = FIXED_LOOKS | {"body": palette_look(rng, piece.body), "accent": palette_look(rng, piece.accent)}
    c, s = cos(spot.yaw_rad), sin(spot.yaw_rad)
    solids = []
    for part in piece.parts:
        if rng.random() < part.chance:
            x, y, z = np.multiply(part.centre, extent).tolist()
            centre = (spot.x_m + c * x + s * z, -y, spot.z_m - s * x + c * z)
            half = tuple(np.multiply(part.half, extent).tolist())
            solids.append(Solid(part.shape, centre, half, spot.yaw_rad, looks[part.look]))
    return solids


def draw_pose(room: Room, rng: Generator) -> Pose:
    """A place in the free air of a room from which much of it is seen."""
    poses = [_any_pose(room, rng) for _ in range(NUM_POSES_TRIED)]
    rays = camera_rays(7, 9, 75.0).reshape(3, -1)
    directions = np.stack([pose.rotation @ rays for pose in poses], axis=1)
    origins = np.stack([pose.position_m for pose in poses], axis=1)[:, :, None]
    seen_m = cast_rays(room, origins, directions).depth_m
    score = np.minimum(seen_m.min(axis=1), 0.7) + 0.25 * np.minimum(np.median(seen_m, axis=1), 2.5)
    return poses[int(score.argmax())]


def _any_pose(room: Room, rng: Generator) -> Pose:
    width, height, depth = room.size_m
    position = (rng.uniform(0.5, width - 0.5), -rng.uniform(1.0, 1.75), rng.uniform(0.5, depth - 0.5))
    angle, distance = rng.uniform(0, 2 * pi), 2.0
    target = (
        0.5 * position[0] + 0.25 * width + distance * sin(angle),
        position[1] + rng.uniform(-0.1, 0.8),
        0.5 * position[2] + 0.25 * depth + distance * cos(angle),
    )
    return look_at(position, target, rng.normal(0, 0.02))
