"""Scenes of near things: tables, bins, floors, kitchens and shelves, and rooms from unusual places."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import cos, pi, radians, sin
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from leadline.data.rooms.furniture import FIXED_LOOKS, PIECES, Piece
from leadline.data.rooms.layout import Spot, find_spot, furnished_room, on_wall, palette_look
from leadline.data.rooms.objects import (
    BIN,
    COFFEE_TABLE,
    DESK,
    DESK_THINGS,
    FLOOR_THINGS,
    FOOD,
    KITCHEN_THINGS,
    OFFICE_CHAIR,
    PARTS,
    TOOLS,
    VESSELS,
)
from leadline.data.rooms.raycast import Look, Pose, Room, Solid, Triple, body_axes, camera_rays, cast_rays, look_at

NUM_VIEWS_TRIED = 14
NEAREST_M = 0.12
"""No camera stands nearer to anything."""
FEWEST_SURFACES = 3
"""A view shows at least so many surfaces: from one plane alone no distance can be told."""
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


def assemble_at(
    rng: Generator,
    piece: Piece,
    extent: np.ndarray,
    centre_m: Triple,
    yaw_rad: float,
    tilt_rad: tuple[float, float] = (0.0, 0.0),
) -> list[Solid]:
    """The bodies of a thing whose middle is at a place, turned in any way."""
    looks = FIXED_LOOKS | {"body": _look(rng, piece.body), "accent": _look(rng, piece.accent)}
    axes = body_axes(Solid("box", centre_m, (1, 1, 1), yaw_rad, looks["body"], tilt_rad))
    solids = []
    for part in piece.parts:
        if rng.random() < part.chance:
            x, y, z = np.multiply(np.subtract(part.centre, (0, 0.5, 0)), extent).tolist()
            centre = tuple((np.array(centre_m) + axes.T @ (x, -y, z)).tolist())
            half = tuple(np.multiply(part.half, extent).tolist())
            solids.append(Solid(part.shape, centre, half, yaw_rad, looks[part.look], tilt_rad))
    return solids


def _look(rng: Generator, palette: str) -> Look:
    look = palette_look(rng, palette)
    if rng.random() < RANDOM_COLOR_SHARE and look.pattern not in ("text", "keys"):
        colors = rng.uniform(0.02, 0.8, (2, 3)) ** 1.3
        colors += rng.uniform(0, 1) * (colors.mean(axis=1, keepdims=True) - colors)
        first, second = (tuple(color) for color in colors.tolist())
        look = look._replace(color=first, second=second if look.pattern != "plain" else tuple(0.93 * np.array(first)))
    return look._replace(scale_m=look.scale_m * float(np.exp(rng.normal(0, 0.25))))


def _standing(
    rng: Generator, piece: Piece, x: float, z: float, base_m: float, yaw: float
) -> tuple[list[Solid], np.ndarray]:
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


def _room_size(rng: Generator) -> Triple:
    if rng.random() < 0.2:
        return rng.uniform(5, 12), rng.uniform(2.5, 3.5), rng.uniform(6, 14)
    return rng.uniform(2.6, 6.0), rng.uniform(2.35, 2.9), rng.uniform(3.0, 7.0)


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
    size = _room_size(rng)
    office = rng.random() < 0.55
    solids, top, spot = _table_surface(rng, size, DESK if office or rng.random() < 0.6 else COFFEE_TABLE)
    common = DESK_THINGS if office else {**VESSELS, **FOOD, "sheet": DESK_THINGS["sheet"], "book": DESK_THINGS["book"]}
    if rng.random() < 0.4:
        common = {**common, **TOOLS, **VESSELS}
    if office and rng.random() < 0.7:
        for _ in range(rng.integers(1, 3)):
            x, z = top.place(rng.uniform(-0.6, 0.6) * top.half_x_m, rng.uniform(0.1, 0.6) * top.half_z_m)
            kind = DESK_THINGS["monitor" if rng.random() < 0.75 else "laptop"]
            solids += _standing(rng, kind, x, z, top.height_m, top.yaw_rad + rng.normal(0, 0.2))[0]
        x, z = top.place(rng.uniform(-0.4, 0.4) * top.half_x_m, -0.35 * top.half_z_m)
        solids += _standing(rng, DESK_THINGS["keyboard"], x, z, top.height_m, top.yaw_rad + rng.normal(0, 0.1))[0]
    solids += scatter(rng, top, common, int(rng.integers(4, 45)))
    if rng.random() < 0.5:
        x, z = top.place(rng.uniform(-0.5, 0.5) * top.half_x_m, -top.half_z_m - rng.uniform(0.2, 0.5))
        if 0.4 < x < size[0] - 0.4 and 0.4 < z < size[2] - 0.4:
            chair = OFFICE_CHAIR if office else PIECES["chair"]
            solids += _standing(rng, chair, x, z, 0.0, top.yaw_rad + pi + rng.normal(0, 0.4))[0]
    room = furnished_room(rng, size, solids, [spot], int(rng.integers(2, 10)))
    return room, Subject(top, (0.25, 1.5), (8, 90))


def _bin(rng: Generator) -> tuple[Room, Subject]:
    """A box of parts on a table or on the floor."""
    size = _room_size(rng)
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
    size = _room_size(rng)
    x, z = rng.uniform(0.8, size[0] - 0.8), rng.uniform(0.8, size[2] - 0.8)
    half = rng.uniform(0.3, 1.2)
    patch = Surface(x, z, rng.uniform(0, 2 * pi), 0.0, half, half)
    solids = scatter(rng, patch, FLOOR_THINGS, int(rng.integers(1, 9)))
    solids = [it for it in solids if 0.1 < it.centre_m[0] < size[0] - 0.1 and 0.1 < it.centre_m[2] < size[2] - 0.1]
    if rng.random() < 0.3:
        solids += _standing(rng, OFFICE_CHAIR, *patch.place(half + 0.4, 0), 0.0, rng.uniform(0, 2 * pi))[0]
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
    size = _room_size(rng)
    room = furnished_room(rng, size)
    at = Surface(size[0] / 2, size[2] / 2, 0.0, rng.uniform(0.0, 1.4), 0.4 * size[0], 0.4 * size[2])
    return room, Subject(at, (0.8, 5.0), (-15, 60))


def _shelf(rng: Generator) -> tuple[Room, Subject]:
    """A bookcase or a chest from near by."""
    size = _room_size(rng)
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


def _kitchen(rng: Generator) -> tuple[Room, Subject]:
    """A row of cabinets with a worktop, cupboards above, a fridge, and what stands on it."""
    size = (rng.uniform(2.4, 5.0), rng.uniform(2.35, 2.8), rng.uniform(2.6, 6.0))
    side = int(rng.integers(4))
    run_m = size[0] if side % 2 == 0 else size[2]
    start = rng.uniform(0, 0.25) * run_m
    length = min(run_m - start, rng.uniform(1.8, 4.2))
    solids, top = cabinets(rng, size, side, start, length)
    solids += scatter(rng, top, {**KITCHEN_THINGS, **VESSELS, **FOOD}, int(rng.integers(3, 20)))
    taken = [Spot(top.x_m, top.z_m, *((length / 2, 0.35) if side % 2 == 0 else (0.35, length / 2)))]
    if rng.random() < 0.4:
        other = (side + 1) % 4
        more, second = cabinets(rng, size, other, 0.0, (size[0] if other % 2 == 0 else size[2]) * rng.uniform(0.4, 1))
        solids += more + scatter(rng, second, {**KITCHEN_THINGS, **VESSELS, **FOOD}, int(rng.integers(1, 10)))
    room = furnished_room(rng, size, solids, taken, int(rng.integers(0, 6)))
    if rng.random() < 0.35:
        return room, Subject(top, (0.35, 1.4), (15, 85), facing=True)
    at = top._replace(height_m=rng.uniform(0.4, 1.6))
    return room, Subject(at, (1.0, 3.8), (-5, 35), facing=True)


def cabinets(rng: Generator, size: Triple, side: int, start_m: float, length_m: float) -> tuple[list[Solid], Surface]:
    """Base cabinets along a wall, with their worktop, and cupboards over them."""
    run_m = size[0] if side % 2 == 0 else size[2]
    front, counter, wall = (
        _look(rng, rng.choice(["wood", "painted", "china"])),
        _look(rng, rng.choice(["stone", "wood"])),
        FIXED_LOOKS["white"],
    )
    tiles = Look("tiles", tuple(rng.uniform(0.3, 0.8, 3)), (0.6, 0.6, 0.58), rng.uniform(0.08, 0.25))
    height, depth = rng.uniform(0.86, 0.95), rng.uniform(0.58, 0.64)
    upper_low, upper_high = height + rng.uniform(0.45, 0.6), rng.uniform(1.95, 2.25)
    solids: list[Solid] = []

    def add(at_m: float, up_m: float, out_m: float, half: Triple, look: Look) -> None:
        solids.append(on_wall(size, side, (start_m + at_m) / run_m, up_m, out_m, half, look))

    add(length_m / 2, height - 0.02, depth / 2 + 0.01, (length_m / 2, 0.02, depth / 2 + 0.01), counter)
    add(length_m / 2, 0.05, depth / 2 - 0.04, (length_m / 2, 0.05, depth / 2 - 0.04), FIXED_LOOKS["black"])
    if rng.random() < 0.7:
        add(length_m / 2, (height + upper_low) / 2, 0.004, (length_m / 2, (upper_low - height) / 2, 0.004), tiles)
    at, hob = 0.0, rng.random() < 0.7
    while at < length_m - 0.25:
        unit = min(float(rng.choice([0.4, 0.5, 0.6, 0.8])), length_m - at)
        middle = at + unit / 2
        body = (height - 0.14) / 2
        add(middle, 0.1 + body, depth / 2 - 0.02, (unit / 2 - 0.002, body, depth / 2 - 0.02), wall)
        if hob and unit >= 0.5:
            hob = False
            add(middle, 0.1 + body, depth - 0.03, (unit / 2 - 0.006, body - 0.01, 0.015), FIXED_LOOKS["black"])
            add(middle, 0.1 + 1.7 * body, depth - 0.005, (unit / 2 - 0.05, 0.012, 0.02), FIXED_LOOKS["metal"])
            add(middle, height + 0.004, depth / 2, (unit / 2 - 0.02, 0.004, 0.25), FIXED_LOOKS["black"])
            add(middle, upper_low + 0.05, 0.22, (unit / 2, 0.06, 0.22), FIXED_LOOKS["metal"])
        else:
            drawers = int(rng.choice([1, 1, 3]))
            for k in range(drawers):
                up = 0.1 + body * (2 * k + 1) / drawers
                add(middle, up, depth - 0.03, (unit / 2 - 0.004, body / drawers - 0.004, 0.012), front)
                add(middle, up + 0.7 * body / drawers, depth - 0.005, (0.06, 0.006, 0.012), FIXED_LOOKS["metal"])
            if rng.random() < 0.15:
                add(middle, height + 0.003, depth / 2, (0.22, 0.003, 0.18), FIXED_LOOKS["metal"])
                add(middle, height + 0.15, 0.08, (0.012, 0.15, 0.012), FIXED_LOOKS["metal"])
                add(middle, height + 0.29, 0.15, (0.012, 0.012, 0.09), FIXED_LOOKS["metal"])
            if rng.random() < 0.6:
                half = (upper_high - upper_low) / 2
                add(middle, upper_low + half, 0.17, (unit / 2 - 0.002, half, 0.16), wall)
                add(middle, upper_low + half, 0.335, (unit / 2 - 0.004, half - 0.004, 0.01), front)
                add(middle + 0.3 * unit, upper_low + 0.12, 0.355, (0.006, 0.06, 0.012), FIXED_LOOKS["metal"])
        at += unit
    if start_m + length_m + 0.7 < run_m and rng.random() < 0.6:
        half_height = rng.uniform(0.75, 1.0)
        fridge = _look(rng, rng.choice(["china", "steel", "painted"]))
        add(length_m + 0.32, half_height, 0.32, (0.3, half_height, 0.31), fridge)
        add(length_m + 0.1, 1.3 * half_height, 0.65, (0.01, 0.2, 0.02), FIXED_LOOKS["metal"])
        add(length_m + 0.32, 1.1 * half_height, 0.625, (0.3, 0.004, 0.01), FIXED_LOOKS["black"])
    centre = on_wall(size, side, (start_m + length_m / 2) / run_m, height, depth / 2, (0, 0, 0), counter).centre_m
    return solids, Surface(centre[0], centre[2], side * pi / 2, height, length_m / 2, depth / 2 - 0.05)


SCENES: dict[str, tuple[Callable[[Generator], tuple[Room, Subject]], float]] = {
    "desk": (_desk, 0.28),
    "bin": (_bin, 0.13),
    "floor": (_floor, 0.2),
    "kitchen": (_kitchen, 0.15),
    "shelf": (_shelf, 0.06),
    "hall": (_hall, 0.12),
    "room": (_any_room, 0.14),
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
