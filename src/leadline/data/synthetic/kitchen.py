"""Kitchens: cabinets along walls, of the heights and depths that they have, and what stands on them."""

from math import pi

from numpy.random import Generator

from leadline.data.synthetic.equipment import KITCHEN_THINGS
from leadline.data.synthetic.furniture import FIXED_LOOKS
from leadline.data.synthetic.layout import Spot, furnished_room, on_wall
from leadline.data.synthetic.objects import FOOD, VESSELS
from leadline.data.synthetic.placing import Subject, Surface, any_look, scatter
from leadline.data.synthetic.raycast import Look, Room, Solid, Triple


def draw_kitchen(rng: Generator) -> tuple[Room, Subject]:
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
        any_look(rng, rng.choice(["wood", "painted", "china"])),
        any_look(rng, rng.choice(["stone", "wood"])),
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
        fridge = any_look(rng, rng.choice(["china", "steel", "painted"]))
        add(length_m + 0.32, half_height, 0.32, (0.3, half_height, 0.31), fridge)
        add(length_m + 0.1, 1.3 * half_height, 0.65, (0.01, 0.2, 0.02), FIXED_LOOKS["metal"])
        add(length_m + 0.32, 1.1 * half_height, 0.625, (0.3, 0.004, 0.01), FIXED_LOOKS["black"])
    centre = on_wall(size, side, (start_m + length_m / 2) / run_m, height, depth / 2, (0, 0, 0), counter).centre_m
    return solids, Surface(centre[0], centre[2], side * pi / 2, height, length_m / 2, depth / 2 - 0.05)
