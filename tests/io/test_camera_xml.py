"""Camera files as XML; numbers by hand."""

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.lens import Lens, LensModel
from leadline.io.camera_files import camera_from_options, fit_camera, read_camera

NUMBERS = "<f>500</f><cx>-4</cx><cy>3</cy><b1>2</b1><b2>0.5</b2>"
SENSOR = """<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0"><chunk label="Chunk 1"><sensors>
<sensor id="0" label="phone" type="{kind}">
  <resolution width="640" height="480"/><property name="pixel_width" value="0.001"/>
  <calibration type="{kind}" class="initial"><resolution width="640" height="480"/><f>444</f></calibration>
  <calibration type="{kind}" class="adjusted"><resolution width="640" height="480"/>{numbers}</calibration>
</sensor>{more}<sensor id="9" label="unknown" type="frame"><resolution width="640" height="480"/></sensor>
</sensors><cameras/></chunk></document>
"""
OTHER = """<sensor id="1" type="frame"><calibration type="frame" class="adjusted">
<resolution width="640" height="480"/><f>700</f></calibration></sensor>"""
OPENCV = """<?xml version="1.0"?>
<opencv_storage>
<image_Width>640</image_Width><image_Height>480</image_Height>
<Camera_Matrix type_id="opencv-matrix"><rows>3</rows><cols>3</cols><dt>d</dt>
  <data>500. 0. 319.5 0. 501. 240. 0. 0. 1.</data></Camera_Matrix>
<Distortion_Coefficients type_id="opencv-matrix"><rows>5</rows><cols>1</cols><dt>d</dt>
  <data>-0.25 0.0625 0. 0. 0.</data></Distortion_Coefficients>
</opencv_storage>
"""


def sensor(kind: str = "frame", numbers: str = NUMBERS, more: str = "") -> str:
    return SENSOR.format(kind=kind, numbers=numbers, more=more)


def written(folder: Path, text: str) -> Path:
    path = folder / "cameras.xml"
    path.write_text(text)
    return path


def test_metashape_tells_the_axis_from_the_middle(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path, sensor()))
    # 640 / 2 - 4 and 480 / 2 + 3, where the upper left pixel's centre is (0.5, 0.5); fx is f + b1, b2 is the skew
    np.testing.assert_allclose(camera.matrix, [[502, 0.5, 315.5], [0, 500, 242.5], [0, 0, 1]])
    assert camera.size == (480, 640) and camera.lens is None


def test_a_calibration_alone_is_read_too(tmp_path: Path) -> None:
    text = f"<calibration><projection>frame</projection><width>640</width><height>480</height>{NUMBERS}</calibration>"
    np.testing.assert_allclose(read_camera(written(tmp_path, text)).matrix[0], [502, 0.5, 315.5])


def test_photoscan_of_old_tells_it_from_the_edge_and_has_opencvs_order(tmp_path: Path) -> None:
    numbers = "<fx>500</fx><fy>501</fy><cx>320</cx><cy>240.5</cy><skew>0</skew><k1>0.1</k1><p1>0.01</p1><p2>0.02</p2>"
    camera = read_camera(written(tmp_path, sensor(numbers=numbers)))
    np.testing.assert_allclose(camera.matrix, [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]])
    assert camera.lens == Lens(LensModel.RADIAL_TANGENTIAL, (0.1, 0, 0.01, 0.02, 0))


def test_metashapes_p1_and_p2_are_opencvs_p2_and_p1(tmp_path: Path) -> None:
    numbers = NUMBERS + "<k1>0.1</k1><k2>0.2</k2><k3>0.3</k3><p1>0.01</p1><p2>0.02</p2>"
    lens = read_camera(written(tmp_path, sensor(numbers=numbers))).lens
    assert lens == Lens(LensModel.RADIAL_TANGENTIAL, (0.1, 0.2, 0.02, 0.01, 0.3))
    x, y = np.array([0.5]), np.array([0.25])
    r2 = 0.3125
    radial = 1 + 0.1 * r2 + 0.2 * r2**2 + 0.3 * r2**3
    # Metashape's manual: x' = x (1 + …) + P1 (r² + 2x²) + 2 P2 xy, and y' with P1 and P2 changed
    seen_x, seen_y = lens.distorted(x, y)
    assert seen_x[0] == pytest.approx(0.5 * radial + 0.01 * (r2 + 0.5) + 2 * 0.02 * 0.125)
    assert seen_y[0] == pytest.approx(0.25 * radial + 0.02 * (r2 + 0.125) + 2 * 0.01 * 0.125)


def test_metashapes_fish_eye_is_known_and_what_opencv_lacks_is_no_pinhole(tmp_path: Path) -> None:
    fish_eye = read_camera(written(tmp_path, sensor("fisheye", NUMBERS + "<k1>0.1</k1><k4>0.2</k4>")))
    assert fish_eye.lens == Lens(LensModel.KANNALA_BRANDT, (0.1, 0, 0, 0.2))
    for kind, numbers in (("frame", "<k4>0.1</k4>"), ("frame", "<p3>0.1</p3>"), ("fisheye", "<p1>0.1</p1>")):
        camera = fit_camera(read_camera(written(tmp_path, sensor(kind, NUMBERS + numbers))), 480, 640)
        assert camera.lens is not None and camera.lens.model is LensModel.OTHER and not camera.is_pinhole
        with pytest.raises(LeadlineError, match="more coefficients than OpenCV's"):
            camera_from_options(camera=written(tmp_path, sensor(kind, NUMBERS + numbers)), undistort=True)


def test_opencvs_storage(tmp_path: Path) -> None:
    camera = read_camera(written(tmp_path, OPENCV))
    np.testing.assert_allclose(camera.matrix, [[500, 0, 319.5], [0, 501, 240], [0, 0, 1]])
    assert camera.size == (480, 640) and camera.lens == Lens(LensModel.RADIAL_TANGENTIAL, (-0.25, 0.0625))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (sensor("spherical"), "a spherical camera of Metashape's has no focal length"),
        (sensor(more=OTHER), "2 cameras that differ"),
        (sensor(numbers=""), "no matrix|'fx'"),
        (sensor(numbers="<f>nan</f>"), "no matrix"),
        ("<document><chunk/></document>", "XML of <document> without a calibration"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><document/>', "entities"),
        ("<document", "no camera file"),
        ("<calibration><f>500</f></calibration>", "width and height"),
    ],
)
def test_others_are_refused_in_one_line(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match=reason) as told:
        read_camera(written(tmp_path, text))
    assert "\n" not in str(told.value)
