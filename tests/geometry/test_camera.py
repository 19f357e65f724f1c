"""Cameras by hand-worked numbers."""

from math import nan

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera, CameraSource, choose_camera, focal_px_from_fov, fov_deg_from_focal

VGA = Camera(fx=500.0, fy=400.0, cx=300.0, cy=200.0, width=640, height=480)


def test_a_focal_length_makes_a_camera_that_looks_through_the_middle() -> None:
    camera = Camera.from_focal_px(500.0, 640, 480)
    assert camera.matrix.tolist() == [[500, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]
    assert camera.source == "given"


def test_a_right_angle_has_half_the_width_as_focal_length() -> None:
    camera = Camera.from_fov_deg(90.0, 640, 480)
    assert camera.focal_px == pytest.approx(320.0)
    assert camera.fov_deg == pytest.approx(90.0)


def test_a_matrix_goes_in_and_comes_out() -> None:
    matrix = [[500.0, 2.0, 300.0], [0.0, 400.0, 200.0], [0.0, 0.0, 1.0]]
    camera = Camera.from_matrix(matrix, 640, 480, CameraSource.DATA_SET)
    np.testing.assert_array_equal(camera.matrix, np.float32(matrix))
    assert camera.source == "data set"


def test_a_resize_keeps_the_outer_edges() -> None:
    half = VGA.resized(320, 240)
    assert (half.fx, half.fy) == (250.0, 200.0)
    assert (half.cx, half.cy) == (149.75, 99.75)  # (300 + .5) / 2 - .5
    assert half.resized(640, 480) == VGA


def test_a_crop_moves_the_centre() -> None:
    part = VGA.cropped(left=100, top=-20, width=300, height=200)
    assert (part.cx, part.cy, part.width, part.height, part.fx) == (200.0, 220.0, 300, 200, 500.0)


def test_a_mirror_turns_the_centre_over() -> None:
    assert VGA.mirrored().cx == 339.0
    assert VGA.mirrored().mirrored() == VGA


def test_square_pixels_keep_the_width() -> None:
    square = VGA.squared()
    assert (square.width, square.height, square.fx, square.fy) == (640, 600, 500.0, 500.0)
    assert square.cy == pytest.approx(200.5 * 1.25 - 0.5)


def test_the_best_known_camera_is_chosen() -> None:
    exif = Camera.from_focal_px(3.0, 4, 5, CameraSource.EXIF)
    assert choose_camera(None, VGA, exif) is VGA
    assert choose_camera(exif=exif, assumed=VGA) is exif
    assert choose_camera() is None


@pytest.mark.parametrize("change", [{"fx": 0.0}, {"fy": float("nan")}, {"cx": float("inf")}, {"width": 0}])
def test_what_is_no_camera_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(LeadlineError):
        Camera(**{**VGA.__dict__, **change})


def test_a_right_angle_sees_twice_the_focal_length():
    assert focal_px_from_fov(90.0, 640) == pytest.approx(320.0)
    assert fov_deg_from_focal(320.0, 640) == pytest.approx(90.0)


@pytest.mark.parametrize("fov_deg", [1.0, 63.4, 179.0])
def test_field_of_view_there_and_back(fov_deg):
    assert fov_deg_from_focal(focal_px_from_fov(fov_deg, 640), 640) == pytest.approx(fov_deg)


@pytest.mark.parametrize("fov_deg", [0.0, 180.0, -10.0, nan])
def test_a_field_of_view_that_is_none_is_refused(fov_deg):
    with pytest.raises(LeadlineError, match=r"between 0 and 180 degrees, got"):
        focal_px_from_fov(fov_deg, 640)
