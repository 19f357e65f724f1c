"""Tables of what can stand in a room: kinds of furniture as bodies, and the colours they come in."""

from typing import NamedTuple

from leadline.data.synthetic.raycast import Look, Triple


class Part(NamedTuple):
    """A body within a piece of furniture, in fractions of the piece's width, height and depth."""

    shape: str
    centre: Triple  # x and z from -0.5 to 0.5 (z = 0.5 is the back), y from the floor (0) up (1)
    half: Triple
    look: str  # "body" or "accent" of the piece, or a key of FIXED_LOOKS
    chance: float = 1.0  # that it is there at all


class Piece(NamedTuple):
    """A kind of furniture."""

    low_m: Triple  # least width, height and depth
    high_m: Triple
    at_wall: bool
    body: str  # a key of PALETTES
    accent: str
    parts: tuple[Part, ...]


PALETTES: dict[str, tuple[str, tuple[Triple, ...]]] = {
    "wood": ("grain", ((0.32, 0.18, 0.09), (0.45, 0.29, 0.15), (0.16, 0.08, 0.045), (0.6, 0.46, 0.3))),
    "painted": ("plain", ((0.75, 0.74, 0.7), (0.12, 0.16, 0.2), (0.5, 0.12, 0.1), (0.2, 0.35, 0.3))),
    "fabric": ("weave", ((0.14, 0.2, 0.34), (0.4, 0.37, 0.32), (0.42, 0.13, 0.1), (0.16, 0.25, 0.16))),
    "linen": ("weave", ((0.78, 0.76, 0.72), (0.6, 0.66, 0.74), (0.7, 0.5, 0.42), (0.3, 0.36, 0.5))),
    "metal": ("plain", ((0.08, 0.08, 0.085), (0.45, 0.45, 0.46), (0.5, 0.38, 0.18))),
    "leaf": ("grain", ((0.06, 0.2, 0.05), (0.1, 0.28, 0.09), (0.14, 0.22, 0.06))),
    "clay": ("plain", ((0.48, 0.2, 0.1), (0.7, 0.68, 0.64), (0.1, 0.14, 0.22))),
    "books": ("books", ((0.4, 0.08, 0.06), (0.08, 0.16, 0.32), (0.1, 0.25, 0.14))),
    "cardboard": ("plain", ((0.42, 0.29, 0.17), (0.5, 0.36, 0.23), (0.33, 0.22, 0.13), (0.6, 0.52, 0.42))),
    "print": (
        "label",
        ((0.75, 0.72, 0.68), (0.6, 0.08, 0.06), (0.05, 0.16, 0.45), (0.75, 0.55, 0.08), (0.06, 0.3, 0.14), (0.04,) * 3),
    ),
    "paper": ("text", ((0.82, 0.81, 0.78), (0.8, 0.76, 0.66), (0.7, 0.72, 0.74))),
    "keyboard": ("keys", ((0.03, 0.03, 0.033), (0.1, 0.1, 0.1), (0.6, 0.6, 0.58))),
    "display": ("windows", ((0.03, 0.05, 0.1), (0.7, 0.7, 0.72), (0.3, 0.05, 0.2), (0.1, 0.3, 0.5), (0.5, 0.5, 0.52))),
    "plastic": (
        "plain",
        ((0.03, 0.03, 0.03), (0.7, 0.7, 0.7), (0.5, 0.05, 0.04), (0.04, 0.15, 0.5), (0.7, 0.45, 0.03), (0.3, 0.3, 0.3)),
    ),
    "china": ("plain", ((0.8, 0.79, 0.76), (0.7, 0.72, 0.74), (0.15, 0.25, 0.4), (0.5, 0.2, 0.12), (0.05, 0.05, 0.05))),
    "steel": ("grain", ((0.4, 0.4, 0.41), (0.25, 0.25, 0.26), (0.5, 0.48, 0.44), (0.12, 0.12, 0.13))),
    "fruit": ("speckle", ((0.6, 0.12, 0.04), (0.7, 0.5, 0.05), (0.3, 0.45, 0.06), (0.75, 0.35, 0.03))),
    "stone": (
        "speckle",
        ((0.08, 0.08, 0.085), (0.6, 0.58, 0.55), (0.35, 0.33, 0.31), (0.75, 0.74, 0.72), (0.25, 0.2, 0.16)),
    ),
    "bright": ("checker", ((0.7, 0.1, 0.06), (0.08, 0.24, 0.6), (0.8, 0.55, 0.06), (0.06, 0.4, 0.2))),
    "wall": (
        "plain",
        ((0.74, 0.71, 0.64), (0.6, 0.66, 0.64), (0.62, 0.65, 0.72), (0.72, 0.58, 0.48), (0.42, 0.5, 0.46)),
    ),
}
PATTERN_SCALES_M = {"grain": 0.12, "plain": 0.5, "weave": 0.012, "books": 0.035, "checker": 0.06} | {
    "label": 0.05,
    "text": 0.006,
    "keys": 0.019,
    "windows": 0.16,
    "speckle": 0.012,
}
MIXED_PATTERNS = ("books", "checker", "label", "windows", "speckle")
"""Patterns of two colours of one palette."""
INK_PATTERNS = ("text", "keys")
"""Patterns whose second colour is as dark as ink, or light on dark."""
WALL_PATTERNS = (("plain", 0.5), ("plain", 0.5), ("stripes", 0.16), ("bricks", 0.22), ("dots", 0.14))
FLOORS: tuple[tuple[str, float, tuple[Triple, ...]], ...] = (
    ("planks", 0.12, ((0.42, 0.26, 0.14), (0.3, 0.17, 0.09), (0.56, 0.42, 0.28), (0.2, 0.12, 0.08))),
    ("tiles", 0.33, ((0.55, 0.5, 0.44), (0.36, 0.35, 0.34), (0.6, 0.42, 0.32))),
    ("checker", 0.4, ((0.6, 0.58, 0.54), (0.5, 0.38, 0.28))),
    ("weave", 0.02, ((0.34, 0.3, 0.26), (0.24, 0.27, 0.32), (0.4, 0.26, 0.22))),
)
FIXED_LOOKS = {
    "white": Look("plain", (0.78, 0.77, 0.75), (0.7, 0.69, 0.67), 0.5),
    "black": Look("plain", (0.03, 0.03, 0.035), (0.05, 0.05, 0.055), 0.5),
    "metal": Look("plain", (0.35, 0.35, 0.36), (0.5, 0.5, 0.5), 0.5),
    "shade": Look("plain", (0.85, 0.7, 0.45), (0.8, 0.62, 0.38), 0.5, glow=0.9),
    "keys": Look("keys", (0.03, 0.03, 0.033), (0.25, 0.25, 0.25), 0.019),
    "tape": Look("plain", (0.5, 0.4, 0.26), (0.46, 0.36, 0.23), 0.3),
    "screen": Look("art", (0.05, 0.12, 0.2), (0.3, 0.4, 0.5), 0.3, glow=0.5),
}


def _legs(x: float, z: float, height: float, half_x: float, half_z: float) -> tuple[Part, ...]:
    """Four legs at (±x, ±z)."""
    spots = [(sx * x, sz * z) for sx in (-1, 1) for sz in (-1, 1)]
    half = (half_x, height / 2, half_z)
    return tuple(Part("box", (px, height / 2, pz), half, "body") for px, pz in spots)


def _fronts(count: int, low: float, high: float) -> tuple[Part, ...]:
    """Drawer fronts with a knob each, from height `low` to `high`."""
    step = (high - low) / count
    heights = [low + step * (k + 0.5) for k in range(count)]
    fronts = tuple(Part("box", (0, y, -0.5), (0.46, 0.44 * step, 0.02), "accent") for y in heights)
    return fronts + tuple(Part("ellipsoid", (0, y, -0.54), (0.02, 0.022, 0.04), "metal") for y in heights)


def _shelf(rows: int) -> tuple[Part, ...]:
    """A bookcase with `rows` rows of books, some of them missing."""
    step = 0.96 / rows
    boards = tuple(Part("box", (0, 0.02 + step * k, 0), (0.5, 0.012, 0.48), "body") for k in range(rows + 1))
    books = tuple(
        Part("box", (x, 0.032 + step * (k + 0.36), 0.08), (half, step * 0.36, 0.34), "accent", 0.75)
        for k in range(rows)
        for x, half in ((-0.26, 0.2), (0.22, 0.24))
    )
    sides = tuple(Part("box", (x, 0.5, 0), (0.02, 0.5, 0.5), "body") for x in (-0.48, 0.48))
    return (*boards, *sides, Part("box", (0, 0.5, 0.48), (0.48, 0.49, 0.02), "body"), *books)


PIECES = {
    "table": Piece(
        (1.1, 0.72, 0.7), (1.8, 0.77, 0.95), False, "wood", "clay",
        (
            Part("box", (0, 0.975, 0), (0.5, 0.025, 0.5), "body"),
            *_legs(0.46, 0.44, 0.95, 0.022, 0.04),
            Part("cylinder", (0.12, 1.14, 0.1), (0.05, 0.14, 0.1), "accent", 0.7),
            Part("box", (-0.2, 1.015, -0.1), (0.1, 0.015, 0.16), "white", 0.7),
            Part("box", (-0.18, 1.2, 0.25), (0.17, 0.17, 0.02), "screen", 0.4),
            Part("ellipsoid", (0.3, 1.06, -0.15), (0.035, 0.06, 0.06), "accent", 0.6),
        ),
    ),
    "round table": Piece(
        (0.8, 0.5, 0.8), (1.2, 0.74, 1.2), False, "wood", "clay",
        (
            Part("cylinder", (0, 0.97, 0), (0.5, 0.03, 0.5), "body"),
            Part("cylinder", (0, 0.48, 0), (0.06, 0.46, 0.06), "metal"),
            Part("cylinder", (0, 0.02, 0), (0.3, 0.02, 0.3), "metal"),
            Part("ellipsoid", (0.1, 1.1, 0.1), (0.14, 0.1, 0.14), "accent", 0.7),
        ),
    ),
    "chair": Piece(
        (0.42, 0.82, 0.44), (0.5, 0.95, 0.52), False, "wood", "fabric",
        (
            Part("box", (0, 0.5, 0), (0.5, 0.03, 0.5), "accent"),
            *_legs(0.44, 0.44, 0.48, 0.045, 0.045),
            Part("box", (0, 0.78, 0.46), (0.46, 0.2, 0.03), "body"),
        ),
    ),
    "sofa": Piece(
        (1.5, 0.74, 0.8), (2.2, 0.88, 0.95), True, "fabric", "linen",
        (
            Part("box", (0, 0.28, -0.02), (0.47, 0.24, 0.48), "body"),
            Part("box", (0, 0.55, 0.4), (0.5, 0.45, 0.1), "body"),
            Part("box", (-0.46, 0.36, 0), (0.04, 0.34, 0.49), "body"),
            Part("box", (0.46, 0.36, 0), (0.04, 0.34, 0.49), "body"),
            Part("ellipsoid", (-0.28, 0.74, 0.22), (0.11, 0.22, 0.1), "accent", 0.8),
            Part("ellipsoid", (0.3, 0.74, 0.22), (0.1, 0.2, 0.1), "accent", 0.6),
        ),
    ),
    "bed": Piece(
        (1.0, 0.85, 1.95), (1.8, 1.05, 2.1), True, "wood", "linen",
        (
            Part("box", (0, 0.2, 0), (0.5, 0.12, 0.5), "body"),
            Part("box", (0, 0.42, -0.01), (0.48, 0.12, 0.48), "accent"),
            Part("box", (0, 0.5, 0.485), (0.5, 0.5, 0.015), "body"),
            Part("ellipsoid", (-0.22, 0.56, 0.36), (0.18, 0.08, 0.1), "white"),
            Part("ellipsoid", (0.22, 0.56, 0.36), (0.18, 0.08, 0.1), "white"),
        ),
    ),
    "wardrobe": Piece(
        (0.9, 1.8, 0.5), (1.7, 2.15, 0.62), True, "wood", "painted",
        (
            Part("box", (0, 0.5, 0), (0.5, 0.5, 0.48), "body"),
            Part("box", (-0.245, 0.5, -0.5), (0.235, 0.46, 0.02), "accent"),
            Part("box", (0.245, 0.5, -0.5), (0.235, 0.46, 0.02), "accent"),
            Part("cylinder", (-0.04, 0.5, -0.54), (0.01, 0.05, 0.025), "metal"),
            Part("cylinder", (0.04, 0.5, -0.54), (0.01, 0.05, 0.025), "metal"),
        ),
    ),
    "drawers": Piece(
        (0.7, 0.7, 0.4), (1.3, 1.0, 0.5), True, "wood", "painted",
        (
            Part("box", (0, 0.5, 0.02), (0.5, 0.5, 0.48), "body"),
            *_fronts(3, 0.06, 0.96),
            Part("ellipsoid", (-0.25, 1.12, 0), (0.1, 0.12, 0.2), "metal", 0.5),
            Part("box", (0.2, 1.2, 0.25), (0.18, 0.2, 0.03), "screen", 0.5),
        ),
    ),
    "shelf": Piece((0.8, 1.3, 0.28), (1.3, 2.0, 0.36), True, "wood", "books", _shelf(4)),
    "plant": Piece(
        (0.5, 0.9, 0.5), (0.8, 1.6, 0.8), True, "clay", "leaf",
        (
            Part("cylinder", (0, 0.13, 0), (0.26, 0.13, 0.26), "body"),
            Part("cylinder", (0, 0.4, 0), (0.03, 0.2, 0.03), "accent"),
            Part("ellipsoid", (0, 0.74, 0), (0.3, 0.24, 0.3), "accent"),
            Part("ellipsoid", (0.24, 0.6, 0.1), (0.24, 0.1, 0.2), "accent"),
            Part("ellipsoid", (-0.22, 0.66, -0.12), (0.26, 0.12, 0.2), "accent"),
            Part("ellipsoid", (-0.05, 0.58, 0.24), (0.2, 0.1, 0.24), "accent"),
        ),
    ),
    "lamp": Piece(
        (0.36, 1.4, 0.36), (0.46, 1.7, 0.46), True, "metal", "metal",
        (
            Part("cylinder", (0, 0.012, 0), (0.4, 0.012, 0.4), "body"),
            Part("cylinder", (0, 0.42, 0), (0.035, 0.42, 0.035), "body"),
            Part("cylinder", (0, 0.9, 0), (0.48, 0.1, 0.48), "shade"),
        ),
    ),
    "crate": Piece(
        (0.3, 0.25, 0.3), (0.6, 0.5, 0.5), False, "wood", "painted",
        (Part("box", (0, 0.5, 0), (0.5, 0.5, 0.5), "body"),),
    ),
    "ball": Piece(
        (0.22, 0.22, 0.22), (0.22, 0.22, 0.22), False, "bright", "bright",
        (Part("ellipsoid", (0, 0.5, 0), (0.5, 0.5, 0.5), "body"),),
    ),
}  # fmt: skip
BIG = ("sofa", "bed", "table")
MIDDLE = ("wardrobe", "shelf", "drawers", "table", "round table", "shelf", "drawers")
SMALL = ("chair", "chair", "plant", "lamp", "crate", "ball", "chair", "round table")
