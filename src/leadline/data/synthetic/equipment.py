"""Tables of larger things: what stands on floors and in kitchens, and what else stands on."""

from leadline.data.synthetic.furniture import Part
from leadline.data.synthetic.objects import BOX, ball, box, disc, thing, walls

FLOOR_THINGS = {
    "parcel": thing(
        (0.2, 0.1, 0.15),
        (0.6, 0.45, 0.45),
        "cardboard",
        "paper",
        box(0.5, 0.5),
        box(0.5, 0.502, "tape", hx=0.06, hz=0.502),
        Part("box", (0.18, 0.6, -0.5), (0.22, 0.25, 0.004), "accent", 0.6),
        Part("box", (0.1, 1.0, 0.1), (0.25, 0.004, 0.2), "accent", 0.5),
    ),
    "tall parcel": thing(
        (0.15, 0.4, 0.15),
        (0.45, 0.9, 0.4),
        "cardboard",
        "print",
        box(0.5, 0.5),
        box(0.5, 0.502, "tape", hx=0.08, hz=0.502),
        Part("box", (0, 0.6, -0.5), (0.3, 0.15, 0.004), "accent", 0.7),
    ),
    "open crate": thing((0.3, 0.2, 0.25), (0.6, 0.4, 0.4), "plastic", "plastic", *walls(0.03)),
    "bag": thing(
        (0.25, 0.25, 0.2),
        (0.45, 0.5, 0.35),
        "fabric",
        "fabric",
        ball(0, 0.45, 0, 0.5, 0.5, 0.5),
        Part("ellipsoid", (0, 0.8, 0), (0.3, 0.25, 0.25), "accent", 0.5),
    ),
    "shoe": thing(
        (0.095, 0.1, 0.26),
        (0.11, 0.13, 0.31),
        "fabric",
        "plastic",
        box(0.1, 0.1, "accent"),
        ball(0, 0.3, -0.15, 0.48, 0.35, 0.35),
        ball(0, 0.5, 0.25, 0.48, 0.5, 0.25),
    ),
    "bucket": thing(
        (0.22, 0.2, 0.22),
        (0.32, 0.35, 0.32),
        "plastic",
        "plastic",
        disc(0.5, 0.5),
        disc(0.995, 0.01, "black", 0.46),
    ),
    "waste bin": thing(
        (0.2, 0.25, 0.2), (0.35, 0.6, 0.35), "metal", "plastic", disc(0.5, 0.5), disc(0.97, 0.03, "accent", 0.51)
    ),
    "stool": thing(
        (0.3, 0.3, 0.3),
        (0.4, 0.5, 0.4),
        "wood",
        "fabric",
        disc(0.94, 0.06, "accent"),
        *(Part("box", (x, 0.44, z), (0.05, 0.44, 0.05), "body") for x in (-0.32, 0.32) for z in (-0.32, 0.32)),
    ),
    "book pile": thing(
        (0.2, 0.1, 0.28),
        (0.24, 0.3, 0.3),
        "books",
        "print",
        box(0.25, 0.25),
        box(0.72, 0.22, "accent", hx=0.45, hz=0.46),
    ),
    "toy": thing(
        (0.1, 0.08, 0.2),
        (0.15, 0.12, 0.3),
        "bright",
        "plastic",
        box(0.5, 0.25),
        box(0.8, 0.2, "accent", hx=0.4, hz=0.3),
        *(Part("ellipsoid", (x, 0.25, z), (0.08, 0.25, 0.17), "black") for x in (-0.45, 0.45) for z in (-0.3, 0.3)),
    ),
    "cable": thing((0.012, 0.008, 0.5), (0.016, 0.01, 1.5), "plastic", "plastic", *BOX),
    "outlet strip": thing(
        (0.05, 0.04, 0.25),
        (0.06, 0.05, 0.4),
        "china",
        "plastic",
        box(0.5, 0.5),
        box(0.99, 0.02, "black", hx=0.3, hz=0.4),
    ),
}
OFFICE_CHAIR = thing(
    (0.6, 0.85, 0.6),
    (0.68, 1.1, 0.68),
    "plastic",
    "fabric",
    *(Part("box", (0, 0.08, 0), half, "body") for half in ((0.48, 0.02, 0.04), (0.04, 0.02, 0.48))),
    *(
        Part("ellipsoid", (x, 0.04, z), (0.05, 0.04, 0.05), "black")
        for x, z in ((-0.46, 0), (0.46, 0), (0, -0.46), (0, 0.46))
    ),
    disc(0.28, 0.18, "metal", 0.04),
    box(0.48, 0.04, "accent", hx=0.38, hz=0.38),
    ball(0, 0.5, 0, 0.4, 0.05, 0.4, "accent"),
    Part("box", (0, 0.78, 0.38), (0.36, 0.2, 0.05), "accent"),
    box(0.55, 0.1, z=0.4, hx=0.04, hz=0.03),
)
DESK = thing(
    (1.0, 0.7, 0.6),
    (2.0, 0.76, 0.9),
    "wood",
    "metal",
    box(0.98, 0.02),
    *(Part("box", (x, 0.48, z), (0.02, 0.48, 0.03), "accent") for x in (-0.47, 0.47) for z in (-0.42, 0.42)),
    Part("box", (0.34, 0.45, 0), (0.14, 0.42, 0.42), "body", 0.5),
    Part("box", (0, 0.7, 0.45), (0.46, 0.25, 0.01), "body", 0.4),
)
COFFEE_TABLE = thing(
    (0.6, 0.35, 0.45),
    (1.2, 0.48, 0.7),
    "wood",
    "metal",
    box(0.97, 0.03),
    *(Part("box", (x, 0.47, z), (0.03, 0.47, 0.04), "body") for x in (-0.45, 0.45) for z in (-0.42, 0.42)),
)
BIN = thing((0.2, 0.08, 0.15), (0.6, 0.25, 0.4), "plastic", "cardboard", *walls(0.02))
KITCHEN_THINGS = {
    "kettle": thing(
        (0.15, 0.2, 0.15),
        (0.2, 0.25, 0.2),
        "steel",
        "plastic",
        disc(0.42, 0.42),
        ball(0, 0.84, 0, 0.45, 0.12, 0.45),
        Part("box", (0.6, 0.55, 0), (0.1, 0.35, 0.07), "accent"),
    ),
    "toaster": thing(
        (0.26, 0.18, 0.15),
        (0.36, 0.21, 0.2),
        "steel",
        "plastic",
        box(0.5, 0.5),
        box(0.995, 0.01, "black", hx=0.4, hz=0.12),
    ),
    "microwave": thing(
        (0.45, 0.26, 0.33),
        (0.52, 0.31, 0.4),
        "plastic",
        "steel",
        box(0.5, 0.5),
        Part("box", (-0.1, 0.5, -0.5), (0.36, 0.4, 0.01), "black"),
        Part("box", (0.39, 0.5, -0.5), (0.09, 0.42, 0.01), "accent"),
    ),
    "pot": thing(
        (0.16, 0.1, 0.16),
        (0.28, 0.18, 0.28),
        "steel",
        "plastic",
        disc(0.45, 0.45),
        disc(0.94, 0.04, radius=0.52),
        ball(0, 1.0, 0, 0.12, 0.12, 0.12, "accent"),
    ),
    "board": thing((0.2, 0.015, 0.3), (0.28, 0.025, 0.4), "wood", "wood", *BOX),
    "coffee machine": thing(
        (0.18, 0.28, 0.25),
        (0.28, 0.38, 0.35),
        "plastic",
        "steel",
        box(0.1, 0.1),
        box(0.5, 0.5, z=0.25, hz=0.25),
        box(0.85, 0.15),
        disc(0.4, 0.2, "accent", 0.25, z=-0.2),
    ),
    "knife block": thing(
        (0.1, 0.2, 0.12),
        (0.13, 0.25, 0.18),
        "wood",
        "plastic",
        box(0.4, 0.4),
        *(box(0.9, 0.1, "accent", x=x, hx=0.06, hz=0.08) for x in (-0.3, 0, 0.3)),
    ),
}
