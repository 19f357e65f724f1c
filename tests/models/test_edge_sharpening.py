"""Sharp edges, on scenes small enough to know the answer."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from leadline.models.edge_sharpening import sharpen_edges
from leadline.models.settings import ModelSettings

HEIGHT, WIDTH = 30, 40
NEAR_M, FAR_M = 1.0, 3.0
RADIUS_PX = 48.0  # three pixels here: the sides are a sixteenth of 640 and 480


def step(column: float, blur_px: float = 0.0) -> Tensor:
    """Inverse depth of something near, left of a column, before something far; linear between, `blur_px` either way."""
    centres = torch.arange(WIDTH) + 0.5
    share = (centres >= column).float() if blur_px == 0 else ((centres - column) / (2 * blur_px) + 0.5).clamp(0, 1)
    return (1 / NEAR_M + share * (1 / FAR_M - 1 / NEAR_M)).expand(1, 1, HEIGHT, WIDTH)


def dark_left_of(column: int, dark: float = 0.2, light: float = 0.8) -> Tensor:
    shade = torch.where(torch.arange(WIDTH) < column, dark, light)
    return shade.expand(1, 3, HEIGHT, WIDTH)


GREY = torch.full((1, 3, HEIGHT, WIDTH), 0.5)


@pytest.mark.parametrize("column", [19, 20, 21])
def test_the_edge_goes_where_the_picture_has_it(column: int) -> None:
    soft_m = 1 / step(20, blur_px=1.5)
    sharp_m = sharpen_edges(soft_m, dark_left_of(column), RADIUS_PX)
    torch.testing.assert_close(sharp_m, 1 / step(column))


def test_without_an_edge_in_the_picture_it_is_where_depth_had_its_middle() -> None:
    sharp_m = sharpen_edges(1 / step(20, blur_px=1.5), GREY, RADIUS_PX)
    torch.testing.assert_close(sharp_m, 1 / step(20))


def test_a_pattern_on_one_surface_leaves_it_as_it_is() -> None:
    stripes = (torch.arange(WIDTH) // 4 % 2).float().expand(1, 3, HEIGHT, WIDTH)
    wall_m = torch.full((1, 1, HEIGHT, WIDTH), 2.0)
    torch.testing.assert_close(sharpen_edges(wall_m, stripes, RADIUS_PX), wall_m)


def test_a_slanted_plane_stays_however_steep_it_is() -> None:
    # 0.5 m to 5 m over 40 pixels: more than EDGE_RATIO within every window.
    plane = torch.linspace(2, 0.2, WIDTH).expand(1, 1, HEIGHT, WIDTH)
    margin = 6  # the picture ends, and with it the plane
    changed = (sharpen_edges(1 / plane, dark_left_of(20), RADIUS_PX) * plane)[..., margin:-margin]
    torch.testing.assert_close(changed, torch.ones_like(changed), rtol=1e-3, atol=0)


def test_a_radius_grows_with_the_picture() -> None:
    def large(values: Tensor) -> Tensor:
        return F.interpolate(values, (480, 640), mode="nearest")

    soft_m = 1 / F.interpolate(step(20, blur_px=0.1), (480, 640), mode="bilinear")
    picture = large(dark_left_of(20))
    sharp_m = sharpen_edges(soft_m, picture, radius_px=16)
    torch.testing.assert_close(sharp_m, large(1 / step(20)))
    # The same picture four times as large, with the same radius.
    twice = F.interpolate(soft_m, (960, 1280), mode="bilinear")
    sharp_m = sharpen_edges(twice, picture.repeat_interleave(2, 2).repeat_interleave(2, 3), radius_px=16)
    expected_m = large(1 / step(20)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(sharp_m, expected_m, rtol=1e-3, atol=0)


def test_nothing_leaves_the_range_around_it_and_a_batch_is_answered_as_its_pictures_are() -> None:
    generator = torch.Generator().manual_seed(0)
    depth_m = F.interpolate(torch.rand(3, 1, 5, 6, generator=generator) * 4 + 0.5, (37, 51), mode="bilinear")
    image = torch.rand(3, 3, 37, 51, generator=generator)
    radius_px = 2 * (640 * 480 / (37 * 51)) ** 0.5
    together_m = sharpen_edges(depth_m, image, radius_px)
    assert (together_m != depth_m).float().mean() > 0.1
    assert (together_m <= F.max_pool2d(depth_m, 5, 1, 2) * 1.0001).all()
    assert (together_m >= -F.max_pool2d(-depth_m, 5, 1, 2) * 0.9999).all()
    for alone_m, depth, picture in zip(together_m, depth_m, image, strict=True):
        torch.testing.assert_close(sharpen_edges(depth[None], picture[None], radius_px)[0], alone_m)


@pytest.mark.parametrize("radius_px", [-1.0, 1000.0, float("inf"), float("nan")])
def test_a_radius_that_is_none_is_refused(radius_px: float) -> None:
    with pytest.raises(ValidationError, match="edge_radius_px"):
        ModelSettings(edge_radius_px=radius_px)


def test_a_picture_of_one_pixel_passes() -> None:
    one = torch.full((1, 1, 1, 1), 2.0)
    torch.testing.assert_close(sharpen_edges(one, torch.zeros(1, 3, 1, 1), radius_px=3), one)
