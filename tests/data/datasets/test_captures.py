"""Captures in their makers' layouts: what is the same in all of them, once for each."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import capture_files as files
import numpy as np
import pytest
import torch
from layout_files import refusal
from PIL import Image

from leadline.data.catalog import open_dataset
from leadline.data.conversion import convert
from leadline.data.datasets.base import FrameDataset
from leadline.data.datasets.captures import CapturesDataset
from leadline.data.datasets.poses import pose_of_matrix, turned_pose, turns_upright
from leadline.data.sample import Sample

CAPTURES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "record3d": (files.write_record3d_export, ["room/0", "room/1", "room/3"]),
    "r3d": (lambda path: files.write_r3d(path.with_suffix(".r3d")), ["room/0", "room/1"]),
    "stray": (files.write_stray, [f"room/00000{number}" for number in range(5)]),
    "arkitscenes": (
        lambda path: (files.write_arkitscenes(path), path)[1],
        [f"40753679/40753679_{time}" for time in ("10.000", "10.100", "10.150")],
    ),
    "polycam": (files.write_polycam, ["room/5000000", "room/5500000"]),
    "3d-scanner-app": (files.write_scanner_app, ["room/00000", "room/00002"]),
    "nerfstudio": (files.write_nerfstudio, ["images/frame_0", "images/frame_1"]),
    "scannet": (files.write_scannet, ["room/0", "room/1", "room/10"]),
    "sens": (lambda path: files.write_sens(path.with_suffix(".sens")), ["room/0", "room/1"]),
    "colmap": (files.write_colmap, ["left/0", "left/1"]),
    "replica": (files.write_replica, ["room0/frame000000", "room1/frame000000"]),
}
SMALL_PICTURES = {"arkitscenes", "replica"}
WITH_CONFIDENCE = {"r3d", "stray", "arkitscenes", "polycam", "3d-scanner-app"}


@pytest.fixture(params=CAPTURES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(kind: str, tmp_path: Path) -> Path:
    return CAPTURES[kind][0](tmp_path / "room")


@pytest.fixture
def sample(root: Path) -> Sample:
    return open_dataset(root)[0]


def test_frames_with_depth_are_listed_in_order(root: Path, kind: str) -> None:
    dataset = open_dataset(root)
    assert dataset.ids == CAPTURES[kind][1] and len(dataset) == len(dataset.ids)
    assert dataset[len(dataset) - 1].id == dataset.ids[-1]


def test_depth_is_in_metres_at_its_own_size(sample: Sample, kind: str) -> None:
    assert sample.depth_m.shape == sample.valid.shape == (1, 12, 16) and sample.depth_m.dtype == torch.float32
    assert sample.image.shape == ((3, 12, 16) if kind in SMALL_PICTURES else (3, 48, 64))
    torch.testing.assert_close(sample.depth_m[0, 3], torch.from_numpy(files.metres()[3]), rtol=0, atol=6e-4)


def test_what_is_none_or_of_low_confidence_is_invalid(sample: Sample, kind: str) -> None:
    invalid = (~sample.valid[0]).nonzero().tolist()
    assert invalid == ([[0, 1]] if kind in WITH_CONFIDENCE else []) + [[11, 15]]
    assert torch.equal(sample.depth_m > 0, sample.valid)


GREENS = {
    **{"record3d": [0, 1, 3], "r3d": [0, 1], "stray": [0, 1, 2, 3, 4], "arkitscenes": [0, 0, 0], "polycam": [0, 1]},
    **{"3d-scanner-app": [0, 2], "nerfstudio": [0, 1], "scannet": [0, 1, 1], "sens": [0, 1]},
    **{"colmap": [0, 1], "replica": [0, 1]},
}


def test_each_picture_is_its_frames_own_as_it_is_stored(root: Path, kind: str) -> None:
    dataset = open_dataset(root)
    for place, number in enumerate(GREENS[kind]):
        image = dataset[place].image
        assert image[:, -1, 0].tolist() == pytest.approx([0, 20 * number / 255, 250 / 255], abs=0.06)
        assert image[0, 1, 1] > 0.9 > 0.1 > image[0, -2, 1]


CAMERAS = {
    "record3d": (50, 50, 32, 24),
    "r3d": (60, 61, 30, 20),
    "stray": (50, 50, 32, 24),
    "arkitscenes": (12.5, 12.25, 8, 6),
    "polycam": (50, 51, 32, 24),
    "3d-scanner-app": (50, 51, 32, 24),
    "nerfstudio": (50, 51, 31.5, 23.5),  # counted from the corner: half a pixel less
    "scannet": (50, 51, 32, 24),
    "sens": (50, 51, 32, 24),
    "colmap": (50, 51, 31.5, 23.5),  # counted from the corner, too
    "replica": (9, 9, 7.5, 5.5),
}


def test_the_camera_is_the_pictures(sample: Sample, kind: str) -> None:
    fx, fy, cx, cy = CAMERAS[kind]
    assert sample.intrinsics.tolist() == [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]


TIMES_S = {
    **{"record3d": 0.25, "r3d": 0.25, "stray": 100.25, "arkitscenes": 10.1, "polycam": 5.5, "3d-scanner-app": 1.0},
    **{"nerfstudio": None, "scannet": None, "sens": 0.033333, "colmap": None, "replica": None},
}


def test_times_are_seconds(root: Path, kind: str) -> None:
    assert open_dataset(root).time_s(1) == (None if TIMES_S[kind] is None else pytest.approx(TIMES_S[kind]))


ALONG_MINUS_Z = [[1, 0, 0, 0.5], [0, -1, 0, 1.5], [0, 0, -1, 2.5], [0, 0, 0, 1]]
"""Of a camera that looks along the world's -z with its y up: x right, y down, z forward."""
ALONG_MINUS_X = [[0, 0, -1, 0], [0, -1, 0, 1.5], [-1, 0, 0, 2.5], [0, 0, 0, 1]]
"""The same turned by 90° about y: -z became -x, x became -z."""
POSES = {
    "record3d": ALONG_MINUS_X,
    "r3d": ALONG_MINUS_X,
    # (½√2, ½√2, 0, 0) is half a turn about the diagonal of x and y, which swaps them and mirrors z
    "stray": [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]],
    # the world's (x, y, z) is (x + .5, -z, y + 2) for the camera, which is at (-.5, -2, 0)
    "arkitscenes": [[1, 0, 0, -0.5], [0, 0, 1, -2], [0, -1, 0, 0], [0, 0, 0, 1]],
    "polycam": ALONG_MINUS_Z,
    "3d-scanner-app": ALONG_MINUS_Z,
    "nerfstudio": ALONG_MINUS_Z,
    "scannet": files.POSE_CV.tolist(),
    "sens": files.POSE_CV.tolist(),
    # world to camera: (x + .5, -y + 1.5, -z - 2.5), so that the camera is at (-.5, 1.5, -2.5)
    "colmap": [[1, 0, 0, -0.5], [0, -1, 0, 1.5], [0, 0, -1, -2.5], [0, 0, 0, 1]],
    "replica": files.POSE_CV.tolist(),
}


def test_poses_are_of_a_camera_with_x_right_y_down_z_forward(root: Path, kind: str) -> None:
    np.testing.assert_allclose(open_dataset(root).pose(0), POSES[kind], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "turns"),
    [("stray", 1), ("arkitscenes", 0), ("polycam", 0), ("3d-scanner-app", 0), ("scannet", 0), ("replica", 0)],
)
def test_up_is_known_where_the_world_is_level(tmp_path: Path, kind: str, turns: int) -> None:
    dataset = open_dataset(CAPTURES[kind][0](tmp_path / "room"))
    assert turns_upright(dataset.pose(0), dataset.up) == turns


def test_lost_and_missing_poses_are_none(tmp_path: Path) -> None:
    assert open_dataset(files.write_scannet(tmp_path / "lost")).pose(1) is None
    files.write_arkitscenes(tmp_path / "videos")
    assert [open_dataset(tmp_path / "videos").pose(place) is None for place in range(3)] == [False, False, True]


def test_a_camera_of_another_size_follows_its_picture(tmp_path: Path) -> None:
    root = files.write_polycam(tmp_path / "room")
    files.save(root / "keyframes" / "images" / "5000000.jpg", files.colours(24, 32))
    matrix = open_dataset(root)[0].intrinsics
    assert matrix.tolist() == [[25, 0, 15.75], [0, 25.5, 11.75], [0, 0, 1]]  # (32 + .5) / 2 - .5


def test_depth_of_another_shape_is_refused(tmp_path: Path) -> None:
    root = files.write_polycam(tmp_path / "room")
    files.save(root / "keyframes" / "images" / "5000000.jpg", files.colours(64, 48))
    assert "5000000.png must be 64×48 as its picture is, got 12×16" in refusal(lambda: open_dataset(root)[0])


def test_a_capture_without_confidence_is_taken_whole(tmp_path: Path) -> None:
    root = files.write_scanner_app(tmp_path / "room")
    (root / "conf_00000.png").unlink()
    assert int((~open_dataset(root)[0].valid).sum()) == 1


def broken(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return refusal(lambda: open_dataset(root)[0])


@pytest.mark.parametrize(
    ("kind", "name", "content", "reason"),
    [
        ("record3d", "EXR_RGBD/metadata.json", b"{}", "the nine numbers of K are wanted"),
        ("record3d", "EXR_RGBD/depth/0.exr", b"v/1", "0.exr is no whole EXR file"),
        ("stray", "rgb.mp4", b"words", "is no video that can be read"),
        ("stray", "odometry.csv", b"a\n1, 2\n", "odometry.csv, line 2: wanted nine numbers, got 2"),
        ("stray", "camera_matrix.csv", b"50", "camera_matrix.csv must hold 9 numbers, got 1"),
        ("polycam", "keyframes/cameras/5000000.json", b'{"fx": 1}', "5000000.json lacks a number"),
        ("polycam", "keyframes/confidence/5000000.png", b"words", "no depth map that can be read"),
        ("3d-scanner-app", "frame_00000.json", b"{}", "must hold 9 numbers intrinsics"),
        ("nerfstudio", "transforms.json", b"[]", "must hold names and values"),
        ("nerfstudio", "transforms.json", b"{}", "has no list of frames"),
        ("scannet", "intrinsic/intrinsic_color.txt", b"1 2 3", "must hold 16 numbers, got 3"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, kind: str, name: str, content: bytes, reason: str) -> None:
    assert reason in broken(CAPTURES[kind][0](tmp_path / "room"), name, content)


@pytest.mark.parametrize("kind", ["r3d", "sens"])
def test_a_file_that_is_cut_short_is_one_line(tmp_path: Path, kind: str) -> None:
    path = CAPTURES[kind][0](tmp_path / "room")
    path.write_bytes(path.read_bytes()[:-700])
    assert path.name in refusal(lambda: [open_dataset(path)[index] for index in range(2)])


def test_old_stray_captures_have_depth_as_arrays(tmp_path: Path) -> None:
    root = files.write_stray(tmp_path / "room")
    for path in (root / "depth").glob("*.png"):
        np.save(path.with_suffix(".npy"), files.millimetres())
        path.unlink()
    assert float(open_dataset(root)[0].depth_m[0, 3, 0]) == pytest.approx(1.5)


def test_a_folder_of_stray_captures_is_a_set_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        files.write_stray(tmp_path / name, 2)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ["a/000000", "a/000001", "b/000000", "b/000001"] and dataset.scenes == ["a", "a", "b", "b"]
    assert float(dataset[3].image[1, -1, 0]) == pytest.approx(20 / 255, abs=0.05)


def test_a_folder_of_captures_is_a_set_of_their_scenes(tmp_path: Path) -> None:
    for name in ("scan 2", "scan 10"):
        files.write_polycam(tmp_path / name)
    files.write_nerfstudio(tmp_path / "walk")
    (tmp_path / "notes.txt").write_text("none")
    dataset = open_dataset(tmp_path)
    assert dataset.ids[:3] == ["scan 2/5000000", "scan 2/5500000", "scan 10/5000000"]
    assert dataset.ids[4:] == ["walk/images/frame_0", "walk/images/frame_1"]
    assert dataset.scenes == ["scan 2"] * 2 + ["scan 10"] * 2 + ["walk"] * 2
    sample, own = dataset[5], open_dataset(tmp_path / "walk")[1]
    assert sample.id == "walk/images/frame_1" and torch.equal(sample.depth_m, own.depth_m)
    assert torch.equal(dataset.ground_truth(5).depth_m, own.depth_m)


def test_a_folder_of_captures_is_converted_with_each_ones_poses_and_up(tmp_path: Path) -> None:
    files.write_polycam(tmp_path / "all" / "scan")
    files.write_stray(tmp_path / "all" / "side" / "room")  # a wrapper, which is a folder of captures of that kind
    assert convert(tmp_path / "all", tmp_path / "out") == 7
    converted = open_dataset(tmp_path / "out")
    assert [converted[index].image.shape for index in (0, 2)] == [(3, 48, 64), (3, 64, 48)]  # the latter turned
    assert len((tmp_path / "out" / "poses.csv").read_text().splitlines()) == 8


def test_a_capture_beside_what_was_unpacked_from_it_is_refused(tmp_path: Path) -> None:
    files.write_polycam(tmp_path / "scan")
    scan = open_dataset(tmp_path / "scan")
    assert isinstance(scan, FrameDataset)
    assert refusal(lambda: CapturesDataset(tmp_path, [scan, scan])) == (
        f"{tmp_path} holds scan 2 times: move all but one of them away"
    )


def test_arkitscenes_laser_depth_goes_first(tmp_path: Path) -> None:
    folder = files.write_arkitscenes(tmp_path)
    files.save(folder / "wide" / "40753679_10.000.png", files.colours())
    files.save(folder / "highres_depth" / "40753679_10.000.png", np.full((48, 64), 2500, np.uint16))
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ["40753679/40753679_10.000"] and dataset.official_splits == ["train"]
    sample = dataset[0]
    assert float(sample.depth_m.min()) == 2.5 and sample.intrinsics.isnan().all()


def test_an_unpacked_r3d_is_read_too(tmp_path: Path) -> None:
    from zipfile import ZipFile

    with ZipFile(files.write_r3d(tmp_path / "room.r3d")) as file:
        file.extractall(tmp_path / "room")
    sample = open_dataset(tmp_path / "room")[1]
    assert sample.id == "room/1" and sample.intrinsics[0].tolist() == [61, 0, 30] and not sample.valid[0, 0, 1]


@pytest.mark.parametrize(("up", "turns"), [((0, -1), 0), ((1, 0), 1), ((0, 1), 2), ((-1, 0), 3)])
def test_quarter_turns_bring_up_to_the_top(up: tuple[int, int], turns: int) -> None:
    pose = np.eye(4)
    assert turns_upright(pose, (*up, 0)) == turns
    assert turns_upright(turned_pose(pose, turns), (*up, 0)) == 0
    assert turns_upright(pose, (0.1 * up[0], 0.1 * up[1], 1)) == 0  # it looks down


def test_a_matrix_that_is_no_rotation_is_no_pose() -> None:
    assert pose_of_matrix(np.zeros(16)) is None and pose_of_matrix(np.eye(4)[:3]) is not None


def edited(path: Path, **values: object) -> None:
    """Change a JSON file; None takes a name away."""
    tree = {**json.loads(path.read_text(encoding="utf-8")), **values}
    files.dump(path, {name: value for name, value in tree.items() if value is not None})


def test_frames_whose_picture_is_missing_are_left_out(tmp_path: Path) -> None:
    root = files.write_record3d_export(tmp_path / "room")
    (root / "EXR_RGBD" / "rgb" / "3.jpg").unlink()
    assert open_dataset(root).ids == ["room/0", "room/1"]


def test_an_empty_line_of_odometry_is_passed_over(tmp_path: Path) -> None:
    root = files.write_stray(tmp_path / "room")
    path = root / "odometry.csv"
    path.write_text(path.read_text(encoding="utf-8") + "\n \n", encoding="utf-8")
    assert len(open_dataset(root)) == 5


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"K": [0.8, 0, 0, 0, 0.8, 0, 0.5, 0.5, 1]}, "no camera has a focal length of 0.8 px"),
        ({"w": 48, "h": 64}, "is of 48×64 pixels, another aspect than its picture of 64×48"),
    ],
)
def test_a_camera_that_its_picture_cannot_have_is_refused(
    tmp_path: Path, changed: dict[str, object], reason: str
) -> None:
    root = files.write_record3d_export(tmp_path / "room")
    edited(root / "EXR_RGBD" / "metadata.json", **changed)
    assert reason in refusal(lambda: open_dataset(root)[0])


def test_scannets_camera_is_of_the_sensor_where_colour_was_made_smaller(tmp_path: Path) -> None:
    root = files.write_scannet(tmp_path / "room")
    np.savetxt(root / "intrinsic" / "intrinsic_color.txt", [[1170, 0, 647.5, 0], [0, 1171, 483.5, 0], *np.eye(4)[2:]])
    fx, fy = 1170 * 64 / 1296, 1171 * 48 / 968
    matrix = open_dataset(root)[0].intrinsics
    np.testing.assert_allclose(matrix, [[fx, 0, 31.5], [0, fy, 23.5], [0, 0, 1]], rtol=1e-6)


def test_scannets_colour_may_be_png(tmp_path: Path) -> None:
    root = files.write_scannet(tmp_path / "room")
    for path in list((root / "color").iterdir()):
        files.save(path.with_suffix(".png"), files.colours())
        path.unlink()
    assert open_dataset(root).ids == ["room/0", "room/1", "room/10"]


@pytest.mark.parametrize("below", ["", "scene{}/"], ids=["beside", "folders"])
def test_all_sens_files_of_a_folder_are_a_set(tmp_path: Path, below: str) -> None:
    for number in range(2):
        path = tmp_path / f"{below.format(number)}scene{number}.sens"
        path.parent.mkdir(exist_ok=True)
        files.write_sens(path)
    dataset = open_dataset(tmp_path)
    assert dataset.ids == ["scene0/0", "scene0/1", "scene1/0", "scene1/1"]
    assert dataset.scenes == ["scene0", "scene0", "scene1", "scene1"] and dataset[3].id == "scene1/1"


@pytest.mark.parametrize("changed", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_nerfstudios_fisheyes_are_no_pinholes(tmp_path: Path, changed: dict[str, object]) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    edited(root / "transforms.json", **changed)
    assert "undistort the pictures and their depth first" in refusal(lambda: open_dataset(root))


def test_an_angle_of_view_tells_nerfs_focal_length(tmp_path: Path) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    edited(root / "transforms.json", fl_x=None, fl_y=None, cx=None, cy=None, camera_angle_x=2 * np.arctan(32 / 40))
    matrix = [[40, 0, 31.5], [0, 40, 23.5], [0, 0, 1]]
    np.testing.assert_allclose(open_dataset(root)[0].intrinsics, matrix, rtol=1e-6)
    edited(root / "transforms.json", w=None, h=None)  # as in NeRF's own files: the size is the picture's
    np.testing.assert_allclose(open_dataset(root)[0].intrinsics, matrix, rtol=1e-6)
    edited(root / "transforms.json", camera_angle_x=None, fl_x=40.0)  # the axis is in the middle
    np.testing.assert_allclose(open_dataset(root)[0].intrinsics, matrix, rtol=1e-6)
    edited(root / "transforms.json", fl_x=None)
    assert open_dataset(root)[0].intrinsics.isnan().all()


@pytest.mark.parametrize(
    "tells", [{"fl_x": 40, "fl_y": None}, {"fl_x": None, "camera_angle_x": 2 * np.arctan(32 / 40)}]
)
def test_nerfs_cameras_without_size_and_axis_are_of_their_pictures(tmp_path: Path, tells: dict[str, object]) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    edited(root / "transforms.json", cx=None, cy=None, w=None, h=None, **tells)
    sample = open_dataset(root)[0]
    assert sample.image.shape[-2:] == (48, 64)
    np.testing.assert_allclose(sample.intrinsics[[0, 0, 1], [0, 2, 2]], [40, 31.5, 23.5], rtol=1e-6)


@pytest.mark.parametrize("angle", [57.3, 65, 0, -1])
def test_an_angle_of_view_in_degrees_is_refused(tmp_path: Path, angle: float) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    edited(root / "transforms.json", fl_x=None, fl_y=None, camera_angle_x=angle)
    assert f"an angle of view in radians, from 0 to 3.14, got {angle:g}" in refusal(lambda: open_dataset(root)[0])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"integer_depth_scale": 0}, "integer_depth_scale is metres a step and positive, got 0"),
        ({"frames": ["a"]}, "a frame has names and values in braces, got 'a'"),
    ],
)
def test_impossible_values_of_nerfstudio_are_one_line(tmp_path: Path, changed: dict[str, object], reason: str) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    edited(root / "transforms.json", **changed)
    assert reason in refusal(lambda: open_dataset(root))


@pytest.mark.parametrize("matrix", [[[1, 0], [0, 1]], [[1], [2, 3]], "words", [["a"] * 4] * 4])
def test_a_pose_that_is_no_matrix_is_one_line(tmp_path: Path, matrix: object) -> None:
    root = files.write_nerfstudio(tmp_path / "room")
    frames = json.loads((root / "transforms.json").read_text(encoding="utf-8"))["frames"]
    edited(root / "transforms.json", frames=[{**frames[0], "transform_matrix": matrix}])
    assert "transform_matrix of images/frame_0 is no 4×4 numbers" in refusal(lambda: open_dataset(root).pose(0))


def test_the_workspace_of_colmaps_automatic_reconstruction_is_read(tmp_path: Path) -> None:
    files.write_colmap(tmp_path / "dense" / "0")
    assert open_dataset(tmp_path).ids == ["left/0", "left/1"]
    files.write_colmap(tmp_path / "dense" / "1")
    assert "holds the models 0, 1, each in axes of its own" in refusal(lambda: open_dataset(tmp_path))


def test_replicas_camera_is_of_the_rendered_size(tmp_path: Path) -> None:
    root = files.write_replica(tmp_path / "rooms")
    (root / "cam_params.json").unlink()
    path = root / "room0" / "results"
    files.save(path / "frame000000.jpg", files.colours(340, 600))
    files.save(path / "depth000000.png", np.ones((340, 600), np.uint16))
    matrix = open_dataset(root)[0].intrinsics
    np.testing.assert_allclose(matrix, [[300, 0, 299.5], [0, 300, 169.5], [0, 0, 1]], rtol=1e-6)


def test_arkitscenes_larger_pictures_do_where_the_small_ones_were_not_downloaded(tmp_path: Path) -> None:
    folder = files.write_arkitscenes(tmp_path / "videos")
    for name in ("", "_intrinsics"):
        (folder / f"lowres_wide{name}").rename(folder / f"vga_wide{name}")
    assert len(open_dataset(tmp_path / "videos")) == 3 and open_dataset(tmp_path / "videos")[0].camera is not None


def test_lost_tracking_told_in_zeros_or_nan_is_no_pose(tmp_path: Path) -> None:
    root = files.write_record3d_export(tmp_path / "room")
    edited(root / "EXR_RGBD" / "metadata.json", poses=[[0] * 7] * 4)
    assert open_dataset(root).pose(0) is None
    stray = files.write_stray(tmp_path / "stray", 2)
    lines = ["", "100, 000000, 0, 0, 0, nan, nan, nan, nan", "100.1, 000001, 0, 0, 0, 0, 0, 0, 1"]
    (stray / "odometry.csv").write_text("\n".join(lines), encoding="utf-8")
    assert open_dataset(stray).pose(0) is None and open_dataset(stray).pose(1).tolist() == np.eye(4).tolist()


def test_lists_of_record3d_that_are_null_are_as_if_missing(tmp_path: Path) -> None:
    root = files.write_record3d_export(tmp_path / "room")
    path = root / "EXR_RGBD" / "metadata.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    files.dump(path, {**tree, "poses": None, "frameTimestamps": None})
    dataset = open_dataset(root)
    assert dataset.pose(0) is None and dataset.time_s(2) == 3 / 60


def test_confidence_of_another_size_than_its_depth_is_one_line(tmp_path: Path) -> None:
    lzfse = pytest.importorskip("liblzfse", reason="needs LZFSE")
    path = files.write_r3d(tmp_path / "room.r3d")
    folder = tmp_path / "unpacked"
    with ZipFile(path) as file:
        file.extractall(folder)
    (folder / "rgbd" / "0.conf").write_bytes(lzfse.compress(bytes(48)))
    assert "0.conf must be 12×16 as its depth map is, got 3×16" in refusal(lambda: open_dataset(folder)[0])


@pytest.mark.parametrize(
    ("kind", "name", "content", "reason"),
    [
        ("stray", "odometry.csv", b"a\nnan, nan, 0, 0, 0, 0, 0, 0, 1\n", "line 2: wanted a time and a frame's number"),
        ("3d-scanner-app", "frame_00000.json", b'{"intrinsics": ["a",0,0,0,0,0,0,0,0]}', "must hold 9 numbers"),
        (
            "replica",
            "cam_params.json",
            b'{"camera": {"fx": 9, "fy": 9, "cx": 7, "cy": 5, "w": 16, "h": 12, "scale": 0}}',
            "scale is steps of depth a metre and positive, got 0",
        ),
    ],
)
def test_impossible_numbers_are_one_line(tmp_path: Path, kind: str, name: str, content: bytes, reason: str) -> None:
    assert reason in broken(CAPTURES[kind][0](tmp_path / "room"), name, content)


def test_an_empty_trajectory_tells_no_pose(tmp_path: Path) -> None:
    folder = files.write_arkitscenes(tmp_path / "videos")
    (folder / "lowres_wide.traj").write_bytes(b"")
    assert open_dataset(tmp_path / "videos").pose(0) is None


def test_steps_of_depth_are_those_that_a_sens_file_tells(tmp_path: Path) -> None:
    path = files.write_sens(tmp_path / "room.sens")
    thousand = struct.pack("<f", 1000)
    data = path.read_bytes()
    assert data.count(thousand) == 1
    path.write_bytes(data.replace(thousand, struct.pack("<f", 4000)))
    dataset = open_dataset(path)
    assert dataset.metres_per_unit == 1 / 4000 and float(dataset[0].depth_m.max()) == pytest.approx(1.5 / 4)
    path.write_bytes(data.replace(thousand, struct.pack("<f", 0)))
    assert "tells 0 steps of depth a metre" in refusal(lambda: open_dataset(path))


@pytest.mark.parametrize(("kind", "orientation"), [("nerfstudio", 3), ("colmap", 2), ("colmap", 3)])
def test_a_picture_that_exif_turns_away_from_its_depth_is_refused(tmp_path: Path, kind: str, orientation: int) -> None:
    root = CAPTURES[kind][0](tmp_path / "room")
    picture = open_dataset(root).picture_file(0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(picture).save(picture, exif=exif)
    assert "is turned by its EXIF block, and its depth says nothing of that" in refusal(lambda: open_dataset(root)[0])
