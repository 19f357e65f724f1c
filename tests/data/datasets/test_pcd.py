from pathlib import Path

import capture_files as files
import numpy as np
import pytest
from layout_files import refusal

from leadline.data.catalog import open_dataset
from leadline.data.conversion import convert

DATA = ("ascii", "binary", "binary_compressed")


@pytest.mark.parametrize("data", DATA)
def test_a_cloud_is_a_picture_with_depth_and_its_camera(tmp_path: Path, data: str) -> None:
    dataset = open_dataset(files.write_pcds(tmp_path / "desk", data=data))
    assert dataset.ids == ["frame_0", "frame_1"] and dataset.scenes == ["desk", "desk"]
    for number, sample in enumerate(dataset[index] for index in range(2)):
        wanted = files.colours(files.ROWS, files.COLUMNS, number)
        assert np.array_equal(np.rint(sample.image.numpy() * 255), np.moveaxis(wanted, -1, 0))
        np.testing.assert_allclose(sample.depth_m[0], files.metres(), rtol=1e-6)
        assert (~sample.valid[0]).nonzero().tolist() == [[11, 15]]
        np.testing.assert_allclose(sample.intrinsics, [[20, 0, 7.5], [0, 20, 5.5], [0, 0, 1]], rtol=0, atol=1e-4)


def test_points_with_y_up_and_z_backward_are_turned(tmp_path: Path) -> None:
    points = files.cloud(files.metres(), files.colours(files.ROWS, files.COLUMNS))
    files.write_pcd(tmp_path / "a.pcd", points | {name: -points[name] for name in "yz"})
    sample = open_dataset(tmp_path)[0]
    np.testing.assert_allclose(sample.depth_m[0], files.metres(), rtol=1e-6)
    np.testing.assert_allclose(sample.intrinsics, [[20, 0, 7.5], [0, 20, 5.5], [0, 0, 1]], rtol=0, atol=1e-4)


def test_points_that_no_pinhole_sees_are_refused(tmp_path: Path) -> None:
    points = files.cloud(files.metres(), files.colours(files.ROWS, files.COLUMNS))
    files.write_pcd(tmp_path / "a.pcd", {"x": points["z"], "y": -points["x"], "z": -points["y"], "rgb": points["rgb"]})
    dataset = open_dataset(tmp_path)
    assert "a.pcd: no camera sees its points where they are in the grid" in refusal(lambda: dataset[0])


def test_a_folder_is_converted(tmp_path: Path) -> None:
    assert convert(files.write_pcds(tmp_path / "desk"), tmp_path / "out") == 2
    converted = open_dataset(tmp_path / "out")[1]
    np.testing.assert_allclose(converted.depth_m[0], files.metres(), atol=1e-3)
    assert converted.image.shape == (3, files.ROWS, files.COLUMNS)
