from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.io.provenance import ensure_overwritable
from leadline.prediction.result import FORMATS, Prediction, output_paths
from leadline.prediction.video.writer import WRITERS, Frame, writing_clips

HEIGHT, WIDTH = 48, 64
FOREIGN = "is there and not leadline's own: choose another --out, or move it away"


def prediction() -> Prediction:
    depth_m = np.full((HEIGHT, WIDTH), 2, np.float32)
    depth_m[:, WIDTH // 2 :] = 3
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Prediction(rgb, depth_m, depth_m > 0, Camera.from_focal_px(52.0, WIDTH, HEIGHT), 0.1 * depth_m)


def above_a_floor() -> Prediction:
    """A level camera 1 m above a floor, 4 m from a wall."""
    below = (np.arange(HEIGHT)[:, None] - (HEIGHT - 1) / 2) / 52 + np.zeros((HEIGHT, WIDTH))
    return replace(prediction(), depth_m=np.minimum(1 / np.maximum(below, 0.01), 4).astype(np.float32))


def without_text(path: Path) -> None:
    """Save a picture again, with no words in its file."""
    with Image.open(path) as picture:
        picture.load()
    picture.info.clear()
    picture.save(path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_is_known_whatever_else_has_its_name(tmp_path: Path, name: str) -> None:
    if name == "exr":
        pytest.importorskip("OpenEXR", reason="needs OpenEXR")
    paths = output_paths(tmp_path / "a", [name])
    ensure_overwritable(paths)  # nothing is there
    (above_a_floor() if name == "floor" else prediction()).save(tmp_path / "a", [name])
    ensure_overwritable(paths)
    for foreign in (b"", b"a sensor's", bytes(100_000)):
        paths[0].write_bytes(foreign)
        with pytest.raises(LeadlineError, match=FOREIGN):
            ensure_overwritable(paths)


def test_a_sensors_arrays_are_none_of_ours(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", depth=np.ones((HEIGHT, WIDTH), np.float32), valid=np.ones((HEIGHT, WIDTH), bool))
    with pytest.raises(LeadlineError, match=r"a\.npz " + FOREIGN):
        ensure_overwritable([tmp_path / "a.npz"])


def test_another_programs_points_and_folders_are_none_of_ours(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    cloud = trimesh.PointCloud(np.ones((5, 3)))
    cloud.export(tmp_path / "a.ply")
    trimesh.Scene(cloud).export(tmp_path / "a.glb")
    (tmp_path / "a.npz").mkdir()
    for path in tmp_path.iterdir():
        with pytest.raises(LeadlineError, match=FOREIGN):
            ensure_overwritable([path])


@pytest.mark.parametrize(("mode", "shade"), [("RGB", "white"), ("RGB", "navy"), ("L", 0), ("RGBA", "white")])
def test_a_photograph_named_as_colours_is_none_of_ours(tmp_path: Path, mode: str, shade: str | int) -> None:
    Image.new(mode, (WIDTH, HEIGHT), shade).save(tmp_path / "a_color.png")
    with pytest.raises(LeadlineError, match=FOREIGN):
        ensure_overwritable([tmp_path / "a_color.png"])


def test_a_depth_map_of_any_size_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses twice as many
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint16)).save(tmp_path / "a_depth.png")
    with pytest.raises(LeadlineError, match=FOREIGN):
        ensure_overwritable([tmp_path / "a_depth.png"])
    (path,) = prediction().save(tmp_path / "b", ["depth"])
    ensure_overwritable([path])


@pytest.mark.parametrize(("name", "ending"), [("color", ".mp4"), ("depth", ".mkv")])
def test_clips_are_known(tmp_path: Path, name: str, ending: str) -> None:
    pytest.importorskip("av", reason="needs PyAV")
    path = tmp_path / f"a{ending}"
    with writing_clips({name: path}, "a", Fraction(10)) as writers:
        assert [type(writer) for writer in writers] == [WRITERS[name]]
        for number in range(3):
            writers[0].add(Frame(prediction(), (1.0, 4.0), number, Fraction(1, 10)))
    ensure_overwritable([path])
    path.write_bytes(b"a sensor's")
    with pytest.raises(LeadlineError, match=FOREIGN):
        ensure_overwritable([path])
