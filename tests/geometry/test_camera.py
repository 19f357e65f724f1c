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


def test_square_pixels_keep_the_finer_side() -> None:
    square = VGA.squared()  # 500 and 400 px
    assert (square.width, square.height, square.fx, square.fy) == (640, 600, 500.0, 500.0)
    assert square.cy == pytest.approx(200.5 * 1.25 - 0.5)
    narrow = VGA.resized(320, 600).squared()  # 250 and 500 px: all columns again, and no row fewer
    assert (narrow.width, narrow.height, narrow.fx, narrow.fy) == (640, 600, 500.0, 500.0)
    assert narrow.cx == pytest.approx(VGA.cx)


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


@pytest.mark.parametrize(
    ("camera", "said"),
    [
        (Camera.from_focal_px(4.25, 640, 480), r"4\.25 px .*640×480.* 64 to 64000 px.*metres, which are 486 px"),
        (Camera.from_focal_px(18, 640, 480), r"18 px .* millimetres, which are 320 px on a sensor 36 mm wide"),
        (Camera.from_focal_px(1e6, 640, 480), r"1e\+06 px .*: check the unit"),
        (Camera(fx=0.82, fy=1.09, cx=0.5, cy=0.5, width=640, height=480), r"share of .* 525 and 523 px"),
        (Camera(fx=500, fy=500, cx=0.5, cy=0.5, width=640, height=480), r"share of the sides, .* \(319.5, 239.5\) px"),
        (Camera(fx=500, fy=40, cx=320, cy=240, width=640, height=480), r"one is 12\.5 times the other"),
        (Camera(fx=500, fy=500, cx=320, cy=240, width=320, height=240), r"\(320, 240\) .* 320×240 .* about 641×481"),
        (Camera(fx=500, fy=500, cx=319.5, cy=239.5, width=1280, height=960), r"very corner of .* about 640×480"),
        (Camera(fx=500, fy=500, cx=325, cy=253, width=1280, height=960), r"very corner of .* about 651×507"),
        (Camera(fx=500, fy=500, cx=478, cy=359, width=640, height=480), r"very corner of .* about 957×719"),
        (Camera(fx=500, fy=500, cx=239.5, cy=319.5, width=640, height=480), r"middle of an image of 480×640 pixels"),
        (Camera(fx=500, fy=500, cx=325.6, cy=253.7, width=480, height=640), r"middle of an image of 640×480 pixels"),
        (Camera(fx=500, fy=500, cx=320, cy=100, width=640, height=480), r"\(320, 100\) is not within the middle half"),
        (Camera(fx=500, fy=500, cx=320, cy=240, width=640, height=480, skew=-200), r"skew of -200 px .* at most 5% of"),
    ],
)  # fmt: skip
def test_what_cannot_have_taken_the_image_is_told_by_its_unit(camera: Camera, said: str) -> None:
    with pytest.raises(LeadlineError, match=said):
        camera.plausible()


@pytest.mark.parametrize("focal_px", [64.0, 500.0, 64000.0])
@pytest.mark.parametrize("cx", [159.5, 478.0])
def test_what_can_have_taken_the_image_passes(focal_px: float, cx: float) -> None:
    camera = Camera(fx=focal_px, fy=focal_px, cx=cx, cy=200.0, width=640, height=480)
    assert camera.plausible() is camera


def test_a_field_of_view_in_radians_is_told() -> None:
    with pytest.raises(LeadlineError, match=r"1\.1° looks like radians, which is 63\.0° or .* of 522 px at 640 pixels"):
        Camera.from_fov_deg(1.1, 640, 480)
    assert Camera.from_fov_deg(3.2, 640, 480).fov_deg == pytest.approx(3.2)
