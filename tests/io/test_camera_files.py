import json
from pathlib import Path

import numpy as np
import pytest
import torch

from leadline.errors import LeadlineError
from leadline.io import camera_files
from leadline.io.camera_files import CameraFile, as_camera, camera_from_options, fit_camera, read_camera

FX, FY, CX, CY = 518.0, 519.5, 325.25, 253.75
MATRIX = [[FX, 0, CX], [0, FY, CY], [0, 0, 1]]
FLAT = [FX, 0, CX, 0, FY, CY, 0, 0, 1]
COLUMNS = [FX, 0, 0, 0, FY, 0, CX, CY, 1]  # as Open3D has it
OPENCV = f"""%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ {FX}, 0., {CX}, 0.,
       {FY}, {CY}, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ 0.1, 0., 0., 0., 0. ]
"""
ROS = f"height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: [0.0, 0.0]\nK: {FLAT}\nP: [1.0, 0.0]\n---\n"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (f"{FX} 0 {CX}\n0 {FY} {CY}\n0 0 1\n", None),
        (f"{FX},0,{CX}\r\n0,{FY},{CY}\r\n0,0,1\r\n", None),
        (f"# fx fy cx cy\n{FX} {FY} {CX} {CY}", None),
        (f"\ufeff{FX:.6e}, {FY:.6e}, {CX:.6e}, {CY:.6e}", None),
        (json.dumps({"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480}), (480, 640)),
        (json.dumps({"K": MATRIX}, indent="\t"), None),
        (json.dumps({"camera_matrix": FLAT, "width": 640, "height": 480}), (480, 640)),
        (json.dumps({"intrinsics": {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480}}), (480, 640)),
        (json.dumps(MATRIX), None),
        (json.dumps({"width": 640, "height": 480, "intrinsic_matrix": COLUMNS}), (480, 640)),
        (OPENCV, (480, 640)),
        (ROS, (480, 640)),
        (ROS.replace("K:", "k:"), (480, 640)),
        (ROS * 3, (480, 640)),
    ],
)  # fmt: skip
def test_the_usual_files_say_the_same(tmp_path: Path, text: str, size: tuple[int, int] | None) -> None:
    (tmp_path / "camera").write_text(text, encoding="utf-8")
    camera = read_camera(tmp_path / "camera")
    assert camera.matrix.tolist() == MATRIX
    assert camera.size == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 numbers"),
        ("1 2 3", "3 numbers"),
        ("500 0 320 0 500 240 0 0 2", "is no matrix"),
        ("500 0 320 0 -500 240 0 0 1", "is no matrix"),
        ("500 nan 320 240", "is no matrix"),
        ('{"fx": 500, "fy": 500}', "only the keys fx, fy"),
        ('{"fx": 500, "fy": 500, "cx": "left", "cy": 2}', "could not convert string to float: 'left'"),
        ('{"K": [[500, 0], [0, 500, 1]]}', "no camera file"),
        ('{"K": null}', "no camera file"),
        ('{"fx": 5, "fy": 5, "cx": 2, "cy": 2, "width": 0, "height": 4}', "a picture of 0×4 pixels"),
        ('{"fx": 5, "fy": 5, "cx": 2, "cy": 2, "width": 2000000, "height": 4}', "a picture of 2000000×4 pixels"),
        ('{"fx": 5, "fy": 5, "cx": 2, "cy": 2, "width": Infinity, "height": 4}', "cannot convert float infinity"),
        ('{"camera_angle_x": 60, "frames": []}', "60 is no angle in radians, which are degrees · 0.0175"),
        (f"{ROS}{ROS.replace('518.0', '900.0')}", "2 cameras that differ"),
        ("a camera", "no camera file"),
        ("a: [b", "no camera file"),
        ("\udcff", "no camera file"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "camera.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LeadlineError, match=r"camera\.json is no camera file .*: wanted the 9 numbers") as caught:
        read_camera(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_of_countless_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "camera.json").write_text("[" * 100_000)
    with pytest.raises(LeadlineError, match=r"camera\.json is no camera file"):
        read_camera(tmp_path / "camera.json")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="no camera file at .*: check the path"):
        read_camera(tmp_path / "nowhere.txt")
    with pytest.raises(LeadlineError, match="is no camera file"):
        read_camera(tmp_path)


def test_a_camera_follows_its_picture_to_another_size() -> None:
    camera = CameraFile(np.array(MATRIX), (480, 640))
    assert fit_camera(camera, 480, 640).matrix.tolist() == MATRIX
    # Half: x to (x + 0.5) / 2 - 0.5.
    assert fit_camera(camera, 240, 320).matrix.tolist() == [[259, 0, 162.375], [0, 259.75, 126.625], [0, 0, 1]]


@pytest.mark.parametrize(("size", "picture"), [((1080, 1920), (480, 853)), ((480, 853), (1080, 1920))])
def test_sizes_are_rounded_to_pixels(size: tuple[int, int], picture: tuple[int, int]) -> None:
    camera = CameraFile(np.array([[900.0, 0, size[1] / 2], [0, 900, size[0] / 2], [0, 0, 1]]), size)
    assert fit_camera(camera, *picture).fx == pytest.approx(900 * picture[1] / size[1])


@pytest.mark.parametrize("picture", [(640, 480), (480, 480), (480, 648)])
def test_another_shape_is_refused(picture: tuple[int, int]) -> None:
    height, width = picture
    with pytest.raises(
        LeadlineError, match=f"are for pictures of 640×480 pixels, got {width}×{height}, which is another"
    ):
        fit_camera(CameraFile(np.array(MATRIX), (480, 640)), height, width)


def test_a_picture_on_its_side_wants_the_camera_of_the_upright_one() -> None:
    with pytest.raises(LeadlineError, match="give those of the picture as it is looked at, upright"):
        fit_camera(CameraFile(np.array(MATRIX), (480, 640)), 640, 480)


@pytest.mark.parametrize("size", [None, (240, 320), (300, 330)])
def test_a_centre_out_of_the_middle_half_is_of_another_picture(size: tuple[int, int] | None) -> None:
    camera = CameraFile(np.array(MATRIX), size)
    height, width = size or (240, 320)
    with pytest.raises(
        LeadlineError, match=rf"\(325.25, 253.75\) is not within the middle half .* {width}×{height} .*"
    ):
        fit_camera(camera, height, width)
    # Of a part that was cut out, it is anywhere: (325.25 - 300, 253.75 - 200).
    part = camera._replace(size=(240, 320), window=(300, 200, 320, 240), full_size=(480, 640))
    assert fit_camera(part, 240, 320).matrix.tolist() == [[FX, 0, 25.25], [0, FY, 53.75], [0, 0, 1]]


def test_arrays_and_tensors_are_cameras(tmp_path: Path) -> None:
    for given in (np.array(MATRIX), torch.tensor(MATRIX), CameraFile(np.array(MATRIX))):
        assert as_camera(given).matrix.tolist() == MATRIX
    with pytest.raises(LeadlineError, match=r"no intrinsics \(8 numbers\): wanted a pinhole matrix \(3, 3\)"):
        as_camera(np.ones((2, 4)))


def test_each_way_to_tell_a_camera() -> None:
    assert camera_from_options() is None
    ways = (
        camera_from_options(focal_px=320.0),
        camera_from_options(fov_deg=90.0),
        camera_from_options(camera=np.array([[320, 0, 319.5], [0, 320, 239.5], [0, 0, 1]])),
    )
    for way in ways:
        assert way is not None
        np.testing.assert_allclose(way(480, 640).matrix, [[320, 0, 319.5], [0, 320, 239.5], [0, 0, 1]])


def test_one_way_at_a_time() -> None:
    with pytest.raises(LeadlineError, match=r"give the focal length \(5.0 px\) or the intrinsics, not both"):
        camera_from_options(focal_px=5.0, camera=np.eye(3))
    with pytest.raises(LeadlineError, match=r"the field of view \(60.0°\) or the intrinsics, not all"):
        camera_from_options(focal_px=5.0, fov_deg=60.0, camera=np.eye(3))
    for impossible in ({"focal_px": 0.0}, {"focal_px": float("inf")}, {"fov_deg": 180.0}):
        with pytest.raises(LeadlineError):
            camera_from_options(**impossible)  # type: ignore[arg-type]


def test_one_focal_length_for_several_sizes_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    way = camera_from_options(focal_px=500.0)
    assert way is not None
    for height, width in ((480, 640), (640, 480), (480, 640)):
        way(height, width)
    assert not caplog.records
    way(960, 1280)
    way(240, 320)
    (record,) = caplog.records
    assert "500 px is used for images of several sizes (640×480 and 1280×960)" in record.getMessage()


@pytest.mark.parametrize("options", [{"focal_px": 26.0}, {"fov_deg": 1.1}, {"fov_deg": 170.0}])
def test_told_numbers_are_judged(options: dict[str, float]) -> None:
    way = camera_from_options(**options)
    with pytest.raises(LeadlineError, match=r"no camera has a focal length|looks like radians"):
        assert way is not None
        way(480, 640)


@pytest.mark.parametrize(
    ("centre", "size", "is_told"),
    [
        ((319.5, 239.5), (720, 960), True),  # of 640×480, enlarged by 1.5
        ((319.5, 239.5), (400, 533), True),  # reduced by 1.2
        ((319.5, 239.5), (480, 640), False),
        ((300.0, 255.0), (480, 640), False),  # a usual calibration
        ((220.0, 239.5), (480, 640), False),  # cut at the left
    ],
)
def test_a_matrix_that_seems_to_be_of_another_size_is_told_once(
    centre: tuple[float, float],
    size: tuple[int, int],
    is_told: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(camera_files, "_told", [])
    stored = as_camera([[525, 0, centre[0]], [0, 525, centre[1]], [0, 0, 1]])
    for _ in range(2):
        assert fit_camera(stored, *size).focal_px == 525
    assert len(caplog.messages) == is_told
    assert all("if the intrinsics are of images of about 640×480" in message for message in caplog.messages)
    caplog.clear()
    fit_camera(stored._replace(size=size), *size)
    assert not caplog.messages
