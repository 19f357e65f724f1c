import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import capture_files as files
import numpy as np
import pytest
import torch
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
    whole = points()
    files.write_pcd(tmp_path / "a.pcd", whole | {name: -whole[name] for name in "yz"})
    sample = open_dataset(tmp_path)[0]
    np.testing.assert_allclose(sample.depth_m[0], files.metres(), rtol=1e-6)
    np.testing.assert_allclose(sample.intrinsics, [[20, 0, 7.5], [0, 20, 5.5], [0, 0, 1]], rtol=0, atol=1e-4)


def points() -> dict[str, np.ndarray]:
    return files.cloud(files.metres(), files.colours(files.ROWS, files.COLUMNS))


def test_points_that_no_pinhole_sees_are_refused(tmp_path: Path) -> None:
    whole = points()
    files.write_pcd(tmp_path / "a.pcd", whole | {"x": whole["z"], "y": -whole["x"], "z": -whole["y"]})
    dataset = open_dataset(tmp_path)
    assert "a.pcd: no camera sees its points where they are in the grid" in refusal(lambda: dataset[0])


def test_a_folder_is_converted(tmp_path: Path) -> None:
    assert convert(files.write_pcds(tmp_path / "desk"), tmp_path / "out") == 2
    converted = open_dataset(tmp_path / "out")[1]
    np.testing.assert_allclose(converted.depth_m[0], files.metres(), atol=1e-3)
    assert converted.image.shape == (3, files.ROWS, files.COLUMNS)


def test_a_bent_lens_is_refused_beyond_half_a_pixel(tmp_path: Path) -> None:
    whole = points()
    for name, strength in (("weak", 0.05), ("strong", 5.0)):
        bent = 1 + strength * (whole["x"] ** 2 + whole["y"] ** 2) / whole["z"] ** 2  # 1.01, 2.1 in corners
        files.write_pcd(tmp_path / f"{name}.pcd", whole | {axis: whole[axis] * bent for axis in "xy"})
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ["strong", "weak"] and float(dataset[1].intrinsics[0, 0]) < 20
    assert "strong.pcd: no camera sees its points" in refusal(lambda: dataset[0])


def write_odd_ones(root: Path) -> None:
    """Three clouds that are no pictures with depth."""
    whole = points()
    files.write_pcd(root / "list.pcd", {name: values.reshape(1, -1) for name, values in whole.items()})
    files.write_pcd(root / "grey.pcd", {name: whole[name] for name in "xyz"})
    files.write_pcd(root / "flat.pcd", {name: whole[name] for name in ("x", "z", "rgb")})


def test_clouds_that_are_no_pictures_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_odd_ones(tmp_path)
    got = "1 without x, y, z, 1 without colour (rgb or rgba), 1 not organised (HEIGHT 1)"
    assert refusal(lambda: open_dataset(tmp_path)).endswith(f"with x, y, z and rgb or rgba, got {got}")
    files.write_pcds(tmp_path, 1)
    (tmp_path / "._frame_0.pcd").write_bytes(b"what macOS leaves beside it")
    with caplog.at_level(logging.WARNING):
        assert open_dataset(tmp_path).ids == ["frame_0"]
    assert caplog.messages == [f"{tmp_path}: clouds are left out: {got}"]


def test_a_broken_header_is_told_when_the_folder_is_opened(tmp_path: Path) -> None:
    files.write_pcds(tmp_path, 1)
    (tmp_path / "frame_1.pcd").write_bytes(b"ply\nformat ascii 1.0\n")
    said = refusal(lambda: open_dataset(tmp_path))
    assert said == f"{tmp_path / 'frame_1.pcd'} is no PCD file (it has no line DATA): save the cloud again"


@pytest.mark.parametrize("data", DATA)
def test_a_cloud_that_is_cut_short_is_one_line(tmp_path: Path, data: str) -> None:
    path = files.write_pcds(tmp_path, 1, data) / "frame_0.pcd"
    path.write_bytes(path.read_bytes()[:600])
    dataset = open_dataset(tmp_path)
    assert f"{path} is no whole PCD file (it is cut short" in refusal(lambda: dataset[0])


def test_files_count_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9):
        files.write_pcd(tmp_path / f"frame_{number}.pcd", points())
    assert open_dataset(tmp_path).ids == ["frame_9", "frame_10"]


def test_folders_of_clouds_are_scenes_of_one_set(tmp_path: Path) -> None:
    for name in ("desk", "floor"):
        files.write_pcds(tmp_path / name, 1)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ["desk/frame_0", "floor/frame_0"] and dataset.scenes == ["desk", "floor"]


def test_a_viewpoint_is_a_pose_where_its_position_differs(tmp_path: Path) -> None:
    for name, viewpoint in {"a": "0 0 0 0 1 0 0", "b": "0 0 0 1 0 0 0"}.items():  # the first as PCL's grabber has it
        files.write_pcd(tmp_path / f"{name}.pcd", points(), viewpoint=viewpoint)
    assert open_dataset(tmp_path).pose(0) is None
    files.write_pcd(tmp_path / "c.pcd", points(), viewpoint="0.5 1.5 2.5 0 1 0 0")  # half a turn about x
    files.write_pcd(tmp_path / "d.pcd", points(), viewpoint="nan 1.5 2.5 0 1 0 0")
    dataset = open_dataset(tmp_path)
    wanted = [[1, 0, 0, 0.5], [0, -1, 0, 1.5], [0, 0, -1, 2.5], [0, 0, 0, 1]]
    np.testing.assert_allclose(dataset.pose(2), wanted, atol=1e-12)
    assert dataset.pose(0) is not None and dataset.pose(3) is None


def test_opaque_colours_are_kept_and_none_is_black(tmp_path: Path) -> None:
    whole = points()
    packed = whole["rgb"].view("<u4") | np.uint32(0xFF000000)  # of which every red over 127 is a NaN
    packed[2, 3] = 0x7FC00000
    files.write_pcd(tmp_path / "a.pcd", whole | {"rgb": packed.view("<f4")})
    wanted = files.colours(files.ROWS, files.COLUMNS)
    wanted[2, 3] = 0
    assert np.array_equal(np.rint(open_dataset(tmp_path)[0].image.numpy() * 255), np.moveaxis(wanted, -1, 0))


def test_without_depth_there_is_no_camera(tmp_path: Path) -> None:
    files.write_pcd(tmp_path / "none.pcd", files.cloud(np.zeros((12, 16)), files.colours(12, 16)))
    row = files.metres() * (np.arange(12) == 5)[:, None]
    files.write_pcd(tmp_path / "row.pcd", files.cloud(row, files.colours(12, 16)))
    none, one_row = open_dataset(tmp_path)[0], open_dataset(tmp_path)[1]
    assert not bool(none.valid.any()) and int(one_row.valid.sum()) == 16
    assert none.camera is None and one_row.camera is None


def test_threads_read_at_the_same_time(tmp_path: Path) -> None:
    dataset = open_dataset(files.write_pcds(tmp_path, 8))
    alone = [dataset[index].image for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda index: dataset[index % 8].image, range(64)))
    assert all(torch.equal(image, alone[place % 8]) for place, image in enumerate(together))
