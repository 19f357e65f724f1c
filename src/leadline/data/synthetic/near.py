"""Scenes of near things: tables, bins, floors, kitchens and shelves, and rooms from unusual places."""

from collections.abc import Callable
from dataclasses import replace
from math import cos, pi, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from leadline.data.synthetic.equipment import BIN, COFFEE_TABLE, DESK, FLOOR_THINGS, OFFICE_CHAIR
from leadline.data.synthetic.furniture import PIECES, Piece
from leadline.data.synthetic.kitchen import draw_kitchen
from leadline.data.synthetic.layout import Spot, find_spot, furnished_room
from leadline.data.synthetic.objects import DESK_THINGS, FOOD, PARTS, TOOLS, VESSELS
from leadline.data.synthetic.placing import Subject, Surface, assemble_at, draw_room_size, scatter, standing
from leadline.data.synthetic.raycast import Look, Pose, Room, Solid, Triple, camera_rays, cast_rays, look_at

NUM_VIEWS_TRIED = 14
NEAREST_M = 0.12
"""No camera stands nearer to anything."""
FEWEST_SURFACES = 3
"""A view shows at least so many surfaces: from one plane alone no distance can be told."""


class NearScene(NamedTuple):
    """A room, and a camera in it."""

    room: Room
    pose: Pose
    fov_deg: float


def draw_near_scene(rng: Generator) -> NearScene:
    """A scene of one of the kinds and a camera that sees it."""
    names = list(SCENES)
    shares = np.array([SCENES[name][1] for name in names])
    draw = SCENES[names[rng.choice(len(names), p=shares / shares.sum())]][0]
    room, subject = draw(rng)
    return NearScene(room, _draw_view(room, subject, rng), _draw_fov_deg(rng))


def _draw_fov_deg(rng: Generator) -> float:
    return float(np.clip(rng.normal(63, 6), 50, 76) if rng.random() < 0.5 else rng.uniform(38, 98))


def _table_surface(rng: Generator, size: Triple, piece: Piece) -> tuple[list[Solid], Surface, Spot]:
    """A table somewhere in a room, and its top."""
    extent = rng.uniform(piece.low_m, piece.high_m)
    if rng.random() < 0.15:
        extent[1] = rng.uniform(0.35, 1.0)
    spot = find_spot(rng, size, bool(rng.random() < 0.5), extent, [])
    if spot is None:
        spot = Spot(size[0] / 2, size[2] / 2, extent[0], extent[2])
    solids = assemble_at(rng, piece, extent, (spot.x_m, -extent[1] / 2, spot.z_m), spot.yaw_rad)
    return solids, Surface(spot.x_m, spot.z_m, spot.yaw_rad, extent[1], extent[0] / 2, extent[2] / 2), spot


def _desk(rng: Generator) -> tuple[Room, Subject]:
    """A desk or a table with what lies on it, and a chair before it."""
    size = draw_room_size(rng)
    office = rng.random() < 0.55
    solids, top, spot = _table_surface(rng, size, DESK if office or rng.random() < 0.6 else COFFEE_TABLE)
    common = DESK_THINGS if office else {**VESSELS, **FOOD, "sheet": DESK_THINGS["sheet"], "book": DESK_THINGS["book"]}
    if rng.random() < 0.4:
        common = {**common, **TOOLS, **VESSELS}
    if office and rng.random() < 0.7:
        for _ in range(rng.integers(1, 3)):
            x, z = top.place(rng.uniform(-0.6, 0.6) * top.half_x_m, rng.uniform(0.1, 0.6) * top.half_z_m)
            kind = DESK_THINGS["monitor" if rng.random() < 0.75 else "laptop"]
            solids += standing(rng, kind, x, z, top.height_m, top.yaw_rad + rng.normal(0, 0.2))[0]
        x, z = top.place(rng.uniform(-0.4, 0.4) * top.half_x_m, -0.35 * top.half_z_m)
        solids += standing(rng, DESK_THINGS["keyboard"], x, z, top.height_m, top.yaw_rad + rng.normal(0, 0.1))[0]
    solids += scatter(rng, top, common, int(rng.integers(4, 45)))
    if rng.random() < 0.5:
        x, z = top.place(rng.uniform(-0.5, 0.5) * top.half_x_m, -top.half_z_m - rng.uniform(0.2, 0.5))
        if 0.4 < x < size[0] - 0.4 and 0.4 < z < size[2] - 0.4:
            chair = OFFICE_CHAIR if office else PIECES["chair"]
            solids += standing(rng, chair, x, z, 0.0, top.yaw_rad + pi + rng.normal(0, 0.4))[0]
    room = furnished_room(rng, size, solids, [spot], int(rng.integers(2, 10)))
    return room, Subject(top, (0.25, 1.5), (8, 90))


def _bin(rng: Generator) -> tuple[Room, Subject]:
    """A box of parts on a table or on the floor."""
    size = draw_room_size(rng)
    if rng.random() < 0.6:
        solids, top, spot = _table_surface(rng, size, DESK)
    else:
        spot = Spot(rng.uniform(1, size[0] - 1), rng.uniform(1, size[2] - 1), 0.4, 0.4)
        solids, top = [], Surface(spot.x_m, spot.z_m, rng.uniform(0, 2 * pi), 0.0, 0.7, 0.7)
    extent = rng.uniform(BIN.low_m, BIN.high_m)
    slack = [max(0.0, half - extent[k] / 2) for half, k in ((top.half_x_m, 0), (top.half_z_m, 2))]
    x, z = top.place(rng.uniform(-slack[0], slack[0]), rng.uniform(-slack[1], slack[1]))
    yaw = top.yaw_rad + rng.normal(0, 0.2)
    solids += assemble_at(rng, BIN, extent, (x, -top.height_m - extent[1] / 2, z), yaw)
    solids += _fill(rng, extent, Surface(x, z, yaw, top.height_m, 0.45 * extent[0], 0.45 * extent[2]))
    others = scatter(rng, top, {**TOOLS, **PARTS, **DESK_THINGS}, int(rng.integers(0, 8)))
    solids += [it for it in others if np.hypot(it.centre_m[0] - x, it.centre_m[2] - z) > np.hypot(*extent[::2]) / 2]
    room = furnished_room(rng, size, solids, [spot], int(rng.integers(1, 7)))
    subject = Surface(x, z, yaw, top.height_m + extent[1] / 2, 0.4 * extent[0], 0.4 * extent[2])
    return room, Subject(subject, (0.3, 0.95), (45, 90))


def _fill(rng: Generator, extent: np.ndarray, bottom: Surface) -> list[Solid]:
    """Parts in a heap, turned in any way."""
    kinds = {**PARTS, **TOOLS, **FOOD} if rng.random() < 0.4 else PARTS
    names = list(kinds)
    if rng.random() < 0.6:
        names = [names[k] for k in rng.choice(len(names), rng.integers(1, 4), replace=False)]
    solids: list[Solid] = []
    level = rng.uniform(0.15, 0.8) * extent[1]
    alike = rng.random() < 0.5  # all of a kind look the same
    looks_seed = int(rng.integers(2**32))
    for _ in range(rng.integers(6, 50)):
        kind = int(rng.integers(len(names)))
        piece = kinds[names[kind]]
        size = rng.uniform(piece.low_m, piece.high_m)
        x, z = bottom.place(*rng.uniform(-0.9, 0.9, 2) * (bottom.half_x_m, bottom.half_z_m))
        rise = min(size.min() / 2 + rng.uniform(0, level), extent[1])
        yaw, tilt = rng.uniform(0, 2 * pi), (rng.uniform(-pi, pi), rng.uniform(-pi, pi))
        looks_rng = np.random.default_rng((looks_seed, kind)) if alike else rng
        solids += assemble_at(looks_rng, piece, size, (x, -bottom.height_m - rise, z), yaw, tilt)
    return solids


def _floor(rng: Generator) -> tuple[Room, Subject]:
    """Parcels and other things on a floor."""
    size = draw_room_size(rng)
    x, z = rng.uniform(0.8, size[0] - 0.8), rng.uniform(0.8, size[2] - 0.8)
    half = rng.uniform(0.3, 1.2)
    patch = Surface(x, z, rng.uniform(0, 2 * pi), 0.0, half, half)
    solids = scatter(rng, patch, FLOOR_THINGS, int(rng.integers(1, 9)))
    solids = [it for it in solids if 0.1 < it.centre_m[0] < size[0] - 0.1 and 0.1 < it.centre_m[2] < size[2] - 0.1]
    if rng.random() < 0.3:
        solids += standing(rng, OFFICE_CHAIR, *patch.place(half + 0.4, 0), 0.0, rng.uniform(0, 2 * pi))[0]
    room = furnished_room(rng, size, solids, [Spot(x, z, half, half)], int(rng.integers(2, 11)))
    elevation_deg = (3.0, 25.0) if rng.random() < 0.5 else (15.0, 80.0)
    return _with_bare_floor(rng, room, 0.35), Subject(patch, (0.35, 2.2), elevation_deg)


def _hall(rng: Generator) -> tuple[Room, Subject]:
    """A large room from low above its floor: what a small robot sees."""
    size = (rng.uniform(4, 11), rng.uniform(2.5, 3.6), rng.uniform(7, 15))
    solids: list[Solid] = []
    taken: list[Spot] = []
    for piece in (DESK, DESK, OFFICE_CHAIR, OFFICE_CHAIR, *FLOOR_THINGS.values()):
        extent = rng.uniform(piece.low_m, piece.high_m)
        spot = find_spot(rng, size, bool(rng.random() < 0.3), extent, taken)
        if spot is not None and rng.random() < 0.5:
            taken.append(spot)
            solids += assemble_at(rng, piece, extent, (spot.x_m, -extent[1] / 2, spot.z_m), spot.yaw_rad)
    room = furnished_room(rng, size, solids, taken)
    at = Surface(size[0] / 2, size[2] / 2, 0.0, 0.0, 0.45 * size[0], 0.45 * size[2])
    return _with_bare_floor(rng, room, 0.7), Subject(at, (0.6, 4.0), (3, 35))


def _with_bare_floor(rng: Generator, room: Room, share: float) -> Room:
    """The room, by chance with a floor of concrete, linoleum or terrazzo."""
    if rng.random() >= share:
        return room
    grey = rng.uniform(0.12, 0.6) * np.exp(rng.normal(0, 0.06, 3))
    pattern = str(rng.choice(["plain", "plain", "speckle"]))
    scale_m = rng.uniform(0.3, 1.5) if pattern == "plain" else rng.uniform(0.008, 0.03)
    look = Look(pattern, tuple(grey), tuple(grey * rng.uniform(0.75, 0.97)), scale_m)
    return replace(room, shell=(*room.shell[:3], look, *room.shell[4:]))


def _any_room(rng: Generator) -> tuple[Room, Subject]:
    """A furnished room; the subject is any place in it, from near the floor to the height of a shelf."""
    size = draw_room_size(rng)
    room = furnished_room(rng, size)
    at = Surface(size[0] / 2, size[2] / 2, 0.0, rng.uniform(0.0, 1.4), 0.4 * size[0], 0.4 * size[2])
    return room, Subject(at, (0.8, 5.0), (-15, 60))


def _level_room(rng: Generator) -> tuple[Room, Subject]:
    """A furnished room looked at level, from just above the floor to eye height."""
    size = draw_room_size(rng)
    room = furnished_room(rng, size)
    height_m = float(np.exp(rng.uniform(np.log(0.12), np.log(1.9))))
    at = Surface(size[0] / 2, size[2] / 2, 0.0, height_m, 0.45 * size[0], 0.45 * size[2])
    return room, Subject(at, (1.0, 5.0), (-12, 12))


def _shelf(rng: Generator) -> tuple[Room, Subject]:
    """A bookcase or a chest from near by."""
    size = draw_room_size(rng)
    piece = PIECES[("shelf", "drawers", "wardrobe", "shelf")[rng.integers(4)]]
    extent = rng.uniform(piece.low_m, piece.high_m)
    spot = find_spot(rng, size, True, extent, [])
    assert spot is not None
    solids = assemble_at(rng, piece, extent, (spot.x_m, -extent[1] / 2, spot.z_m), spot.yaw_rad)
    top = Surface(spot.x_m, spot.z_m, spot.yaw_rad, extent[1], extent[0] / 2, extent[2] / 2)
    solids += scatter(rng, top, {**VESSELS, **FLOOR_THINGS, **DESK_THINGS}, int(rng.integers(0, 8)))
    room = furnished_room(rng, size, solids, [spot], int(rng.integers(2, 9)))
    at = top._replace(height_m=rng.uniform(0.2, 1.0) * extent[1])
    return room, Subject(at, (0.4, 1.8), (-20, 35), facing=True)


SCENES: dict[str, tuple[Callable[[Generator], tuple[Room, Subject]], float]] = {
    "desk": (_desk, 0.28),
    "bin": (_bin, 0.13),
    "floor": (_floor, 0.2),
    "kitchen": (draw_kitchen, 0.15),
    "shelf": (_shelf, 0.06),
    "hall": (_hall, 0.12),
    "room": (_any_room, 0.14),
    "level room": (_level_room, 0.2),
}
"""Kinds of scenes, and how often each is drawn."""


def _draw_view(room: Room, subject: Subject, rng: Generator) -> Pose:
    """A camera in free air that sees the subject."""
    rays = camera_rays(7, 9, 70.0).reshape(3, -1)
    best, best_free = None, -1.0
    for _ in range(NUM_VIEWS_TRIED):
        pose = _any_view(room, subject, rng)
        if pose is None:
            continue
        hits = cast_rays(room, pose.position_m.reshape(3, 1, 1), (pose.rotation @ rays)[:, None])
        free = float(hits.depth_m.min())
        if free > NEAREST_M and len(np.unique(hits.surface)) >= FEWEST_SURFACES:
            return pose
        if free > best_free:
            best, best_free = pose, free
    return best if best is not None and best_free > 0.03 else _overview(room, rng)


def _overview(room: Room, rng: Generator) -> Pose:
    """From below the ceiling's middle; what is left where the subject hides."""
    width, height, depth = room.size_m
    target = (width * rng.uniform(0.2, 0.8), -rng.uniform(0, 1), depth * rng.uniform(0.2, 0.8))
    return look_at((width / 2, 0.25 - height, depth / 2 + 0.01), target, rng.normal(0, 0.1))


def _any_view(room: Room, subject: Subject, rng: Generator) -> Pose | None:
    """A camera somewhere around the subject; None if that is outside the room."""
    surface = subject.surface
    x, z = surface.place(rng.uniform(-0.8, 0.8) * surface.half_x_m, rng.uniform(-0.8, 0.8) * surface.half_z_m)
    low, high = np.log(subject.distance_m)
    distance = float(np.exp(rng.uniform(low, high)))
    lowest, highest = subject.elevation_deg
    if highest >= 85 and rng.random() < 0.3:
        lowest = 65
    elevation = radians(rng.uniform(lowest, highest))
    azimuth = surface.yaw_rad + pi + (rng.normal(0, 0.6) if subject.facing else rng.uniform(0, 2 * pi))
    level = distance * cos(elevation)
    target = (x, -surface.height_m - abs(rng.normal(0, 0.05)), z)
    position = (x + level * sin(azimuth), target[1] - distance * sin(elevation), z + level * cos(azimuth))
    width, height, depth = room.size_m
    if not (
        0.1 < position[0] < width - 0.1 and 0.08 < -position[1] < height - 0.08 and 0.1 < position[2] < depth - 0.1
    ):
        return None
    straight_down = elevation > radians(60)
    roll = rng.normal(0, radians(4))
    if rng.random() < (0.35 if straight_down else 0.12):
        roll = rng.uniform(-pi, pi) if straight_down else rng.uniform(-pi / 4, pi / 4)
    return look_at(position, target, roll)
