from pathlib import Path

import capture_files as files
import h5py
import numpy as np
import pytest
from layout_files import refusal

from leadline.data.catalog import open_dataset
from leadline.data.datasets.hypersim import CAMERAS, pinhole_of_rays

TAN_30, TAN_30_HIGH = 1 / 3**0.5, 0.75 / 3**0.5


def write_scene(root: Path) -> Path:
    """One picture of a quarter of the size, all of it 2 m away from the camera; the upper left pixel is none."""
    scene = root / "ai_001_001" / "images"
    files.save(scene / "scene_cam_00_final_preview" / "frame.0003.tonemap.jpg", files.colours(192, 256))
    path = scene / "scene_cam_00_geometry_hdf5" / "frame.0003.depth_meters.hdf5"
    path.parent.mkdir(parents=True)
    distance_m = np.full((192, 256), 2, np.float16)
    distance_m[0, 0] = np.nan
    with h5py.File(path, "w") as file:
        file["dataset"] = distance_m
    return root


def write_camera(root: Path, matrix: np.ndarray) -> None:
    columns = {f"M_cam_from_uv_{row}{column}": matrix[row, column] for row in range(3) for column in range(3)}
    text = ",".join(["scene_name", *columns]) + "\n" + ",".join(["ai_001_001", *map(str, columns.values())]) + "\n"
    (root / CAMERAS).write_text(text)


def test_distances_become_depth_along_the_axis_by_the_camera_of_60_degrees(tmp_path: Path) -> None:
    dataset = open_dataset(write_scene(tmp_path))
    sample = dataset[0]
    assert dataset.ids == ["ai_001_001/cam_00/frame.0003"] and dataset.scenes == ["ai_001_001"]
    # 512 / tan 30° = 886.81 at 1024 pixels, a quarter of it here; the middle is (256 - 1) / 2
    np.testing.assert_allclose(sample.intrinsics, [[221.7025, 0, 127.5], [0, 221.7025, 95.5], [0, 0, 1]], atol=1e-4)
    assert sample.depth_m[0, 95, 127].item() == pytest.approx(2, abs=1e-4)
    # at the right edge x = 127.5 / 221.7025 = .5751, at its middle row y = 0: 2 / sqrt(1 + .3307) = 1.7337
    assert sample.depth_m[0, 95, 255].item() == pytest.approx(1.7337, abs=1e-4)
    assert not sample.valid[0, 0, 0] and sample.valid.sum() == 192 * 256 - 1


def test_a_table_of_cameras_is_used_where_it_is_there(tmp_path: Path) -> None:
    write_camera(write_scene(tmp_path), np.diag([0.5, 0.375, -1]))
    assert open_dataset(tmp_path)[0].intrinsics[0, 0].item() == pytest.approx(256)  # 512 / .5 / 4
    (tmp_path / CAMERAS).write_text("scene_name\nai_001_001\n")
    assert "is no table of Hypersim's cameras" in refusal(lambda: open_dataset(tmp_path))


def test_a_tilted_lens_is_a_pinhole_whose_rays_are_as_far_apart() -> None:
    rays = np.array([[TAN_30, 0, 0], [0, TAN_30_HIGH, 0], [0, -0.2, -1]])
    fx, fy, cx, cy = pinhole_of_rays(rays)
    pixels = np.array([[0, 0], [1023, 0], [511.5, 383.5], [300, 767]])
    seen = np.stack([(pixels[:, 0] + 0.5) / 512 - 1, 1 - (pixels[:, 1] + 0.5) / 384, np.ones(4)])
    wanted = (rays @ seen) / np.linalg.norm(rays @ seen, axis=0)
    found = np.stack([(pixels[:, 0] - cx) / fx, (pixels[:, 1] - cy) / fy, np.ones(4)])
    found /= np.linalg.norm(found, axis=0)
    np.testing.assert_allclose(wanted.T @ wanted, found.T @ found, atol=1e-9)
    assert abs(cy - 383.5) > 50
