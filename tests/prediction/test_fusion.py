from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.lens import Lens, LensModel
from leadline.prediction.fusion import FusedCloud
from leadline.prediction.result import Prediction


def test_two_views_of_one_wall_are_one_wall(tmp_path: Path) -> None:
    camera = Camera.from_focal_px(20, 20, 20)
    nearer = np.eye(4)
    nearer[2, 3] = 0.5  # half a metre ahead, where the wall is half a metre nearer
    poses = {"a": np.eye(4), "b": nearer}
    fused = FusedCloud(lambda path: poses[path.name])
    for name, depth_m in (("a", 2.0), ("b", 1.5)):
        values = np.full((20, 20), depth_m, np.float32)
        fused.add(Path(name), Prediction(np.full((20, 20, 3), 90, np.uint8), values, values > 0, camera))
    fused.add(
        Path("a"), Prediction(np.zeros((20, 20, 3), np.uint8), np.full((20, 20), 2, np.float32), values > 0, camera)
    )
    fused.write(tmp_path / "fused.ply")
    cloud = trimesh.load(tmp_path / "fused.ply")
    assert 400 < len(cloud.vertices) <= 800  # the third view adds nothing
    assert cloud.vertices[:, 2] == pytest.approx(2.0, abs=1e-6)


def test_a_lens_that_bends_a_wall_is_refused() -> None:
    camera = replace(Camera.from_focal_px(20, 20, 20), lens=Lens(LensModel.KANNALA_BRANDT))
    values = np.full((20, 20), 2, np.float32)
    prediction = Prediction(np.zeros((20, 20, 3), np.uint8), values, values > 0, camera)
    with pytest.raises(LeadlineError, match="need a pinhole camera"):
        FusedCloud(lambda _: np.eye(4)).add(Path("a"), prediction)
