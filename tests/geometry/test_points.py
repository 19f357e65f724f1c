import numpy as np
import pytest
from numpy.typing import NDArray

from leadline.data.intrinsics import pinhole
from leadline.errors import LeadlineError
from leadline.geometry.points import on_surface, point_cloud, vertices_of

HEIGHT, WIDTH, FOCAL_PX = 48, 64, 52.0
CAMERA: NDArray[np.float32] = pinhole(FOCAL_PX, HEIGHT, WIDTH).numpy()
NORMAL, DISTANCE_M = np.array([0.3, -0.4, np.sqrt(0.75)]), 2.0  # a slanted wall: NORMAL · X = DISTANCE_M


def wall() -> NDArray[np.float32]:
    """Exact depth of the wall: along the ray (x, y, 1) it is DISTANCE_M / (NORMAL · ray)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(x - (WIDTH - 1) / 2) / FOCAL_PX, (y - (HEIGHT - 1) / 2) / FOCAL_PX, np.ones(x.shape)], axis=-1)
    return (DISTANCE_M / (rays @ NORMAL)).astype(np.float32)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def everywhere() -> NDArray[np.bool_]:
    return np.ones((HEIGHT, WIDTH), dtype=bool)


def test_what_flies_between_two_things_is_left_out() -> None:
    depth_m = np.full((HEIGHT, WIDTH), 1.0, np.float32)
    depth_m[:, 32:] = 3.0
    depth_m[:, 31] = 2.0  # slides from near to far
    surface = on_surface(depth_m, everywhere())
    assert np.flatnonzero(~surface[0]).tolist() == [30, 31, 32]
    assert surface.all(axis=0).sum() == WIDTH - 3
    assert on_surface(wall(), everywhere()).all()


def test_a_hole_takes_only_itself() -> None:
    valid = everywhere()
    valid[10, 20] = False
    depth_m = np.where(valid, wall(), 0).astype(np.float32)
    np.testing.assert_array_equal(on_surface(depth_m, valid), valid)
    assert len(point_cloud(picture(), depth_m, valid, CAMERA).points_m) == HEIGHT * WIDTH - 1


@pytest.mark.parametrize("camera", [None, np.full((3, 3), np.nan, np.float32)])
def test_points_need_a_camera(camera: NDArray[np.float32] | None) -> None:
    with pytest.raises(LeadlineError, match="points in space need the camera: give --focal-px, --fov or --intrinsics"):
        point_cloud(picture(), wall(), everywhere(), camera)


def test_a_slide_of_many_pixels_flies_too_where_the_picture_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.geometry.points.FLYING_AREA_PX", HEIGHT * WIDTH // 25)  # five times as wide
    depth_m = np.full((HEIGHT, WIDTH), 1.0, np.float32)
    slide = np.geomspace(1.0, 1.35, 11)  # 3 % from pixel to pixel, 35 % across
    depth_m[:, 20:31], depth_m[:, 31:] = slide, slide[-1]
    kept = on_surface(depth_m, everywhere())[0]
    assert not kept[21:30].any() and kept[:15].all() and kept[36:].all()


def test_points_of_a_hand_worked_pixel() -> None:
    depth_m = np.zeros((3, 4), np.float32)
    depth_m[2, 3] = 2.0
    matrix = np.array([[4.0, 0.0, 1.0], [0.0, 8.0, 1.0], [0.0, 0.0, 1.0]], np.float32)
    points_m = vertices_of(depth_m, matrix)
    assert points_m.shape == (3, 4, 3)
    assert points_m[2, 3].tolist() == [1.0, 0.25, 2.0]  # ((3 - 1) / 4 * 2, (2 - 1) / 8 * 2, 2)
    assert points_m[0, 0].tolist() == [0.0, 0.0, 0.0]


def test_points_project_back_onto_their_pixels() -> None:
    matrix = np.array([[518.0, 2.0, 325.5], [0.0, 519.0, 253.5], [0.0, 0.0, 1.0]], np.float32)
    pixels = vertices_of(np.random.default_rng(0).uniform(0.5, 1.5, (5, 7)).astype(np.float32), matrix) @ matrix.T
    y, x = np.mgrid[:5, :7]
    np.testing.assert_allclose(pixels[..., :2] / pixels[..., 2:], np.stack([x, y], -1), atol=1e-3)
