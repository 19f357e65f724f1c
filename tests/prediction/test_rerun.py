import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.points import point_cloud
from leadline.prediction import rerun as rerun_log
from leadline.prediction.rerun import RerunLog
from leadline.prediction.result import Prediction

rerun = pytest.importorskip("rerun", reason="needs rerun-sdk")


# Pixels that are no squares, and a principal point that is not in the middle.
INTRINSICS = np.array([[50, 0, 17.5], [0, 55, 12.25], [0, 0, 1]], np.float32)


def prediction(intrinsics: NDArray[np.float32] | None = INTRINSICS) -> Prediction:
    """A slanted wall of 30×40, grey, with one pixel that has no depth."""
    depth_m = np.linspace(1, 1.5, 40, dtype=np.float32) * np.ones((30, 1), np.float32)
    depth_m[4, 6] = np.nan
    camera = None if intrinsics is None else Camera.from_matrix(intrinsics, 40, 30)
    return Prediction(np.full((30, 40, 3), 90, np.uint8), depth_m, np.isfinite(depth_m), camera)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is sent, by its place."""
    sent: dict[str, Any] = {}

    def keep(self: object, place: str, what: Any, **_: object) -> None:
        sent[place] = what

    monkeypatch.setattr(rerun.RecordingStream, "log", keep)
    return sent


def test_metres_camera_and_points_are_those_of_the_prediction(tmp_path: Path, logged: dict[str, Any]) -> None:
    given = prediction()
    with RerunLog(tmp_path / "x.rrd") as log:
        log.picture(Path("a.jpg"), given)
    assert {"world", "world/camera", "world/camera/rgb", "depth", "world/points", "name"} <= set(logged)
    assert logged["depth"].meter.as_arrow_array().to_pylist() == [1.0]
    stored = np.frombuffer(bytes(logged["depth"].buffer.as_arrow_array().to_pylist()[0]), np.float32).reshape(30, 40)
    np.testing.assert_array_equal(stored, given.depth_m)
    matrix = np.array(logged["world/camera"].image_from_camera.as_arrow_array().to_pylist()[0]).reshape(3, 3).T
    np.testing.assert_allclose(matrix, INTRINSICS)
    points_m = np.array(logged["world/points"].positions.as_arrow_array().to_pylist())
    cloud = point_cloud(given.rgb, given.depth_m, given.valid, given.intrinsics)
    np.testing.assert_allclose(points_m, cloud.points_m)


def test_points_of_large_pictures_are_thinned_out(logged: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadline.prediction.rerun.MAX_POINTS", 300)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(rerun, "spawn", lambda **_: None)
    with RerunLog() as log:
        log.clip("c.mp4")(prediction(), 0.5)
    # Every second pixel of every second row, but for the one without a depth.
    assert len(logged["world/points"].positions.as_arrow_array()) == 15 * 20 - 1


def test_without_a_focal_length_there_is_no_camera(tmp_path: Path, logged: dict[str, Any]) -> None:
    with RerunLog(tmp_path / "x.rrd") as log:
        log.picture(Path("a.jpg"), prediction(intrinsics=None))
    assert isinstance(logged["world/camera"], rerun.Clear) and isinstance(logged["world/points"], rerun.Clear)


def test_a_file_is_whole_and_has_a_time_line_for_each_clip(tmp_path: Path) -> None:
    path = tmp_path / "out" / "all.rrd"
    with RerunLog(path) as log:
        log.picture(Path("a.jpg"), prediction())
        log.clip("clip.mp4")(prediction(), 0.5)
    assert [it.name for it in path.parent.iterdir()] == ["all.rrd"]
    command = [sys.executable, "-m", "rerun", "rrd"]
    subprocess.run([*command, "verify", str(path)], check=True, capture_output=True)
    told = subprocess.run([*command, "print", "-vv", str(path)], check=True, capture_output=True, text=True).stdout
    for word in ("/world/camera/rgb", "/world/points", "/depth", "clip.mp4", "picture"):
        assert word in told, told


def test_an_interruption_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RerunLog(tmp_path / "x.rrd") as log:
        log.picture(Path("a.jpg"), prediction())
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[rerun\]"'):
        RerunLog()


def test_a_viewer_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no viewer here\nand much advice")

    monkeypatch.setattr(rerun, "spawn", refuse)
    monkeypatch.setenv("DISPLAY", ":0")
    with (
        pytest.raises(LeadlineError, match=r"^the rerun viewer does not start \(no viewer here\): save with"),
        RerunLog(),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one display")
def test_without_a_display_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in rerun_log.DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as silent:  # bound, but not listening
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setattr(rerun_log, "VIEWER_PORT", silent.getsockname()[1])
        with pytest.raises(LeadlineError, match=r"no display .*: save with --rerun FILE.rrd"), RerunLog():
            pass
