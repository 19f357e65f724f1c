import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.prediction.color_map import MAGMA_REVERSED, PALE_TO_BLUE
from leadline.prediction.colors import draw_depth
from leadline.prediction.measurement import depth_at, distance_between
from leadline.prediction.result import Prediction
from leadline.serving.view import SHOWN_PX, click, describe, draw_expected_error, draw_points, show


def sloped(height: int = 60, width: int = 80, uncertain: bool = True) -> Prediction:
    """Depth that grows from 1 m at the left to 3 m at the right."""
    depth_m = np.tile(np.linspace(1, 3, width, dtype=np.float32), (height, 1))
    camera = Camera(fx=100, fy=100, cx=width / 2, cy=height / 2, width=width, height=height)
    rgb = np.zeros((height, width, 3), np.uint8)
    error_m = depth_m / 10 if uncertain else None
    return Prediction(rgb, depth_m, np.ones_like(depth_m, dtype=bool), camera, error_m)


def test_a_prediction_is_drawn_pixel_for_pixel_above_its_scale():
    prediction = sloped()
    shown = show("slope", prediction)
    assert shown.size == (60, 80)
    assert shown.drawing.height > 60
    assert np.array_equal(shown.drawing, draw_depth(prediction.depth_m, prediction.valid, 1.0, 3.0))


def test_a_large_prediction_is_drawn_smaller():
    shown = show("large", sloped(300, 2 * SHOWN_PX + 1))
    assert shown.size == (100, 683)  # every third pixel
    assert max(shown.drawing.size) <= SHOWN_PX


def test_a_click_tells_the_depth_and_the_next_how_far_it_is_from_there():
    prediction = sloped()
    shown, found = click(show("slope", prediction), (20, 30))
    assert found == depth_at(prediction, (20, 30))
    shown, found = click(shown, (60, 30))
    assert shown.points == ((20, 30), (60, 30))
    assert found == distance_between(prediction, (20, 30), (60, 30))
    shown, found = click(shown, (5, 5))
    assert shown.points == ((5, 5),)
    assert found == depth_at(prediction, (5, 5))


def test_a_click_in_a_smaller_drawing_measures_the_whole_prediction():
    prediction = sloped(300, 2 * SHOWN_PX + 1)
    _, found = click(show("large", prediction), (682, 50))
    assert found.metres == pytest.approx(3.0, abs=0.01)
    _, found = click(show("large", prediction), (341, 50))
    assert found.metres == pytest.approx(2.0, abs=0.01)


def test_a_click_on_the_scale_is_no_point():
    shown = show("slope", sloped())
    with pytest.raises(LeadlineError, match="click in the image above it"):
        click(shown, (20, 62))


def test_points_are_marked_on_a_copy():
    shown, found = click(show("slope", sloped(200, 300)), (150, 60))
    before = np.asarray(shown.drawing).copy()
    marked = np.asarray(draw_points(shown, str(found)))
    changed = np.argwhere((marked != before).any(axis=-1))
    assert np.array_equal(shown.drawing, before)
    assert np.array_equal(marked[60, 150], (20, 20, 20))
    assert changed[:, 0].min() >= 50 and changed[:, 0].max() < 110


def test_words_at_a_corner_stay_inside():
    shown, found = click(show("slope", sloped(200, 300)), (299, 199))
    before, marked = np.asarray(shown.drawing), np.asarray(draw_points(shown, str(found)))
    changed = (marked != before).any(axis=-1)
    words = changed[:190]  # the mark itself is below
    assert words.any(axis=1).sum() > 15
    assert not words[:, -2:].any()  # no letter is cut by the edge


def test_words_name_the_depths_and_the_focal_length():
    assert describe(sloped()) == "near 1.03 m, median 2.00 m, far 2.97 m; focal 100 px (given)"


def test_the_expected_error_has_its_own_scale_where_there_is_one():
    drawn, prediction = draw_expected_error(sloped()), sloped()
    assert np.array_equal(drawn, draw_depth(prediction.depth_m / 10, prediction.valid, 0.1, 0.3, PALE_TO_BLUE))
    of_depth = {tuple(color) for color in np.frombuffer(MAGMA_REVERSED, np.uint8).reshape(-1, 3)}
    own = {tuple(color) for color in np.frombuffer(PALE_TO_BLUE, np.uint8).reshape(-1, 3)}
    assert len(own) == 256 and not own & of_depth
    assert draw_expected_error(sloped(uncertain=False)) is None
