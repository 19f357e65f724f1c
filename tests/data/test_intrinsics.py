from math import nan

import pytest
import torch

from leadline.data.intrinsics import crop_intrinsics, mirror_intrinsics, pinhole, resize_intrinsics
from leadline.errors import LeadlineError
from leadline.models.resizing import resize

KINECT = torch.tensor([[518.0, 2.0, 325.5], [0.0, 519.0, 253.5], [0.0, 0.0, 1.0]])
UNKNOWN = torch.full((3, 3), nan)


def project(points_m: torch.Tensor, intrinsics: torch.Tensor) -> torch.Tensor:
    """Pixel coordinates (x, y) of points (..., 3)."""
    pixels = points_m @ intrinsics.T
    return pixels[..., :2] / pixels[..., 2:]


POINTS_M = torch.tensor([[0.3, -0.2, 2.0], [-0.7, 0.5, 3.5], [0.0, 0.0, 1.0]])


def test_pinhole_looks_through_the_middle():
    assert pinhole(500.0, height=480, width=641).tolist() == [[500, 0, 320], [0, 500, 239.5], [0, 0, 1]]


@pytest.mark.parametrize("focal_px", [0.0, -5.0, nan])
def test_pinhole_refuses_a_focal_length_that_is_none(focal_px):
    with pytest.raises(LeadlineError, match=r"positive number of pixels, got .*: check the unit"):
        pinhole(focal_px, 4, 4)


def test_halving_moves_the_centre_by_the_half_pixel_rule():
    half = resize_intrinsics(KINECT, (480, 640), (240, 320))
    # cx: (325.5 + 0.5) / 2 - 0.5 = 162.5; cy: (253.5 + 0.5) / 2 - 0.5 = 126.5
    torch.testing.assert_close(half, torch.tensor([[259.0, 1.0, 162.5], [0.0, 259.5, 126.5], [0.0, 0.0, 1.0]]))


def test_the_middle_stays_the_middle():
    resized = resize_intrinsics(pinhole(500.0, 480, 640), (480, 640), (100, 77))
    assert resized[:2, 2].tolist() == pytest.approx([38.0, 49.5])


def test_resized_intrinsics_point_where_the_resized_picture_has_the_point():
    # A smooth ramp holds each pixel's own x and y, so the resized ramp tells where every pixel came from.
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    new = (24, 16)
    ramp = resize(torch.stack((x, y))[None], *new)[0]
    matrix = pinhole(50.0, 48, 64)
    old_xy = project(POINTS_M, matrix)
    new_xy = project(POINTS_M, resize_intrinsics(matrix, (48, 64), new))
    for (old_x, old_y), (new_x, new_y) in zip(old_xy.tolist(), new_xy.tolist(), strict=True):
        column, row = round(new_x), round(new_y)
        assert ramp[0, row, column] + (new_x - column) * 4 == pytest.approx(old_x, abs=1e-3)
        assert ramp[1, row, column] + (new_y - row) * 2 == pytest.approx(old_y, abs=1e-3)


def test_a_crop_moves_points_by_its_corner():
    moved = project(POINTS_M, crop_intrinsics(KINECT, top=45, left=41)) - project(POINTS_M, KINECT)
    torch.testing.assert_close(moved, torch.tensor([[-41.0, -45.0]]).expand(3, 2), rtol=0, atol=1e-4)


def test_padding_is_a_crop_from_a_negative_corner():
    torch.testing.assert_close(crop_intrinsics(crop_intrinsics(KINECT, -3, -5), 3, 5), KINECT)


def test_a_mirrored_scene_falls_on_mirrored_pixels():
    mirrored = mirror_intrinsics(KINECT, width=640)
    assert mirrored[0].tolist() == [518.0, -2.0, 639 - 325.5]
    there, here = project(POINTS_M * torch.tensor([-1.0, 1.0, 1.0]), mirrored), project(POINTS_M, KINECT)
    torch.testing.assert_close(there, torch.stack((639 - here[:, 0], here[:, 1]), dim=1))
    torch.testing.assert_close(mirror_intrinsics(mirrored, 640), KINECT)


@pytest.mark.parametrize(
    "change",
    [
        lambda matrix: resize_intrinsics(matrix, (480, 640), (50, 70)),
        lambda matrix: crop_intrinsics(matrix, 3, 4),
        lambda matrix: mirror_intrinsics(matrix, 640),
    ],
)
def test_batches_are_changed_each_alone_and_unknown_stays_unknown(change):
    both = change(torch.stack((KINECT, UNKNOWN)))
    torch.testing.assert_close(both[0], change(KINECT))
    assert both[1].isnan().all()
    assert both.shape == (2, 3, 3)
