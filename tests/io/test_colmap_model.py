import struct
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.lens import Lens, LensModel
from leadline.io.colmap_model import read_colmap_model

HALF = 0.5**0.5
QUATERNION, SHIFT = (HALF, HALF, 0.0, 0.0), (0.1, 0.2, 3.0)
POINTS = {7: (1.0, 2.0, 3.0), 9: (0.0, -1.0, 0.5)}
SEEN = [(10.5, 20.5, 7), (3.0, 4.0, -1), (30.5, 40.5, 9)]


def write_text(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "cameras.txt").write_text("# cameras\n1 SIMPLE_RADIAL 640 480 500 320.5 240.5 0.01\n")
    pose = " ".join(map(str, (*QUATERNION, *SHIFT)))
    seen = " ".join(f"{x} {y} {point}" for x, y, point in SEEN)
    (folder / "images.txt").write_text(f"# images\n1 {pose} 1 room/a b.jpg\n{seen}\n2 {pose} 1 none.jpg\n\n")
    points = "".join(f"{number} {x} {y} {z} 0 0 0 0.1 1 0\n" for number, (x, y, z) in POINTS.items())
    (folder / "points3D.txt").write_text(points)


def write_binary(folder: Path) -> None:
    folder.mkdir(parents=True)
    camera = struct.pack("<QiiQQ4d", 1, 1, 2, 640, 480, 500, 320.5, 240.5, 0.01)
    (folder / "cameras.bin").write_bytes(camera)
    head = struct.pack("<i7di", 1, *QUATERNION, *SHIFT, 1) + b"room/a b.jpg\0" + struct.pack("<Q", len(SEEN))
    other = struct.pack("<i7di", 2, *QUATERNION, *SHIFT, 1) + b"none.jpg\0" + struct.pack("<Q", 0)
    seen = b"".join(struct.pack("<2dq", *it) for it in SEEN)
    (folder / "images.bin").write_bytes(struct.pack("<Q", 2) + head + seen + other)
    points = [struct.pack("<Q3d3BdQ2i", number, *xyz, 1, 2, 3, 0.1, 1, 1, 0) for number, xyz in POINTS.items()]
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", len(points)) + b"".join(points))


@pytest.mark.parametrize("write", [write_text, write_binary])
def test_views_have_camera_points_and_pose(tmp_path: Path, write) -> None:
    write(tmp_path / "sparse" / "0")
    views = read_colmap_model(tmp_path)
    view = views["room/a b.jpg"]
    assert view.camera.size == (480, 640)
    assert view.camera.matrix.tolist() == [[500, 0, 320], [0, 500, 240], [0, 0, 1]]  # centres at whole numbers
    assert view.camera.lens == Lens(LensModel.RADIAL_TANGENTIAL, (0.01,), "SIMPLE_RADIAL")
    assert view.xy.tolist() == [[10, 20], [30, 40]]
    # Turned about x by 90°, the camera's z is the world's y: 2 + 3 and -1 + 3.
    assert view.depth_m == pytest.approx([5, 2])
    camera_point = np.array([1 + 0.1, -3 + 0.2, 2 + 3, 1])  # of point 7
    assert view.to_world @ camera_point == pytest.approx([1, 2, 3, 1])
    assert len(views["none.jpg"].xy) == 0


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="holds no COLMAP model"):
        read_colmap_model(tmp_path)
    write_binary(tmp_path / "sparse")
    (tmp_path / "sparse" / "points3D.bin").write_bytes(b"short")
    with pytest.raises(LeadlineError, match="cannot be read as a COLMAP model"):
        read_colmap_model(tmp_path)


def test_newer_models_are_known_by_their_number(tmp_path: Path) -> None:
    write_binary(tmp_path / "sparse")
    (tmp_path / "sparse" / "cameras.bin").write_bytes(struct.pack("<QiiQQ3d", 1, 1, 14, 640, 480, 500, 320.5, 240.5))
    camera = read_colmap_model(tmp_path)["none.jpg"].camera
    assert camera.lens == Lens(LensModel.KANNALA_BRANDT, (), "SIMPLE_FISHEYE") and camera.matrix[0, 2] == 320
    for model in (-1, 99):  # COLMAP's own "no model" is -1
        camera = struct.pack("<QiiQQ6d", 1, 1, model, 640, 480, 500, 500, 320.5, 240.5, 0.5, 1)
        (tmp_path / "sparse" / "cameras.bin").write_bytes(camera)
        with pytest.raises(LeadlineError, match="cannot be read as a COLMAP model"):
            read_colmap_model(tmp_path)
