from math import nan

import pytest

from leadline.geometry.view import WorkingView


def test_an_unknown_focal_length_is_the_training_images() -> None:
    view = WorkingView(48, 64, 1, 50.0, 0.25)
    assert view.view_size(nan, 480, 640) == (48, 64, 1.0)
    assert view.assumed_focal_px(480, 640) == pytest.approx(500.0)


def test_a_part_of_the_ratio_goes_into_the_size_and_the_rest_into_the_metres() -> None:
    # Four times the focal length: its root halves the sides, and doubles the metres.
    assert WorkingView(64, 96, 1, 50.0, 0.5).view_size(200.0, 64, 96) == (32, 48, 2.0)
    assert WorkingView(64, 96, 1, 50.0, 0.0).view_size(200.0, 64, 96) == (64, 96, 4.0)


def test_without_a_training_focal_length_nothing_follows_it() -> None:
    view = WorkingView(48, 64, 1, None, 0.0)
    assert view.view_size(100.0, 480, 640) == (48, 64, 1.0)
    assert view.assumed_focal_px(480, 640) is None
