"""Each program's camera file, as that program writes it; numbers by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from leadline.errors import LeadlineError
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import camera_from_options, fit_camera, read_camera
from leadline.io.camera_formats import COLMAP_PARAMETERS, lens_of

RADIAL, FISH_EYE = LensModel.RADIAL_TANGENTIAL, LensModel.KANNALA_BRANDT
FRAME = {"file_path": "images/1.jpg", "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}
NERFSTUDIO = {"fl_x": 500.0, "fl_y": 501.0, "cx": 320.0, "cy": 240.5, "w": 640, "h": 480, "frames": [FRAME, FRAME]}
KALIBR = """cam0:
  camera_model: pinhole
  intrinsics: [500.0, 501.0, 319.5, 240.0]
  distortion_model: {model}
  distortion_coeffs: [-0.27, 0.07, 0.001, 0.0]
  rostopic: /cam0/image_raw
  resolution: [640, 480]
"""
KITTI = """P0: 7.215377e+02 0 6.095593e+02 0 0 7.215377e+02 1.728540e+02 0 0 0 1 0
P2: 500 0 319.5 44.85728 0 501 240 0.2163791 0 0 1 0.002745884
R0_rect: 1 0 0 0 1 0 0 0 1
"""
REALSENSE = {"width": 640, "height": 480, "ppx": 319.5, "ppy": 240.0, "fx": 500.0, "fy": 501.0}
OPEN3D = {"width": 640, "height": 480, "intrinsic_matrix": [500.0, 0, 0, 0, 501.0, 0, 319.5, 240.0, 1]}
POLYCAM = {
    "fx": 500.0,
    "fy": 501.0,
    "cx": 319.5,
    "cy": 240.0,
    "width": 640,
    "height": 480,
    "t_00": 1.0,
    "blur_score": 90,
}


@pytest.mark.parametrize(
    ("text", "lens", "has_size"),
    [
        # COLMAP and nerfstudio have the centre of the upper left pixel at (0.5, 0.5).
        (json.dumps(NERFSTUDIO), None, True),
        (
            json.dumps({**NERFSTUDIO, "camera_model": "OPENCV", "k1": 0.1, "p2": 0.01}),
            Lens(RADIAL, (0.1, 0, 0, 0.01), "OPENCV"),
            True,
        ),
        (
            json.dumps({**NERFSTUDIO, "camera_model": "OPENCV_FISHEYE", "k1": 0.1}),
            Lens(FISH_EYE, (0.1,), "OPENCV_FISHEYE"),
            True,
        ),
        (json.dumps({"frames": [{**FRAME, **NERFSTUDIO, "frames": 0}] * 2}), None, True),
        ("# Camera list\n# Number of cameras: 1\n1 PINHOLE 640 480 500 501 320 240.5\n", None, True),
        ("1 OPENCV 640 480 500 501 320 240.5 0.1 0.02 0 0\n", Lens(RADIAL, (0.1, 0.02), "OPENCV"), True),
        (
            "1 OPENCV_FISHEYE 640 480 500 501 320 240.5 0.1 0 0 0.04",
            Lens(FISH_EYE, (0.1, 0, 0, 0.04), "OPENCV_FISHEYE"),
            True,
        ),
        ("1 FOV 640 480 500 501 320 240.5 0.9", Lens(LensModel.OTHER, (), "FOV"), True),
        (KALIBR.format(model="radtan"), Lens(RADIAL, (-0.27, 0.07, 0.001), "radtan"), True),
        (KALIBR.format(model="equidistant"), Lens(FISH_EYE, (-0.27, 0.07, 0.001), "equidistant"), True),
        (
            KALIBR.replace("pinhole", "omni").replace("[500", "[0.8, 500").format(model="radtan"),
            Lens(LensModel.OTHER, (), "omni"),
            True,
        ),
        (KITTI, None, False),
        ("S_rect_02: 640 480\nP_rect_02: 500 0 319.5 45 0 501 240 0.2 0 0 1 0.003\n", None, True),
        ("500 0 319.5 0\n0 501 240 0\n0 0 1 0\n0 0 0 1\n", None, False),
        (json.dumps(REALSENSE), None, True),
        (json.dumps({**REALSENSE, "model": "distortion.inverse_brown_conrady", "coeffs": [0, 0, 0, 0, 0]}), None, True),
        (
            json.dumps({**REALSENSE, "model": "Brown Conrady", "coeffs": [0.1, 0, 0, 0, 0]}),
            Lens(RADIAL, (0.1,), "Brown Conrady"),
            True,
        ),
        (
            json.dumps({**REALSENSE, "model": "Inverse Brown Conrady", "coeffs": [0.1, 0, 0, 0, 0]}),
            Lens(LensModel.INVERSE_RADIAL_TANGENTIAL, (0.1,), "Inverse Brown Conrady"),
            True,
        ),
        (json.dumps({"parameters": [{"extrinsic": [1], "intrinsic": OPEN3D}] * 2}), None, True),
        (json.dumps(POLYCAM), None, True),
    ],
)
def test_other_programs_files_say_the_same(tmp_path: Path, text: str, lens: Lens | None, has_size: bool) -> None:
    (tmp_path / "camera").write_text(text)
    camera = read_camera(tmp_path / "camera")
    assert camera.matrix.tolist() == [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]]
    assert camera.size == ((480, 640) if has_size else None)
    assert camera.lens == lens


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            json.dumps({"frames": [{**FRAME, **NERFSTUDIO}, {**FRAME, **NERFSTUDIO, "fl_x": 600}]}),
            "2 cameras that differ",
        ),
        ("1 PINHOLE 640 480 500 501 320 240\n2 PINHOLE 640 480 500 501 300 240\n", "2 cameras that differ"),
        ("1 OPENCV 640 480 500 501 320 240\n", "OPENCV has fx fy cx cy k1 k2 p1 p2, got 4 numbers"),
        (json.dumps({"camera_angle_x": 1.0, "frames": [FRAME]}), "give --fov 57.30"),
        ("1 0 0 5\n0 1 0 6\n0 0 1 7\n0 0 0 1\n", "is a pose"),
        (json.dumps({**REALSENSE, "coeffs": [float("nan")]}), "not finite"),
    ],
)
def test_what_tells_no_one_camera_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "camera").write_text(text)
    with pytest.raises(LeadlineError, match="is no camera file") as caught:
        read_camera(tmp_path / "camera")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def ros(**more: Any) -> str:
    return json.dumps(
        {"width": 1280, "height": 960, "K": [1040.0, 0, 639.5, 0, 1040.0, 479.5, 0, 0, 1], "D": [], **more}
    )


WINDOW = {"x_offset": 320, "y_offset": 600, "width": 640, "height": 360, "do_rectify": False}


@pytest.mark.parametrize(
    ("more", "size", "wanted"),
    [
        ({"roi": {**dict.fromkeys(WINDOW, 0)}}, (960, 1280), (1040, 639.5, 479.5)),
        ({"roi": WINDOW}, (360, 640), (1040, 319.5, -120.5)),
        # Binning by 2 after cutting: (319.5 + 0.5) / 2 - 0.5.
        ({"roi": WINDOW, "binning_x": 2, "binning_y": 2}, (180, 320), (520, 159.5, -60.5)),
        ({"binning_x": 2, "binning_y": 2}, (480, 640), (520, 319.5, 239.5)),
    ],
)
def test_a_region_of_interest_is_cut_not_resized(
    tmp_path: Path, more: dict[str, Any], size: tuple[int, int], wanted: tuple[float, ...]
) -> None:
    (tmp_path / "info.yaml").write_text(ros(**more))
    camera = fit_camera(read_camera(tmp_path / "info.yaml"), *size)
    assert (camera.fx, camera.cx, camera.cy) == wanted


def test_a_region_outside_of_its_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "info.yaml").write_text(ros(roi={**WINDOW, "y_offset": 700}))
    with pytest.raises(LeadlineError, match="region of interest that is not within its image of 1280×960"):
        read_camera(tmp_path / "info.yaml")


def test_undistorting_needs_coefficients(tmp_path: Path) -> None:
    (tmp_path / "plain.json").write_text(json.dumps(POLYCAM))
    (tmp_path / "bent.yaml").write_text(KALIBR.format(model="radtan"))
    with pytest.raises(LeadlineError, match="these intrinsics have no distortion, wanted OpenCV's"):
        camera_from_options(camera=tmp_path / "plain.json", undistort=True)
    with pytest.raises(LeadlineError, match="give --intrinsics"):
        camera_from_options(focal_px=500, undistort=True)
    given = camera_from_options(camera=tmp_path / "bent.yaml", undistort=True)
    assert given is not None and given(480, 640).undistort and given(240, 320).lens == given(480, 640).lens


@pytest.mark.parametrize("key", ["resolution", "image_size", "img_size", "imageSize", "imageResolution"])
def test_a_size_kept_together_is_width_and_height(tmp_path: Path, key: str) -> None:
    whole = {"K": [[1000, 0, 639.5], [0, 1000, 479.5], [0, 0, 1]], key: [1280, 960]}
    (tmp_path / "camera.json").write_text(json.dumps(whole))
    assert fit_camera(read_camera(tmp_path / "camera.json"), 480, 640).focal_px == pytest.approx(500)


def test_a_field_of_view_with_a_size_is_a_focal_length(tmp_path: Path) -> None:
    blender = {"camera_angle_x": 2 * math.atan(0.5), "w": 640, "h": 480, "frames": [FRAME]}
    (tmp_path / "transforms.json").write_text(json.dumps(blender))
    camera = fit_camera(read_camera(tmp_path / "transforms.json"), 240, 320)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((320, 320, 159.5, 119.5))


def test_intrinsics_without_frames_are_read(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps({**NERFSTUDIO, "frames": []}))
    assert read_camera(tmp_path / "transforms.json").matrix[0].tolist() == [500, 0, 319.5]


OPENSFM = {"width": 640, "height": 480, "focal": 0.8, "k1": 0.0, "k2": 0.0}
BROWN = {
    **{"projection_type": "brown", "width": 640, "height": 480, "focal_x": 0.8, "focal_y": 0.75, "c_x": 0.01},
    **{"c_y": -0.02, "k1": 0.1, "k2": 0.0, "k3": 0.3, "p1": 0.01, "p2": 0.02},
}


def opensfm(folder: Path, tree: Any) -> Any:
    path = folder / "camera_models.json"
    path.write_text(json.dumps(tree))
    return read_camera(path)


def test_opensfm_counts_in_larger_sides_from_the_middle(tmp_path: Path) -> None:
    camera = opensfm(tmp_path, {"v2 apple iphone 640 480": {**OPENSFM, "projection_type": "perspective"}})
    assert camera.matrix.tolist() == [[512, 0, 319.5], [0, 512, 239.5], [0, 0, 1]]  # 0.8 · 640
    assert camera.size == (480, 640) and camera.lens is None
    upright = opensfm(tmp_path, {"a": {**OPENSFM, "width": 480, "height": 640}})  # the kind may be left out
    assert upright.matrix.tolist() == [[512, 0, 239.5], [0, 512, 319.5], [0, 0, 1]]
    brown = opensfm(tmp_path, {"a": BROWN})
    assert brown.matrix.tolist() == [[512, 0, 319.5 + 6.4], [0, 480, 239.5 - 12.8], [0, 0, 1]]
    assert brown.lens is not None and brown.lens.coefficients == (0.1, 0, 0.01, 0.02, 0.3)


def test_opensfms_reconstructions_hold_its_cameras(tmp_path: Path) -> None:
    one = {"cameras": {"a": OPENSFM}, "shots": {"1.jpg": {"camera": "a"}}, "points": {}}
    assert opensfm(tmp_path, [one, one]).matrix[0, 0] == 512
    with pytest.raises(LeadlineError, match="2 cameras that differ"):
        opensfm(tmp_path, [{**one, "cameras": {"a": OPENSFM, "b": {**OPENSFM, "focal": 0.9}}}])


def test_opensfms_fish_eyes_and_panoramas(tmp_path: Path) -> None:
    fish_eye = opensfm(tmp_path, {"a": {**OPENSFM, "projection_type": "fisheye", "k1": 0.1}})
    assert fish_eye.lens == Lens(FISH_EYE, (0.1,), "fisheye")
    dual = fit_camera(opensfm(tmp_path, {"a": {**OPENSFM, "projection_type": "dual"}}), 480, 640)
    assert not dual.is_pinhole
    with pytest.raises(LeadlineError, match="a spherical camera of OpenSfM's, wanted one with a focal length"):
        opensfm(tmp_path, {"a": {"projection_type": "spherical", "width": 640, "height": 320}})
    with pytest.raises(LeadlineError, match="a share of the larger side, got 512: write fx, fy, cx and cy"):
        opensfm(tmp_path, {"a": {**OPENSFM, "focal": 512}})


ORB_SLAM_2 = """%YAML:1.0
#---- Camera Parameters
Camera.fx: 500.0
Camera.fy: 501.0
Camera.cx: 319.5
Camera.cy: 240.0
Camera.k1: 0.25
Camera.k2: -0.5
Camera.p1: 0.0
Camera.p2: 0.0
Camera.k3: 1.0
Camera.fps: 30.0
Camera.RGB: 1
ORBextractor.nFeatures: 1000
"""
ORB_SLAM_3 = """%YAML:1.0
File.version: "1.0"
Camera.type: "{kind}"
Camera1.fx: 500.0
Camera1.fy: 501.0
Camera1.cx: 319.5
Camera1.cy: 240.0
Camera1.k1: 0.25
{more}
Camera.width: 640
Camera.height: 480
Camera.newWidth: 320
Camera.newHeight: 240
IMU.T_b_c1: !!opencv-matrix
   rows: 1
   cols: 2
   dt: f
   data: [0.01, -0.9]
"""


def test_orb_slams_settings(tmp_path: Path) -> None:
    def read(text: str) -> Any:
        (tmp_path / "camera.yaml").write_text(text)
        return read_camera(tmp_path / "camera.yaml")

    wanted = [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]]
    second = read(ORB_SLAM_2)
    assert second.matrix.tolist() == wanted and second.size is None
    assert second.lens == Lens(RADIAL, (0.25, -0.5, 0, 0, 1.0))
    third = read(ORB_SLAM_3.format(kind="PinHole", more=""))
    assert third.matrix.tolist() == wanted and third.size == (480, 640)  # the images as they come
    assert third.lens == Lens(RADIAL, (0.25,), "PinHole")
    fish_eye = read(ORB_SLAM_3.format(kind="KannalaBrandt8", more="Camera1.k4: 0.5"))
    assert fish_eye.lens == Lens(FISH_EYE, (0.25, 0, 0, 0.5), "KannalaBrandt8")
    other = "Camera2.fx: 510.0\nCamera2.fy: 510.0\nCamera2.cx: 319.5\nCamera2.cy: 240.0"
    with pytest.raises(LeadlineError, match="2 cameras that differ"):
        read(ORB_SLAM_3.format(kind="PinHole", more=other))


K = [[500.0, 0, 319.5], [0, 501.0, 240.0], [0, 0, 1]]
PLAIN = {"fx": 500.0, "fy": 501.0, "cx": 319.5, "cy": 240.0}


@pytest.mark.parametrize(
    "key", ["dist_coeff", "dist", "dist_coeffs", "distCoeffs", "distortionCoefficients", "Distortion_Coefficients"]
)
def test_coefficients_count_however_their_key_is_written(tmp_path: Path, key: str) -> None:
    """A k1 of -0.4 moves the corners by more than a pinhole's may, which no other spelling of the key hides."""
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"camera_matrix": K, key: [[-0.4, 0.15, 0, 0, 0]]}))

    stored = read_camera(path)

    assert stored.lens == Lens(RADIAL, (-0.4, 0.15))
    assert not fit_camera(stored, 480, 640).is_pinhole


@pytest.mark.parametrize(
    "told",
    [
        {"imageWidth": 640, "imageHeight": 480},
        {"W": 640, "H": 480},
        {"img_w": 640, "img_h": 480},
        {"resolution": {"width": 640, "height": 480}},
        {"image_size": {"width": 640, "height": 480}},
        {"intrinsicMatrixReferenceDimensions": {"width": 640, "height": 480}},
    ],
)
def test_a_size_counts_however_its_key_is_written(tmp_path: Path, told: dict[str, Any]) -> None:
    """Of an image 0.9 times as wide the focal length is 0.9 times as long: 450, not 500."""
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({"K": K, **told}))

    assert fit_camera(read_camera(path), 432, 576).fx == pytest.approx(450)


@pytest.mark.parametrize(
    ("told", "model"),
    [
        ({"camera_type": "ds", "intrinsics": {**PLAIN, "xi": -0.2, "alpha": 0.6}}, LensModel.OTHER),
        ({**PLAIN, "type": "fisheye"}, FISH_EYE),
        ({**PLAIN, "cameraModel": "OPENCV_FISHEYE", "k1": 0.1}, FISH_EYE),
        ({**PLAIN, "projection": "equirectangular", "type": "color"}, LensModel.PANORAMA),
    ],
)
def test_a_model_counts_however_its_key_is_written(tmp_path: Path, told: dict[str, Any], model: LensModel) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(told))

    lens = read_camera(path).lens

    assert lens is not None
    assert lens.model is model


def test_a_type_that_is_no_lens_tells_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({**PLAIN, "type": "color", "lens": "main"}))

    assert read_camera(path).lens is None


@pytest.mark.parametrize("key", ["mtx", "cam_K", "camera_intrinsic"])
def test_more_names_of_the_matrix(tmp_path: Path, key: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(json.dumps({key: K}))

    assert read_camera(path).matrix.tolist() == K


@pytest.mark.parametrize("tells", [{"model": "iPhone 14 Pro"}, {"lensModel": "iPhone 14 Pro back camera 6.86mm"}])
def test_the_name_of_a_telephone_is_no_model_of_a_lens(tells: dict[str, str]) -> None:
    assert lens_of({"fx": 500, "fy": 500, "cx": 320, "cy": 240, **tells}) is None
    wide = lens_of({"fx": 500, "model": "fisheye_of_ours", "camera_model": "fisheye_of_ours"})
    assert wide is not None and wide.model is LensModel.OTHER


OPENCV_YAML = """%YAML:1.0
---
{words}
image_Width: 640
image_Height: 480
{matrix}: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [500, 0, 319.5, 0, 501, 240, 0, 0, 1]
Distortion_Coefficients: !!opencv-matrix
   rows: 4
   cols: 1
   dt: d
   data: [0.1, 0.02, 0.003, 0.004]
"""


@pytest.mark.parametrize(("said", "model"), [(1, FISH_EYE), (0, RADIAL)])
def test_opencvs_sample_says_of_four_coefficients_whose_they_are(tmp_path: Path, said: int, model: LensModel) -> None:
    (tmp_path / "camera").write_text(OPENCV_YAML.format(words=f"fisheye_model: {said}", matrix="camera_matrix"))
    lens = read_camera(tmp_path / "camera").lens
    assert lens is not None and (lens.model, lens.coefficients) == (model, (0.1, 0.02, 0.003, 0.004))


@pytest.mark.parametrize("key", ["Camera_Matrix", "CameraMatrix", "Camera Matrix", "IntrinsicMatrix"])
def test_a_matrix_counts_however_its_key_is_written(tmp_path: Path, key: str) -> None:
    (tmp_path / "camera").write_text(OPENCV_YAML.format(words="nframes: 20", matrix=key))
    camera = read_camera(tmp_path / "camera")
    assert camera.matrix.tolist() == [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]] and camera.size == (480, 640)


@pytest.mark.parametrize("height_first", [True, False])
def test_the_axis_tells_whether_the_height_stands_first(tmp_path: Path, height_first: bool) -> None:
    matlab = {
        "IntrinsicMatrix": [[500, 0, 0], [0, 501, 0], [319.5, 240, 1]],
        "ImageSize": [480, 640] if height_first else [640, 480],
        "RadialDistortion": [0.1, 0.02, 0.03],
        "TangentialDistortion": [0.001, 0.002],
    }
    (tmp_path / "camera").write_text(json.dumps(matlab))
    camera = read_camera(tmp_path / "camera")
    assert camera.size == (480, 640)
    assert camera.lens == Lens(RADIAL, (0.1, 0.02, 0.001, 0.002, 0.03))


def test_a_size_before_four_numbers_is_arkitscenes(tmp_path: Path) -> None:
    (tmp_path / "1.pincam").write_text("640 480 500 501 319.5 240\n")
    camera = read_camera(tmp_path / "1.pincam")
    assert camera.size == (480, 640) and camera.matrix.tolist() == [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]]
    for text in ("500,0 0,0 319,5", "500 500 319.5 240 0.1 -0.2"):  # with commas for points; with distortion behind
        (tmp_path / "1.pincam").write_text(text)
        with pytest.raises(LeadlineError, match="6 numbers"):
            read_camera(tmp_path / "1.pincam")


@pytest.mark.parametrize("width", [640.0, "640", "640.0"])
def test_a_size_is_whole_pixels_however_it_is_written(tmp_path: Path, width: float | str) -> None:
    (tmp_path / "camera").write_text(json.dumps({**POLYCAM, "width": width}))
    assert read_camera(tmp_path / "camera").size == (480, 640)


def test_openvslams_settings_lie_below_camera_and_have_columns_and_rows(tmp_path: Path) -> None:
    values = {"model": "fisheye", "fx": 500, "fy": 501, "cx": 319.5, "cy": 240, "k1": 0.1, "cols": 640, "rows": 480}
    for text in (
        json.dumps({"Camera": values, "Tracking": {"max_num_keypoints": 1000}}),
        json.dumps({f"Camera.{key}": value for key, value in values.items()}),
    ):
        (tmp_path / "camera").write_text(text)
        camera = read_camera(tmp_path / "camera")
        assert camera.size == (480, 640) and camera.lens == Lens(FISH_EYE, (0.1,), "fisheye")


@pytest.mark.parametrize("model", ["RAD_TAN_THIN_PRISM_FISHEYE", "SIMPLE_FISHEYE", "DIVISION", "EUCM"])
def test_colmaps_newer_models(tmp_path: Path, model: str) -> None:
    names = COLMAP_PARAMETERS[model].split()
    given = {"f": "500", "fx": "500", "fy": "500", "cx": "320", "cy": "240.5"}
    (tmp_path / "camera").write_text(f"1 {model} 640 480 {' '.join(given.get(name, '0.1') for name in names)}\n")
    camera = read_camera(tmp_path / "camera")
    assert camera.matrix.tolist() == [[500, 0, 319.5], [0, 500, 240], [0, 0, 1]]
    assert camera.lens is not None and camera.lens.model is (FISH_EYE if model == "SIMPLE_FISHEYE" else LensModel.OTHER)


@pytest.mark.parametrize(
    "told",
    [
        {"focalLength": [500, 501], "principalPoint": [319.5, 240], "imageDimensions": [640, 480]},
        {"FocalLength": [500, 501], "PrincipalPoint": [319.5, 240], "ImageSize": [480, 640], "Skew": 0},
    ],
)
def test_a_focal_length_beside_the_axis_is_a_camera(tmp_path: Path, told: dict[str, Any]) -> None:
    (tmp_path / "camera").write_text(json.dumps(told))
    camera = read_camera(tmp_path / "camera")
    assert camera.matrix.tolist() == [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]] and camera.size == (480, 640)
    (tmp_path / "camera").write_text(json.dumps({**told, next(iter(told)): 500}))
    assert read_camera(tmp_path / "camera").matrix[1, 1] == 500


def test_a_focal_length_in_millimetres_beside_the_axis_is_none_in_pixels(tmp_path: Path) -> None:
    (tmp_path / "camera").write_text(json.dumps({"focalLength": "4.2", "principalPoint": ["319", "240"]}))
    with pytest.raises(LeadlineError, match="it looks like millimetres"):
        fit_camera(read_camera(tmp_path / "camera"), 480, 640)
