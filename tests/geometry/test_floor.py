from math import cos, radians, sin

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.floor import find_floor

CAMERA = Camera.from_focal_px(200, 320, 240)


def room(height_m: float = 1.2, tilt_deg: float = 20.0, table_m: float | None = None) -> np.ndarray:
    """Depth of a floor, a wall at 4 m, and a table of that height that fills the right from 0.7 to 3 m."""
    y, x = np.mgrid[:240, :320]
    rays = np.stack([(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy, np.ones((240, 320))], axis=-1)
    tilt = radians(tilt_deg)
    down, forward = np.array([0, cos(tilt), sin(tilt)]), np.array([0, -sin(tilt), cos(tilt)])
    with np.errstate(divide="ignore"):
        floor_m = np.where(rays @ down > 0, height_m / (rays @ down), np.inf)
        wall_m = np.where(rays @ forward > 0, 4 / (rays @ forward), np.inf)
        depth_m = np.minimum(floor_m, wall_m)
        if table_m is not None:
            top_m = np.where(rays @ down > 0, (height_m - table_m) / (rays @ down), np.inf)
            ahead_m = np.where(rays @ down > 0, top_m * (rays @ forward), np.inf)
            on_top = (x > 100) & (ahead_m > 0.7) & (ahead_m < 3)
            depth_m = np.where(on_top, np.minimum(top_m, depth_m), depth_m)
    return depth_m.astype(np.float32)


def found(depth_m: np.ndarray):
    return find_floor(depth_m, np.isfinite(depth_m), CAMERA.matrix)


@pytest.mark.parametrize(("height_m", "tilt_deg"), [(0.3, 5.0), (1.2, 20.0), (1.6, 40.0), (0.8, 0.0)])
def test_height_and_tilt_of_an_exact_floor(height_m: float, tilt_deg: float) -> None:
    floor = found(room(height_m, tilt_deg))
    assert floor.camera_height_m == pytest.approx(height_m, rel=0.01)
    assert floor.tilt_deg == pytest.approx(tilt_deg, abs=0.3) and abs(floor.roll_deg) < 0.3
    assert floor.sure


def test_noise_is_borne() -> None:
    depth_m = room() * np.exp(np.random.default_rng(0).normal(0, 0.02, (240, 320))).astype(np.float32)
    floor = found(depth_m)
    assert floor.camera_height_m == pytest.approx(1.2, rel=0.03) and floor.tilt_deg == pytest.approx(20, abs=1)


def test_a_table_is_no_floor_as_something_lies_below() -> None:
    depth_m = room(1.2, 25.0, table_m=0.5)
    assert (np.abs(room(1.2, 25.0) - depth_m) > 0.01).mean() > 0.2  # there is much of it
    assert found(depth_m).camera_height_m == pytest.approx(1.2, rel=0.02)


def test_a_rug_of_exact_depth_is_no_floor_and_a_strip_beyond_is() -> None:
    depth_m, rug_m = room(0.4, 10.0), room(0.38, 10.0)
    covered = np.mgrid[:240, :320][0] > 125
    depth_m[covered] = rug_m[covered]
    floor = found(depth_m)
    assert floor.camera_height_m == pytest.approx(0.4, rel=0.01) and floor.tilt_deg == pytest.approx(10, abs=0.3)


def test_heights_are_above_the_floor() -> None:
    floor = found(room(1.2, 0.0))
    points = np.array([[0, 1.2, 2], [0.5, 0.2, 3]], np.float32)
    assert floor.heights_m(points) == pytest.approx([0, 1], abs=0.01)
    assert str(floor) == "camera 1.20 m above the floor, tilted 0.0° down"


def test_a_wall_is_refused() -> None:
    depth_m = np.full((240, 320), 2, np.float32)
    with pytest.raises(LeadlineError, match="no floor found"):
        found(depth_m)
    with pytest.raises(LeadlineError, match="no floor found"):
        find_floor(depth_m, np.zeros(depth_m.shape, bool), CAMERA.matrix)


def test_an_unknown_camera_is_refused() -> None:
    with pytest.raises(LeadlineError, match="need the camera"):
        find_floor(room(), np.ones((240, 320), bool), None)
