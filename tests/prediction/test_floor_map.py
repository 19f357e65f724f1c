from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.prediction.floor_map import FREE, HEIGHT_ZERO_MM, OCCUPIED, UNKNOWN, floor_map, write_floor_map
from leadline.prediction.result import Prediction

CAMERA = Camera.from_focal_px(160, 320, 240)


def hall() -> Prediction:
    """A level camera 1 m above a floor, a wall 3 m ahead, a box 0.5 m high on the left from 2 m on."""
    y, x = np.mgrid[:240, :320]
    ray_x, ray_y = (x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy
    with np.errstate(divide="ignore"):
        depth_m = np.minimum(np.where(ray_y > 0, 1 / ray_y, np.inf), 3.02)
        depth_m = np.where((ray_x * 2 < -0.5) & (ray_y * 2 > 0.5) & (ray_y * 2 < 1), 2.02, depth_m)
    depth_m = depth_m.astype(np.float32)
    return Prediction(np.zeros((240, 320, 3), np.uint8), depth_m, np.ones(depth_m.shape, bool), CAMERA)


def cell(plan, values: np.ndarray, x_m: float, y_m: float):
    """What a map says at a place: rows run from the largest y down."""
    column = int((x_m - plan.origin_m[0]) / 0.05)
    row = values.shape[0] - 1 - int((y_m - plan.origin_m[1]) / 0.05)
    return values[row, column]


def test_free_floor_occupied_box_and_unknown_behind() -> None:
    prediction = hall()
    plan = floor_map(prediction.floor, prediction.depth_m, prediction.valid, prediction.intrinsics)
    assert cell(plan, plan.occupancy, 1.8, 0.0) == FREE
    assert cell(plan, plan.occupancy, 2.02, 0.8) == OCCUPIED  # y to the left
    assert cell(plan, plan.occupancy, 2.4, 0.8) == UNKNOWN
    assert cell(plan, plan.height_m, 2.02, 0.8) == pytest.approx(0.5, abs=0.03)
    assert cell(plan, plan.occupancy, 3.02, 0.0) == OCCUPIED


def test_files_are_as_map_server_reads_them(tmp_path: Path) -> None:
    prediction = hall()
    path, *others = prediction.save(tmp_path / "hall", ["floor"])
    assert others == [tmp_path / "hall_floor.yaml", tmp_path / "hall_floor_height.png"]
    told = yaml.safe_load((tmp_path / "hall_floor.yaml").read_text())
    assert told["image"] == path.name == "hall_floor.png" and told["resolution"] == 0.05 and told["negate"] == 0
    assert told["free_thresh"] < (255 - UNKNOWN) / 255 < told["occupied_thresh"]
    grey, heights = (np.asarray(Image.open(tmp_path / f"hall_floor{end}.png")) for end in ("", "_height"))
    assert grey.dtype == np.uint8 and grey.shape == heights.shape
    assert ((heights == 0) == (grey == UNKNOWN)).all()
    floor_mm = heights[grey == FREE].astype(int) - HEIGHT_ZERO_MM
    assert np.abs(floor_mm).max() < 110


def test_another_programs_files_are_kept(tmp_path: Path) -> None:
    prediction = hall()
    plan = floor_map(prediction.floor, prediction.depth_m, prediction.valid, prediction.intrinsics)
    (tmp_path / "hall_floor.yaml").write_text("image: mine.pgm\n")
    with pytest.raises(LeadlineError, match=r"hall_floor\.yaml is there and not leadline's own"):
        write_floor_map(tmp_path / "hall_floor.png", plan, prediction.floor)


def test_without_a_floor_nothing_is_drawn(tmp_path: Path) -> None:
    wall = np.full((240, 320), 2, np.float32)
    prediction = Prediction(np.zeros((240, 320, 3), np.uint8), wall, wall > 0, CAMERA)
    with pytest.raises(LeadlineError, match="no floor found"):
        prediction.save(tmp_path / "wall", ["floor"])
    assert not list(tmp_path.iterdir())
