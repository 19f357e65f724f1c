"""A prediction as the page shows it: colours, words, and what a click measures."""

from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from leadline.errors import LeadlineError
from leadline.prediction import (
    MAGMA_REVERSED,
    PALE_TO_BLUE,
    Measurement,
    Point,
    Prediction,
    at_size,
    depth_at,
    depth_limits,
    distance_between,
    draw_depth,
    load_font,
    require_inside,
)

SHOWN_PX = 1024
"""Longest side of what is drawn, about."""
_INK = (20, 20, 20)


class ViewState(NamedTuple):
    """What a visitor sees."""

    name: str
    prediction: Prediction
    drawing: Image.Image  # the depth in colours, a scale bar below it
    size: tuple[int, int]  # height and width of the depth in the drawing
    points: tuple[Point, ...] = ()  # where was clicked: none, one or two, in pixels of the drawing


def show(name: str, prediction: Prediction) -> ViewState:
    """Draw a prediction, large ones smaller.

    Args:
        name: what it is called.
        prediction: what is shown.
    """
    return ViewState(name, prediction, *_drawn(prediction.depth_m, prediction.valid))


def draw_expected_error(prediction: Prediction) -> Image.Image | None:
    """The expected error in colours and on a scale of its own; None where the model does not say."""
    if prediction.uncertainty_m is None:
        return None
    return _drawn(prediction.uncertainty_m, prediction.valid, PALE_TO_BLUE)[0]


def describe(prediction: Prediction) -> str:
    """Near, median and far, and the focal length that they hang on, in words."""
    near_m, median_m, far_m = prediction.summary
    return f"near {near_m:.2f} m, median {median_m:.2f} m, far {far_m:.2f} m; {prediction.focal}"


def click(shown: ViewState, place: Point) -> tuple[ViewState, Measurement]:
    """Measure at a point: its depth, or after one point the distance from there; a third starts anew.

    Args:
        shown: what the visitor sees.
        place: column and row in the drawing.

    Returns:
        The same with the point, and what was measured.

    Raises:
        LeadlineError: if there is no depth at that point, or a distance needs the camera and it is unknown.
    """
    if place[1] >= shown.size[0]:
        raise LeadlineError("the scale has no depth: click in the image above it")
    require_inside(place, shown.size)
    points = (*shown.points, place) if len(shown.points) == 1 else (place,)
    places = [at_size(point, shown.size, shown.prediction.valid.shape) for point in points]
    found = depth_at(shown.prediction, *places) if len(places) == 1 else distance_between(shown.prediction, *places)
    return shown._replace(points=points), found


def draw_points(shown: ViewState, words: str) -> Image.Image:
    """The drawing with the points that were clicked, a line between two, and words below.

    Args:
        shown: what the visitor sees; at least one point.
        words: what was measured.
    """
    drawing = shown.drawing.copy()
    font_px = max(14, shown.size[1] // 40)
    draw, font, arm_px = ImageDraw.Draw(drawing), load_font(font_px), font_px // 2
    for width, color in ((5, "white"), (2, _INK)):  # seen on dark and on bright
        if len(shown.points) == 2:
            draw.line(shown.points, color, width)
        for x, y in shown.points:
            draw.line((x - arm_px, y, x + arm_px, y), color, width)
            draw.line((x, y - arm_px, x, y + arm_px), color, width)
    x, y = max(shown.points, key=lambda point: point[1])  # the line between two is above the words then
    left = min(x, drawing.width - draw.textlength(words, font) - font_px)
    top = max(0, min(y + arm_px, shown.size[0] - 2 * font_px))
    draw.text((left, top), words, "white", font, stroke_width=3, stroke_fill=_INK)
    return drawing


def _drawn(
    values_m: NDArray[np.float32], valid: NDArray[np.bool_], color_map: bytes = MAGMA_REVERSED
) -> tuple[Image.Image, tuple[int, int]]:
    """A map in the colours of its own scale, large ones smaller, and the height and width of the map in that."""
    step = ceil(int(max(valid.shape)) / SHOWN_PX)
    values_m, valid = values_m[::step, ::step], valid[::step, ::step]
    drawing = draw_depth(values_m, valid, *depth_limits(values_m, valid), color_map)
    return drawing, (valid.shape[0], valid.shape[1])
