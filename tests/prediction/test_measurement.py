from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import CameraFile
from leadline.models.model import DepthModel
from leadline.prediction.measurement import at_size, depth_at, distance_between, measure
from leadline.prediction.result import Prediction

CAMERA = Camera(fx=100, fy=200, cx=30, cy=10, width=60, height=40)


def prediction(
    depth_m: NDArray[np.float32], uncertainty_m: NDArray[np.float32] | None = None, camera: Camera | None = CAMERA
) -> Prediction:
    rgb = np.zeros((*depth_m.shape, 3), np.uint8)
    return Prediction(rgb, depth_m, np.isfinite(depth_m), camera, uncertainty_m)


def wall(depth_m: float = 2.0) -> NDArray[np.float32]:
    return np.full((40, 60), depth_m, np.float32)


def test_a_points_depth_is_the_median_around_it() -> None:
    depth_m = wall()
    depth_m[18:23, 28:33] = np.arange(25, dtype=np.float32).reshape(5, 5)
    assert depth_at(prediction(depth_m), (30, 20)).metres == 12
    depth_m[20, 30] = 1000  # one wild pixel
    assert depth_at(prediction(depth_m), (30, 20)).metres == 13
    depth_m[18:22, 28:33] = np.nan  # of the valid ones: 20 to 24
    assert depth_at(prediction(depth_m), (30, 20)).metres == 22


def test_at_the_border_the_window_is_cut_off() -> None:
    depth_m = wall()
    depth_m[:3, :3] = np.arange(9, dtype=np.float32).reshape(3, 3)
    depth_m[-1, -1] = 50
    assert depth_at(prediction(depth_m), (0, 0)).metres == 4
    assert depth_at(prediction(depth_m), (59, 39)).metres == 2


def test_a_length_reads_as_one_writes_it() -> None:
    assert str(depth_at(prediction(wall(2.314)), (5, 5))) == "2.31 m"
    assert str(depth_at(prediction(wall(2.314), wall(0.118)), (5, 5))) == "2.31 m ± 0.12 m"


def test_points_on_a_wall_are_apart_as_the_pinhole_says() -> None:
    # 2 m · 50 px / 100 px = 1 m across, 2 m · 30 px / 200 px = 0.3 m down.
    assert distance_between(prediction(wall()), (5, 5), (55, 5)).metres == pytest.approx(1.0)
    assert distance_between(prediction(wall()), (5, 5), (5, 35)).metres == pytest.approx(0.3)
    assert distance_between(
        prediction(wall()),
        (5, 5),
        (5, 5),
    ) == (0.0, None, "focal 100 px (given)")


def test_uncertainty_of_a_distance() -> None:
    # Along the wall each end moves by its ray's share, 25/100 of 0.1 m, whichever way.
    across = distance_between(prediction(wall(), wall(0.1)), (5, 10), (55, 10))
    assert across.uncertainty_m == pytest.approx(0.25 * 0.1 + 0.25 * 0.1)
    depth_m = wall()
    depth_m[:, 30:] = 3.0
    # One behind the other as far as that goes: 1 m apart in depth, both errors count whole.
    behind = distance_between(prediction(depth_m, wall(0.1)), (27, 10), (33, 10))
    assert behind.metres == pytest.approx(np.hypot(1.0, 2 * 0.03 + 3 * 0.03))
    assert behind.uncertainty_m == pytest.approx(0.2, abs=0.005)
    assert distance_between(prediction(wall(), wall(0.1)), (5, 5), (5, 5)).uncertainty_m == 0


def test_a_distance_needs_the_camera_and_a_depth_does_not() -> None:
    unknown = prediction(wall(), camera=None)
    assert depth_at(unknown, (5, 5)) == (2.0, None, "focal length unknown")
    with pytest.raises(LeadlineError, match="points in space need the camera: give --focal-px"):
        distance_between(unknown, (5, 5), (6, 6))


@pytest.mark.parametrize("point", [(-1, 0), (60, 0), (0, 40), (0, -0.6), (float("nan"), 3)])
def test_points_outside_are_refused(point: tuple[float, float]) -> None:
    with pytest.raises(
        LeadlineError, match="lies outside of this picture of 60×40 pixels: x goes from 0 to 59, y from"
    ):
        depth_at(prediction(wall()), point)


def test_a_point_without_depth_is_refused() -> None:
    with pytest.raises(LeadlineError, match="there is no depth at 5,6: name a point beside it"):
        depth_at(prediction(wall(np.nan)), (5, 6))


def test_points_are_those_of_the_file_however_small_it_is_read(
    tmp_path: Path, flat_model: DepthModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    path, corners = tmp_path / "a.png", [(0.0, 0.0), (399.0, 299.0)]
    # 2 m · 200/100 through 200 px: 4 m · hypot(399, 299)/200.
    whole = measure(path, *corners, model=flat_model, focal_px=200)
    assert whole.metres == pytest.approx(4 * np.hypot(399, 299) / 200)
    monkeypatch.setattr("leadline.prediction.measurement.MAX_PIXELS", 30_000)
    # Half the focal length halves this model's metres; the corners are half a small pixel further in.
    small = measure(path, *corners, model=flat_model, focal_px=200)
    assert small.metres == pytest.approx(2 * np.hypot(199, 149) / 100)
    assert small.focal == "focal 100 px (given)"
    with pytest.raises(LeadlineError, match="400,0 lies outside of this picture of 400×300"):
        measure(path, (400, 0), model=flat_model)


def test_points_follow_their_image_out_of_a_lens(flat_model: DepthModel) -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    matrix = np.array([[200, 0, 159.5], [0, 200, 119.5], [0, 0, 1.0]])
    fish_eye = CameraFile(matrix, (240, 320), Lens(LensModel.KANNALA_BRANDT))
    # At 2 m · 200/100 what is 120 px beside the axis of a pinhole is at 200 · atan(120/200) through this lens.
    ends = [(159.5 - 200 * np.arctan(0.6), 119.5), (159.5 + 200 * np.arctan(0.6), 119.5)]
    with pytest.raises(LeadlineError, match="need a pinhole camera"):
        measure(image, *ends, model=flat_model, camera=fish_eye)
    length = measure(image, *ends, model=flat_model, camera=fish_eye, undistort=True)
    assert (
        length.metres == pytest.approx(4 * 240 / 200, rel=1e-3) and length.focal == "focal 200 px (given), undistorted"
    )
    with pytest.raises(LeadlineError, match="the point 0,119 is not in the image once its lens' distortion is removed"):
        measure(image, (0, 119), model=flat_model, camera=fish_eye, undistort=True)


def test_resized_points_keep_their_place() -> None:
    assert at_size((99.5, 49.5), (100, 200), (50, 100)) == (49.5, 24.5)  # the middle
    assert at_size((0, 99), (100, 200), (50, 100)) == (0, 49)


@pytest.mark.parametrize("points", [[], [(1, 1)] * 3])
def test_one_point_or_two(points: list[tuple[float, float]], flat_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match=f"one point for its depth or two for their distance, got {len(points)}"):
        measure("nowhere.jpg", *points, model=flat_model)


def test_shares_of_the_sides_are_no_points(flat_model: DepthModel) -> None:
    image = np.full((48, 64, 3), 90, np.uint8)
    for points in ([(0.5, 0.5)], [(0.0, 1.0), (0.25, 1.0)]):
        with pytest.raises(LeadlineError, match="points from 0 to 1, wanted pixels: they look like shares"):
            measure(image, *points, model=flat_model, focal_px=50)
    assert measure(image, (1, 0), model=flat_model, focal_px=50).metres > 0
