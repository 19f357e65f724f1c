"""Tables of small things, of the sizes that they have: what lies on tables, in bins and on floors."""

from leadline.data.rooms.furniture import Part, Piece
from leadline.data.rooms.raycast import Triple


def _thing(low_m: Triple, high_m: Triple, body: str, accent: str, *parts: Part) -> Piece:
    """A kind of thing: least and greatest width, height and depth, palettes of body and accent, and its bodies."""
    return Piece(low_m, high_m, False, body, accent, parts)


def _box(
    y: float, half_y: float, look: str = "body", x: float = 0, z: float = 0, hx: float = 0.5, hz: float = 0.5
) -> Part:
    return Part("box", (x, y, z), (hx, half_y, hz), look)


def _round(y: float, half_y: float, look: str = "body", radius: float = 0.5, x: float = 0, z: float = 0) -> Part:
    return Part("cylinder", (x, y, z), (radius, half_y, radius), look)


def _ball(x: float, y: float, z: float, hx: float, hy: float, hz: float, look: str = "body") -> Part:
    return Part("ellipsoid", (x, y, z), (hx, hy, hz), look)


def _walls(thickness: float, look: str = "body") -> tuple[Part, ...]:
    """An open box: a bottom and four sides."""
    side = 0.5 - thickness / 2
    return (
        _box(0.02, 0.02, look),
        *(Part("box", (sign * side, 0.5, 0), (thickness / 2, 0.5, 0.5), look) for sign in (-1, 1)),
        *(Part("box", (0, 0.5, sign * side), (0.5, 0.5, thickness / 2), look) for sign in (-1, 1)),
    )


BOX = (_box(0.5, 0.5),)

DESK_THINGS = {
    "keyboard": _thing(
        (0.3, 0.018, 0.12),
        (0.46, 0.03, 0.17),
        "plastic",
        "keyboard",
        _box(0.4, 0.4),
        _box(0.9, 0.1, "accent", hx=0.48, hz=0.45),
    ),
    "mouse": _thing((0.055, 0.032, 0.1), (0.065, 0.04, 0.12), "plastic", "plastic", _ball(0, 0.4, 0, 0.5, 0.6, 0.5)),
    "monitor": _thing(
        (0.45, 0.4, 0.18),
        (0.65, 0.52, 0.24),
        "plastic",
        "display",
        _box(0.01, 0.01, hx=0.25),
        _box(0.2, 0.2, z=0.1, hx=0.06, hz=0.06),
        _box(0.63, 0.37, hz=0.1),
        Part("box", (0, 0.63, -0.09), (0.48, 0.345, 0.02), "accent"),
    ),
    "laptop": _thing(
        (0.29, 0.2, 0.24),
        (0.37, 0.25, 0.3),
        "steel",
        "display",
        _box(0.04, 0.04),
        Part("box", (0, 0.082, 0.06), (0.45, 0.004, 0.25), "keys"),
        Part("box", (0, 0.53, 0.47), (0.5, 0.47, 0.015), "body"),
        Part("box", (0, 0.53, 0.452), (0.47, 0.43, 0.006), "accent"),
    ),
    "sheet": _thing((0.148, 0.001, 0.21), (0.21, 0.003, 0.297), "paper", "paper", *BOX),
    "second sheet": _thing((0.21, 0.001, 0.297), (0.21, 0.003, 0.297), "paper", "paper", *BOX),
    "stack": _thing((0.21, 0.008, 0.297), (0.22, 0.06, 0.3), "paper", "paper", *BOX),
    "book": _thing(
        (0.12, 0.01, 0.18),
        (0.22, 0.045, 0.3),
        "print",
        "paper",
        _box(0.5, 0.42, "accent", hx=0.48, hz=0.48),
        _box(0.04, 0.04),
        _box(0.96, 0.04),
    ),
    "magazine": _thing((0.2, 0.003, 0.27), (0.22, 0.008, 0.3), "print", "print", *BOX),
    "telephone": _thing(
        (0.068, 0.008, 0.14),
        (0.08, 0.01, 0.165),
        "plastic",
        "display",
        _box(0.45, 0.45),
        _box(0.95, 0.05, "accent", hx=0.46, hz=0.47),
    ),
    "pen": _thing(
        (0.008, 0.008, 0.13),
        (0.012, 0.012, 0.15),
        "plastic",
        "plastic",
        _box(0.5, 0.5),
        _box(0.5, 0.53, "accent", z=0.35, hx=0.53, hz=0.12),
    ),
    "remote": _thing(
        (0.04, 0.015, 0.14),
        (0.05, 0.022, 0.21),
        "plastic",
        "keyboard",
        _box(0.4, 0.4),
        _box(0.9, 0.1, "accent", hx=0.4, hz=0.42),
    ),
    "notes": _thing((0.076, 0.005, 0.076), (0.076, 0.02, 0.076), "bright", "bright", *BOX),
    "desk lamp": _thing(
        (0.16, 0.4, 0.16),
        (0.2, 0.5, 0.2),
        "metal",
        "plastic",
        _round(0.02, 0.02),
        _round(0.5, 0.48, radius=0.05),
        _ball(0, 0.95, -0.3, 0.45, 0.12, 0.5, "accent"),
    ),
}
VESSELS = {
    "mug": _thing(
        (0.078, 0.085, 0.078),
        (0.095, 0.11, 0.095),
        "china",
        "print",
        _round(0.5, 0.5),
        _round(0.995, 0.01, "black", 0.44),
        Part("box", (0.6, 0.5, 0), (0.14, 0.3, 0.06), "body"),
    ),
    "glass": _thing(
        (0.06, 0.09, 0.06), (0.08, 0.15, 0.08), "steel", "steel", _round(0.5, 0.5), _round(0.995, 0.01, "metal", 0.45)
    ),
    "bottle": _thing(
        (0.06, 0.2, 0.06),
        (0.09, 0.32, 0.09),
        "plastic",
        "print",
        _round(0.35, 0.35),
        _round(0.4, 0.18, "accent", 0.51),
        _ball(0, 0.7, 0, 0.5, 0.14, 0.5),
        _round(0.86, 0.1, radius=0.18),
        _round(0.97, 0.03, "white", 0.2),
    ),
    "can": _thing(
        (0.066, 0.115, 0.066),
        (0.066, 0.122, 0.066),
        "print",
        "steel",
        _round(0.49, 0.49),
        _round(0.99, 0.01, "accent", 0.45),
    ),
    "tin": _thing(
        (0.073, 0.08, 0.073), (0.1, 0.12, 0.1), "print", "steel", _round(0.5, 0.47), _round(0.5, 0.5, "accent", 0.48)
    ),
    "jar": _thing(
        (0.07, 0.1, 0.07), (0.1, 0.16, 0.1), "fruit", "plastic", _round(0.43, 0.43), _round(0.93, 0.07, "accent", 0.48)
    ),
    "plate": _thing(
        (0.18, 0.018, 0.18),
        (0.28, 0.025, 0.28),
        "china",
        "china",
        _round(0.35, 0.35, radius=0.35),
        _round(0.8, 0.2),
        _round(0.95, 0.07, "accent", 0.36),
    ),
    "bowl": _thing(
        (0.12, 0.05, 0.12),
        (0.25, 0.09, 0.25),
        "china",
        "fruit",
        _ball(0, 0.9, 0, 0.5, 0.9, 0.5),
        _ball(0, 0.95, 0, 0.45, 0.3, 0.45, "accent"),
    ),
}
FOOD = {
    "apple": _thing((0.065, 0.062, 0.065), (0.085, 0.08, 0.085), "fruit", "leaf", _ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
    "lemon": _thing((0.05, 0.048, 0.07), (0.06, 0.06, 0.09), "fruit", "leaf", _ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
    "loaf": _thing((0.11, 0.09, 0.2), (0.13, 0.12, 0.3), "cardboard", "cardboard", _ball(0, 0.45, 0, 0.5, 0.55, 0.5)),
    "carton": _thing(
        (0.07, 0.19, 0.07),
        (0.095, 0.24, 0.095),
        "print",
        "plastic",
        _box(0.48, 0.48),
        _round(0.98, 0.02, "accent", 0.15),
    ),
    "cereal": _thing((0.17, 0.25, 0.05), (0.21, 0.32, 0.08), "print", "print", *BOX),
    "packet": _thing((0.09, 0.03, 0.13), (0.16, 0.06, 0.22), "print", "print", _ball(0, 0.5, 0, 0.55, 0.6, 0.55)),
}
TOOLS = {
    "screwdriver": _thing(
        (0.025, 0.025, 0.18),
        (0.034, 0.034, 0.26),
        "plastic",
        "steel",
        _ball(0, 0.5, 0.25, 0.5, 0.5, 0.25),
        _box(0.5, 0.1, "accent", z=-0.2, hx=0.1, hz=0.3),
    ),
    "spanner": _thing(
        (0.03, 0.008, 0.15),
        (0.05, 0.01, 0.25),
        "steel",
        "steel",
        _box(0.5, 0.4, hx=0.25, hz=0.4),
        _round(0.5, 0.5, x=0, z=0.42, radius=0.5),
    ),
    "fork": _thing(
        (0.02, 0.006, 0.18),
        (0.026, 0.01, 0.21),
        "steel",
        "steel",
        _box(0.5, 0.5, z=0.15, hx=0.2, hz=0.35),
        _box(0.5, 0.5, z=-0.35, hz=0.15),
    ),
    "knife": _thing(
        (0.02, 0.012, 0.2),
        (0.035, 0.018, 0.32),
        "plastic",
        "steel",
        _box(0.5, 0.5, z=0.32, hx=0.4, hz=0.18),
        _box(0.4, 0.08, "accent", z=-0.18, hz=0.32),
    ),
    "tape": _thing(
        (0.06, 0.02, 0.06),
        (0.12, 0.05, 0.12),
        "cardboard",
        "plastic",
        _round(0.5, 0.5, "accent"),
        _round(0.5, 0.505, radius=0.4),
        _round(0.5, 0.51, "black", 0.36),
    ),
    "torch": _thing(
        (0.03, 0.03, 0.12),
        (0.04, 0.04, 0.18),
        "metal",
        "plastic",
        _box(0.5, 0.35, hx=0.35),
        _box(0.5, 0.5, "accent", z=-0.4, hz=0.1),
    ),
    "block": _thing((0.03, 0.03, 0.03), (0.06, 0.06, 0.06), "bright", "wood", *BOX),
    "brick": _thing(
        (0.032, 0.011, 0.016),
        (0.064, 0.02, 0.032),
        "plastic",
        "plastic",
        *(_box(0.45, 0.45), _round(0.92, 0.08, radius=0.16, x=-0.25), _round(0.92, 0.08, radius=0.16, x=0.25)),
    ),
    "small box": _thing((0.04, 0.02, 0.05), (0.12, 0.08, 0.16), "print", "cardboard", *BOX),
    "toy ball": _thing((0.04, 0.04, 0.04), (0.075, 0.075, 0.075), "bright", "bright", _ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
}
PARTS = {
    "bolt": _thing(
        (0.012, 0.03, 0.012), (0.025, 0.09, 0.025), "steel", "steel", _round(0.9, 0.1), _round(0.4, 0.4, radius=0.28)
    ),
    "pipe": _thing(
        (0.02, 0.05, 0.02), (0.06, 0.2, 0.06), "steel", "plastic", _round(0.5, 0.5), _round(0.5, 0.505, "black", 0.4)
    ),
    "cube": _thing((0.02, 0.02, 0.02), (0.06, 0.06, 0.06), "steel", "plastic", *BOX),
    "bar": _thing((0.015, 0.01, 0.06), (0.04, 0.03, 0.16), "steel", "wood", *BOX),
    "ring": _thing(
        (0.03, 0.008, 0.03), (0.09, 0.025, 0.09), "steel", "metal", _round(0.5, 0.5), _round(0.5, 0.52, "black", 0.3)
    ),
    "cap": _thing((0.02, 0.015, 0.02), (0.05, 0.03, 0.05), "plastic", "plastic", _round(0.5, 0.5)),
    "angle": _thing(
        (0.03, 0.04, 0.03), (0.08, 0.08, 0.06), "steel", "steel", _box(0.05, 0.05), _box(0.5, 0.5, z=-0.45, hz=0.05)
    ),
    "ball bearing": _thing(
        (0.015, 0.015, 0.015), (0.045, 0.045, 0.045), "steel", "steel", _ball(0, 0.5, 0, 0.5, 0.5, 0.5)
    ),
    "wooden block": _thing((0.02, 0.02, 0.04), (0.05, 0.04, 0.1), "wood", "wood", *BOX),
    "plastic part": _thing(
        (0.03, 0.02, 0.05), (0.07, 0.05, 0.12), "plastic", "bright", _box(0.3, 0.3), _round(0.7, 0.3, "accent", 0.3)
    ),
}
FLOOR_THINGS = {
    "parcel": _thing(
        (0.2, 0.1, 0.15),
        (0.6, 0.45, 0.45),
        "cardboard",
        "paper",
        _box(0.5, 0.5),
        _box(0.5, 0.502, "tape", hx=0.06, hz=0.502),
        Part("box", (0.18, 0.6, -0.5), (0.22, 0.25, 0.004), "accent", 0.6),
        Part("box", (0.1, 1.0, 0.1), (0.25, 0.004, 0.2), "accent", 0.5),
    ),
    "tall parcel": _thing(
        (0.15, 0.4, 0.15),
        (0.45, 0.9, 0.4),
        "cardboard",
        "print",
        _box(0.5, 0.5),
        _box(0.5, 0.502, "tape", hx=0.08, hz=0.502),
        Part("box", (0, 0.6, -0.5), (0.3, 0.15, 0.004), "accent", 0.7),
    ),
    "open crate": _thing((0.3, 0.2, 0.25), (0.6, 0.4, 0.4), "plastic", "plastic", *_walls(0.03)),
    "bag": _thing(
        (0.25, 0.25, 0.2),
        (0.45, 0.5, 0.35),
        "fabric",
        "fabric",
        _ball(0, 0.45, 0, 0.5, 0.5, 0.5),
        Part("ellipsoid", (0, 0.8, 0), (0.3, 0.25, 0.25), "accent", 0.5),
    ),
    "shoe": _thing(
        (0.095, 0.1, 0.26),
        (0.11, 0.13, 0.31),
        "fabric",
        "plastic",
        _box(0.1, 0.1, "accent"),
        _ball(0, 0.3, -0.15, 0.48, 0.35, 0.35),
        _ball(0, 0.5, 0.25, 0.48, 0.5, 0.25),
    ),
    "bucket": _thing(
        (0.22, 0.2, 0.22),
        (0.32, 0.35, 0.32),
        "plastic",
        "plastic",
        _round(0.5, 0.5),
        _round(0.995, 0.01, "black", 0.46),
    ),
    "waste bin": _thing(
        (0.2, 0.25, 0.2), (0.35, 0.6, 0.35), "metal", "plastic", _round(0.5, 0.5), _round(0.97, 0.03, "accent", 0.51)
    ),
    "stool": _thing(
        (0.3, 0.3, 0.3),
        (0.4, 0.5, 0.4),
        "wood",
        "fabric",
        _round(0.94, 0.06, "accent"),
        *(Part("box", (x, 0.44, z), (0.05, 0.44, 0.05), "body") for x in (-0.32, 0.32) for z in (-0.32, 0.32)),
    ),
    "book pile": _thing(
        (0.2, 0.1, 0.28),
        (0.24, 0.3, 0.3),
        "books",
        "print",
        _box(0.25, 0.25),
        _box(0.72, 0.22, "accent", hx=0.45, hz=0.46),
    ),
    "toy": _thing(
        (0.1, 0.08, 0.2),
        (0.15, 0.12, 0.3),
        "bright",
        "plastic",
        _box(0.5, 0.25),
        _box(0.8, 0.2, "accent", hx=0.4, hz=0.3),
        *(Part("ellipsoid", (x, 0.25, z), (0.08, 0.25, 0.17), "black") for x in (-0.45, 0.45) for z in (-0.3, 0.3)),
    ),
    "cable": _thing((0.012, 0.008, 0.5), (0.016, 0.01, 1.5), "plastic", "plastic", *BOX),
    "outlet strip": _thing(
        (0.05, 0.04, 0.25),
        (0.06, 0.05, 0.4),
        "china",
        "plastic",
        _box(0.5, 0.5),
        _box(0.99, 0.02, "black", hx=0.3, hz=0.4),
    ),
}
OFFICE_CHAIR = _thing(
    (0.6, 0.85, 0.6),
    (0.68, 1.1, 0.68),
    "plastic",
    "fabric",
    *(Part("box", (0, 0.08, 0), half, "body") for half in ((0.48, 0.02, 0.04), (0.04, 0.02, 0.48))),
    *(
        Part("ellipsoid", (x, 0.04, z), (0.05, 0.04, 0.05), "black")
        for x, z in ((-0.46, 0), (0.46, 0), (0, -0.46), (0, 0.46))
    ),
    _round(0.28, 0.18, "metal", 0.04),
    _box(0.48, 0.04, "accent", hx=0.38, hz=0.38),
    _ball(0, 0.5, 0, 0.4, 0.05, 0.4, "accent"),
    Part("box", (0, 0.78, 0.38), (0.36, 0.2, 0.05), "accent"),
    _box(0.55, 0.1, z=0.4, hx=0.04, hz=0.03),
)
DESK = _thing(
    (1.0, 0.7, 0.6),
    (2.0, 0.76, 0.9),
    "wood",
    "metal",
    _box(0.98, 0.02),
    *(Part("box", (x, 0.48, z), (0.02, 0.48, 0.03), "accent") for x in (-0.47, 0.47) for z in (-0.42, 0.42)),
    Part("box", (0.34, 0.45, 0), (0.14, 0.42, 0.42), "body", 0.5),
    Part("box", (0, 0.7, 0.45), (0.46, 0.25, 0.01), "body", 0.4),
)
COFFEE_TABLE = _thing(
    (0.6, 0.35, 0.45),
    (1.2, 0.48, 0.7),
    "wood",
    "metal",
    _box(0.97, 0.03),
    *(Part("box", (x, 0.47, z), (0.03, 0.47, 0.04), "body") for x in (-0.45, 0.45) for z in (-0.42, 0.42)),
)
BIN = _thing((0.2, 0.08, 0.15), (0.6, 0.25, 0.4), "plastic", "cardboard", *_walls(0.02))
KITCHEN_THINGS = {
    "kettle": _thing(
        (0.15, 0.2, 0.15),
        (0.2, 0.25, 0.2),
        "steel",
        "plastic",
        _round(0.42, 0.42),
        _ball(0, 0.84, 0, 0.45, 0.12, 0.45),
        Part("box", (0.6, 0.55, 0), (0.1, 0.35, 0.07), "accent"),
    ),
    "toaster": _thing(
        (0.26, 0.18, 0.15),
        (0.36, 0.21, 0.2),
        "steel",
        "plastic",
        _box(0.5, 0.5),
        _box(0.995, 0.01, "black", hx=0.4, hz=0.12),
    ),
    "microwave": _thing(
        (0.45, 0.26, 0.33),
        (0.52, 0.31, 0.4),
        "plastic",
        "steel",
        _box(0.5, 0.5),
        Part("box", (-0.1, 0.5, -0.5), (0.36, 0.4, 0.01), "black"),
        Part("box", (0.39, 0.5, -0.5), (0.09, 0.42, 0.01), "accent"),
    ),
    "pot": _thing(
        (0.16, 0.1, 0.16),
        (0.28, 0.18, 0.28),
        "steel",
        "plastic",
        _round(0.45, 0.45),
        _round(0.94, 0.04, radius=0.52),
        _ball(0, 1.0, 0, 0.12, 0.12, 0.12, "accent"),
    ),
    "board": _thing((0.2, 0.015, 0.3), (0.28, 0.025, 0.4), "wood", "wood", *BOX),
    "coffee machine": _thing(
        (0.18, 0.28, 0.25),
        (0.28, 0.38, 0.35),
        "plastic",
        "steel",
        _box(0.1, 0.1),
        _box(0.5, 0.5, z=0.25, hz=0.25),
        _box(0.85, 0.15),
        _round(0.4, 0.2, "accent", 0.25, z=-0.2),
    ),
    "knife block": _thing(
        (0.1, 0.2, 0.12),
        (0.13, 0.25, 0.18),
        "wood",
        "plastic",
        _box(0.4, 0.4),
        *(_box(0.9, 0.1, "accent", x=x, hx=0.06, hz=0.08) for x in (-0.3, 0, 0.3)),
    ),
}
