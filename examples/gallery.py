"""Draw what leadline sees in a photo: its depth, its surface from another side, and the room from above.

python examples/gallery.py [OUT] [IMAGE …]

Without images, those of this folder. OUT gets a JPEG for each.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import leadline
from leadline.geometry import Floor, on_surface, vertices_of
from leadline.prediction import colorize, depth_limits, load_font, scale_bar

HERE = Path(__file__).parent
IMAGES = [HERE / name for name in ("room_1.jpg", "room_3.jpg", "motorcycle/rgb/motorcycle.jpg", "coffee.jpg")]
FOCAL_PX = {"room_1": 522.2, "room_3": 522.2, "motorcycle": 994.978}
"""What this folder's README says of them; leadline assumes that of the others, or reads it from EXIF."""
PANEL_PX = (400, 300)
"""Width and height of a panel."""
FONT_PX, TITLE_PX, BAR_PX, GAP_PX = 14, 26, 42, 10
INK, PAPER, UNSEEN, LINE = (32, 32, 32), (255, 255, 255), (238, 238, 238), (205, 205, 205)
TABLES = {"coffee"}
"""Whose largest level surface is no floor."""
YAW_DEG, PITCH_DEG = 14.0, 9.0
"""From how far aside, and from how far above, the surface is looked at."""
OVERHEAD_M = 2.0
"""What is higher above the floor is left out of the plan."""
FINENESS = 4
"""Points along each side of a surface's quad, so that none behind it shows through."""

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]


def main(out: Path, images: list[Path]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for image in images:
        prediction = leadline.predict(image, "base", focal_px=FOCAL_PX.get(image.stem))
        path = out / f"{image.stem}.jpg"
        draw(prediction, image.stem not in TABLES).save(path, quality=85)
        print(f"wrote {path}")


def draw(it: leadline.Prediction, has_floor: bool) -> Image.Image:
    """Four panels with a title each; without a floor the last is the expected error instead of the plan."""
    points_m, rgb = surface_points(it)
    panels = [
        ("photo", Image.fromarray(it.rgb), None),
        ("depth", *painted_map(it.depth_m, it.valid)),
        ("surface, from aside and above", surface_from_aside(it, points_m, rgb), None),
    ]
    if has_floor:
        panels.append(("plan, squares of 1 m", plan(it.floor, points_m, rgb), None))
    elif it.uncertainty_m is not None:
        panels.append(("expected error", *painted_map(it.uncertainty_m, it.valid)))

    width, height = PANEL_PX
    cell = TITLE_PX + height + BAR_PX
    sheet = Image.new("RGB", (2 * width + GAP_PX, 2 * cell), PAPER)
    drawing = ImageDraw.Draw(sheet)
    for number, (title, panel, bar) in enumerate(panels):
        left, top = number % 2 * (width + GAP_PX), number // 2 * cell
        panel.thumbnail(PANEL_PX)
        drawing.text((left + width // 2, top + TITLE_PX // 2), title, INK, load_font(FONT_PX), anchor="mm")
        sheet.paste(panel, (left + (width - panel.width) // 2, top + TITLE_PX))
        if bar:
            sheet.paste(bar, (left, top + TITLE_PX + panel.height))
    return sheet


def painted_map(metres: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[Image.Image, Image.Image]:
    """Metres in colour, and which colour is how many."""
    limits_m = depth_limits(metres, valid)
    return Image.fromarray(colorize(metres, valid, *limits_m)), scale_bar(*limits_m, PANEL_PX[0], FONT_PX - 3)


def surface_points(it: leadline.Prediction) -> tuple[Floats, Pixels]:
    """Points of the surface in metres, (N, 3), and their colours; none fly between a thing and what is behind it."""
    vertices_m = vertices_of(it.depth_m, it.intrinsics).reshape(*it.depth_m.shape, 3)
    values = np.concatenate([vertices_m, it.rgb], axis=2)
    surface = on_surface(it.depth_m, it.valid)
    first, second = slice(None, -1), slice(1, None)
    corners = [(first, first), (first, second), (second, first), (second, second)]
    whole = np.all([surface[corner] for corner in corners], axis=0)
    upper_left, upper_right, lower_left, lower_right = (values[corner][whole] for corner in corners)
    shares = (np.arange(FINENESS) + 0.5) / FINENESS
    lines = [(between(upper_left, lower_left, share), between(upper_right, lower_right, share)) for share in shares]
    points = np.concatenate([between(left, right, share) for left, right in lines for share in shares])
    return points[:, :3], points[:, 3:].astype(np.uint8)


def between(first: Floats, second: Floats, share: float) -> Floats:
    return first + share * (second - first)


def surface_from_aside(it: leadline.Prediction, points_m: Floats, rgb: Pixels) -> Image.Image:
    """What a camera sees that went aside and up, and still looks at the middle."""
    width, height = PANEL_PX
    middle = np.array([0.0, 0.0, it.summary.median_m])
    (sin_y, sin_p), (cos_y, cos_p) = (turn(np.deg2rad([YAW_DEG, PITCH_DEG])) for turn in (np.sin, np.cos))
    aside = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    down = np.array([[1, 0, 0], [0, cos_p, -sin_p], [0, sin_p, cos_p]])
    turned = (points_m - middle) @ (down @ aside).T + 1.1 * middle
    focal_px = it.intrinsics[0, 0] * width / it.depth_m.shape[1]
    in_front = turned[:, 2] > 0.1
    turned, rgb = turned[in_front], rgb[in_front]
    places = turned[:, :2] / turned[:, 2:] * focal_px + [width / 2, height / 2]
    return painted(places, -turned[:, 2], rgb, Image.new("RGB", PANEL_PX, UNSEEN))


def plan(floor: Floor, points_m: Floats, rgb: Pixels) -> Image.Image:
    """What is below 2 m seen from above, in the photo's colours, above squares of 1 m; the camera looks up."""
    width, height = PANEL_PX
    heights_m = floor.heights_m(points_m)
    forward = np.array([0.0, 0.0, 1.0]) - floor.up[2] * floor.up
    forward /= np.linalg.norm(forward)
    seen = heights_m < OVERHEAD_M
    ahead_m, aside_m = points_m[seen] @ forward, points_m[seen] @ np.cross(forward, floor.up)
    px_per_m = min((height - 12) / max(ahead_m.max(), 1), (width - 12) / 2 / np.abs(aside_m).max())
    camera = np.array([width / 2, height - 8.0])
    places = np.stack([camera[0] + aside_m * px_per_m, camera[1] - ahead_m * px_per_m], axis=1)
    wide = np.concatenate([places + step for step in ([0, 0], [1, 0], [0, 1], [1, 1])])
    panel = painted(wide, np.tile(heights_m[seen], 4), np.tile(rgb[seen], (4, 1)), squares(camera, px_per_m))
    x, y = camera
    ImageDraw.Draw(panel).polygon([(x, y), (x - 7, y - 12), (x + 7, y - 12)], fill=INK)
    return panel


def squares(camera: Floats, px_per_m: float) -> Image.Image:
    width, height = PANEL_PX
    paper = Image.new("RGB", PANEL_PX, UNSEEN)
    drawing = ImageDraw.Draw(paper)
    for metre in range(-50, 51):
        x, y = camera[0] + metre * px_per_m, camera[1] - metre * px_per_m
        drawing.line((x, 0, x, height), LINE)
        drawing.line((0, y, width, y), LINE)
    return paper


def painted(places: Floats, priority: Floats, rgb: Pixels, paper: Image.Image) -> Image.Image:
    """Points on paper, those of the highest priority on top."""
    width, height = PANEL_PX
    pixels = np.array(paper)
    x, y = places.round().astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    order = np.flatnonzero(inside)[np.argsort(priority[inside], kind="stable")]
    pixels[y[order], x[order]] = rgb[order]
    return Image.fromarray(pixels)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(given[0] if given else Path("demo_out"), given[1:] or IMAGES)
