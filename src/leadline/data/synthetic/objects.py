"""Tables of small things, of the sizes that they have: what lies on tables and in bins."""

from leadline.data.synthetic.furniture import Part, Piece
from leadline.data.synthetic.raycast import Triple


def thing(low_m: Triple, high_m: Triple, body: str, accent: str, *parts: Part) -> Piece:
    """A kind of thing: least and greatest width, height and depth, palettes of body and accent, and its bodies."""
    return Piece(low_m, high_m, False, body, accent, parts)


def box(
    y: float, half_y: float, look: str = "body", x: float = 0, z: float = 0, hx: float = 0.5, hz: float = 0.5
) -> Part:
    """A box over the whole piece unless it says otherwise."""
    return Part("box", (x, y, z), (hx, half_y, hz), look)


def disc(y: float, half_y: float, look: str = "body", radius: float = 0.5, x: float = 0, z: float = 0) -> Part:
    """An upright cylinder."""
    return Part("cylinder", (x, y, z), (radius, half_y, radius), look)


def ball(x: float, y: float, z: float, hx: float, hy: float, hz: float, look: str = "body") -> Part:
    """An ellipsoid."""
    return Part("ellipsoid", (x, y, z), (hx, hy, hz), look)


def walls(thickness: float, look: str = "body") -> tuple[Part, ...]:
    """An open box: a bottom and four sides."""
    side = 0.5 - thickness / 2
    return (
        box(0.02, 0.02, look),
        *(Part("box", (sign * side, 0.5, 0), (thickness / 2, 0.5, 0.5), look) for sign in (-1, 1)),
        *(Part("box", (0, 0.5, sign * side), (0.5, 0.5, thickness / 2), look) for sign in (-1, 1)),
    )


BOX = (box(0.5, 0.5),)

DESK_THINGS = {
    "keyboard": thing(
        (0.3, 0.018, 0.12),
        (0.46, 0.03, 0.17),
        "plastic",
        "keyboard",
        box(0.4, 0.4),
        box(0.9, 0.1, "accent", hx=0.48, hz=0.45),
    ),
    "mouse": thing((0.055, 0.032, 0.1), (0.065, 0.04, 0.12), "plastic", "plastic", ball(0, 0.4, 0, 0.5, 0.6, 0.5)),
    "monitor": thing(
        (0.45, 0.4, 0.18),
        (0.65, 0.52, 0.24),
        "plastic",
        "display",
        box(0.01, 0.01, hx=0.25),
        box(0.2, 0.2, z=0.1, hx=0.06, hz=0.06),
        box(0.63, 0.37, hz=0.1),
        Part("box", (0, 0.63, -0.09), (0.48, 0.345, 0.02), "accent"),
    ),
    "laptop": thing(
        (0.29, 0.2, 0.24),
        (0.37, 0.25, 0.3),
        "steel",
        "display",
        box(0.04, 0.04),
        Part("box", (0, 0.082, 0.06), (0.45, 0.004, 0.25), "keys"),
        Part("box", (0, 0.53, 0.47), (0.5, 0.47, 0.015), "body"),
        Part("box", (0, 0.53, 0.452), (0.47, 0.43, 0.006), "accent"),
    ),
    "sheet": thing((0.148, 0.001, 0.21), (0.21, 0.003, 0.297), "paper", "paper", *BOX),
    "second sheet": thing((0.21, 0.001, 0.297), (0.21, 0.003, 0.297), "paper", "paper", *BOX),
    "stack": thing((0.21, 0.008, 0.297), (0.22, 0.06, 0.3), "paper", "paper", *BOX),
    "book": thing(
        (0.12, 0.01, 0.18),
        (0.22, 0.045, 0.3),
        "print",
        "paper",
        box(0.5, 0.42, "accent", hx=0.48, hz=0.48),
        box(0.04, 0.04),
        box(0.96, 0.04),
    ),
    "magazine": thing((0.2, 0.003, 0.27), (0.22, 0.008, 0.3), "print", "print", *BOX),
    "telephone": thing(
        (0.068, 0.008, 0.14),
        (0.08, 0.01, 0.165),
        "plastic",
        "display",
        box(0.45, 0.45),
        box(0.95, 0.05, "accent", hx=0.46, hz=0.47),
    ),
    "pen": thing(
        (0.008, 0.008, 0.13),
        (0.012, 0.012, 0.15),
        "plastic",
        "plastic",
        box(0.5, 0.5),
        box(0.5, 0.53, "accent", z=0.35, hx=0.53, hz=0.12),
    ),
    "remote": thing(
        (0.04, 0.015, 0.14),
        (0.05, 0.022, 0.21),
        "plastic",
        "keyboard",
        box(0.4, 0.4),
        box(0.9, 0.1, "accent", hx=0.4, hz=0.42),
    ),
    "notes": thing((0.076, 0.005, 0.076), (0.076, 0.02, 0.076), "bright", "bright", *BOX),
    "desk lamp": thing(
        (0.16, 0.4, 0.16),
        (0.2, 0.5, 0.2),
        "metal",
        "plastic",
        disc(0.02, 0.02),
        disc(0.5, 0.48, radius=0.05),
        ball(0, 0.95, -0.3, 0.45, 0.12, 0.5, "accent"),
    ),
}
VESSELS = {
    "mug": thing(
        (0.078, 0.085, 0.078),
        (0.095, 0.11, 0.095),
        "china",
        "print",
        disc(0.5, 0.5),
        disc(0.995, 0.01, "black", 0.44),
        Part("box", (0.6, 0.5, 0), (0.14, 0.3, 0.06), "body"),
    ),
    "glass": thing(
        (0.06, 0.09, 0.06), (0.08, 0.15, 0.08), "steel", "steel", disc(0.5, 0.5), disc(0.995, 0.01, "metal", 0.45)
    ),
    "bottle": thing(
        (0.06, 0.2, 0.06),
        (0.09, 0.32, 0.09),
        "plastic",
        "print",
        disc(0.35, 0.35),
        disc(0.4, 0.18, "accent", 0.51),
        ball(0, 0.7, 0, 0.5, 0.14, 0.5),
        disc(0.86, 0.1, radius=0.18),
        disc(0.97, 0.03, "white", 0.2),
    ),
    "can": thing(
        (0.066, 0.115, 0.066),
        (0.066, 0.122, 0.066),
        "print",
        "steel",
        disc(0.49, 0.49),
        disc(0.99, 0.01, "accent", 0.45),
    ),
    "tin": thing(
        (0.073, 0.08, 0.073), (0.1, 0.12, 0.1), "print", "steel", disc(0.5, 0.47), disc(0.5, 0.5, "accent", 0.48)
    ),
    "jar": thing(
        (0.07, 0.1, 0.07), (0.1, 0.16, 0.1), "fruit", "plastic", disc(0.43, 0.43), disc(0.93, 0.07, "accent", 0.48)
    ),
    "plate": thing(
        (0.18, 0.018, 0.18),
        (0.28, 0.025, 0.28),
        "china",
        "china",
        disc(0.35, 0.35, radius=0.35),
        disc(0.8, 0.2),
        disc(0.95, 0.07, "accent", 0.36),
    ),
    "bowl": thing(
        (0.12, 0.05, 0.12),
        (0.25, 0.09, 0.25),
        "china",
        "fruit",
        ball(0, 0.9, 0, 0.5, 0.9, 0.5),
        ball(0, 0.95, 0, 0.45, 0.3, 0.45, "accent"),
    ),
}
FOOD = {
    "apple": thing((0.065, 0.062, 0.065), (0.085, 0.08, 0.085), "fruit", "leaf", ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
    "lemon": thing((0.05, 0.048, 0.07), (0.06, 0.06, 0.09), "fruit", "leaf", ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
    "loaf": thing((0.11, 0.09, 0.2), (0.13, 0.12, 0.3), "cardboard", "cardboard", ball(0, 0.45, 0, 0.5, 0.55, 0.5)),
    "carton": thing(
        (0.07, 0.19, 0.07),
        (0.095, 0.24, 0.095),
        "print",
        "plastic",
        box(0.48, 0.48),
        disc(0.98, 0.02, "accent", 0.15),
    ),
    "cereal": thing((0.17, 0.25, 0.05), (0.21, 0.32, 0.08), "print", "print", *BOX),
    "packet": thing((0.09, 0.03, 0.13), (0.16, 0.06, 0.22), "print", "print", ball(0, 0.5, 0, 0.55, 0.6, 0.55)),
}
TOOLS = {
    "screwdriver": thing(
        (0.025, 0.025, 0.18),
        (0.034, 0.034, 0.26),
        "plastic",
        "steel",
        ball(0, 0.5, 0.25, 0.5, 0.5, 0.25),
        box(0.5, 0.1, "accent", z=-0.2, hx=0.1, hz=0.3),
    ),
    "spanner": thing(
        (0.03, 0.008, 0.15),
        (0.05, 0.01, 0.25),
        "steel",
        "steel",
        box(0.5, 0.4, hx=0.25, hz=0.4),
        disc(0.5, 0.5, x=0, z=0.42, radius=0.5),
    ),
    "fork": thing(
        (0.02, 0.006, 0.18),
        (0.026, 0.01, 0.21),
        "steel",
        "steel",
        box(0.5, 0.5, z=0.15, hx=0.2, hz=0.35),
        box(0.5, 0.5, z=-0.35, hz=0.15),
    ),
    "knife": thing(
        (0.02, 0.012, 0.2),
        (0.035, 0.018, 0.32),
        "plastic",
        "steel",
        box(0.5, 0.5, z=0.32, hx=0.4, hz=0.18),
        box(0.4, 0.08, "accent", z=-0.18, hz=0.32),
    ),
    "tape": thing(
        (0.06, 0.02, 0.06),
        (0.12, 0.05, 0.12),
        "cardboard",
        "plastic",
        disc(0.5, 0.5, "accent"),
        disc(0.5, 0.505, radius=0.4),
        disc(0.5, 0.51, "black", 0.36),
    ),
    "torch": thing(
        (0.03, 0.03, 0.12),
        (0.04, 0.04, 0.18),
        "metal",
        "plastic",
        box(0.5, 0.35, hx=0.35),
        box(0.5, 0.5, "accent", z=-0.4, hz=0.1),
    ),
    "block": thing((0.03, 0.03, 0.03), (0.06, 0.06, 0.06), "bright", "wood", *BOX),
    "brick": thing(
        (0.032, 0.011, 0.016),
        (0.064, 0.02, 0.032),
        "plastic",
        "plastic",
        *(box(0.45, 0.45), disc(0.92, 0.08, radius=0.16, x=-0.25), disc(0.92, 0.08, radius=0.16, x=0.25)),
    ),
    "small box": thing((0.04, 0.02, 0.05), (0.12, 0.08, 0.16), "print", "cardboard", *BOX),
    "toy ball": thing((0.04, 0.04, 0.04), (0.075, 0.075, 0.075), "bright", "bright", ball(0, 0.5, 0, 0.5, 0.5, 0.5)),
}
PARTS = {
    "bolt": thing(
        (0.012, 0.03, 0.012), (0.025, 0.09, 0.025), "steel", "steel", disc(0.9, 0.1), disc(0.4, 0.4, radius=0.28)
    ),
    "pipe": thing(
        (0.02, 0.05, 0.02), (0.06, 0.2, 0.06), "steel", "plastic", disc(0.5, 0.5), disc(0.5, 0.505, "black", 0.4)
    ),
    "cube": thing((0.02, 0.02, 0.02), (0.06, 0.06, 0.06), "steel", "plastic", *BOX),
    "bar": thing((0.015, 0.01, 0.06), (0.04, 0.03, 0.16), "steel", "wood", *BOX),
    "ring": thing(
        (0.03, 0.008, 0.03), (0.09, 0.025, 0.09), "steel", "metal", disc(0.5, 0.5), disc(0.5, 0.52, "black", 0.3)
    ),
    "cap": thing((0.02, 0.015, 0.02), (0.05, 0.03, 0.05), "plastic", "plastic", disc(0.5, 0.5)),
    "angle": thing(
        (0.03, 0.04, 0.03), (0.08, 0.08, 0.06), "steel", "steel", box(0.05, 0.05), box(0.5, 0.5, z=-0.45, hz=0.05)
    ),
    "ball bearing": thing(
        (0.015, 0.015, 0.015), (0.045, 0.045, 0.045), "steel", "steel", ball(0, 0.5, 0, 0.5, 0.5, 0.5)
    ),
    "wooden block": thing((0.02, 0.02, 0.04), (0.05, 0.04, 0.1), "wood", "wood", *BOX),
    "plastic part": thing(
        (0.03, 0.02, 0.05), (0.07, 0.05, 0.12), "plastic", "bright", box(0.3, 0.3), disc(0.7, 0.3, "accent", 0.3)
    ),
}
