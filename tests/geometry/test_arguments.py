"""Whatever users hand to a public function: it works, or one line says what was wanted."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import leadline
from leadline.backends import Estimate
from leadline.errors import LeadlineError
from leadline.geometry import CameraSource, Output
from leadline.geometry.arguments import Count, checked

ODD: list[Any] = [
    *(None, True, 0, -1, 2.5, float("nan"), float("inf"), 1e300, 10**400, 1j, "", "a", "x" * 300, "a\0b", "\ud800"),
    *(b"a", [], [1], [[1, 2], [3]], ["a"], (), {}, {"a": 1}, set(), object(), int, np.float32(3), np.int64(4)),
    *(np.zeros(0), np.full((3, 3), np.nan), np.array("x"), np.array([None]), Path("nowhere"), range(3), slice(1)),
]
CAMERA = {"fx": 80, "fy": 80, "cx": 15.5, "cy": 11.5, "width": 32, "height": 24}


@checked
def call(
    path: Path = Path(),
    *points: tuple[float, float],
    count: Count = 1,
    number: float | None = None,
    source: CameraSource = CameraSource.GIVEN,
) -> tuple[Any, ...]:
    return path, points, count, number, source


def test_what_is_meant_becomes_what_is_annotated() -> None:
    given = call("a", np.array([1, 2]), (3, Fraction(1, 2)), count=5e7, number=np.float32(2), source="EXIF")
    assert given == (Path("a"), ((1.0, 2.0), (3.0, 0.5)), 50_000_000, 2.0, CameraSource.EXIF)
    assert isinstance(given[2], int) and isinstance(given[3], float) and isinstance(given[4], CameraSource)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"path": 3}, "path must be a path that this system can have, got 3"),
        ({"path": ""}, "path must be a path that this system can have, got ''"),
        ({"count": 0}, "count must be a whole number of at least 1, got 0"),
        ({"count": True}, "count must be a whole number of at least 1, got True"),
        ({"number": "a"}, "number must be a number or None, got 'a'"),
        ({"source": "mine"}, "source must be 'given' or 'data set' or 'EXIF' or 'assumed', got 'mine'"),
    ],
)
def test_anything_else_is_told_by_its_name(given: dict[str, Any], wanted: str) -> None:
    with pytest.raises(LeadlineError) as told:
        call(**given)
    assert str(told.value) == wanted


def test_points_have_two_numbers() -> None:
    with pytest.raises(LeadlineError, match=r"points must be a list, each of it \(a number, a number\), got"):
        call("a", (1, 2, 3))


def works_or_is_told(function: Callable[[], Any]) -> None:
    """One line, or an answer; any other exception fails the test."""
    try:
        function()
    except LeadlineError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000


@pytest.fixture
def prediction() -> leadline.Prediction:
    rgb, depth_m = np.zeros((24, 32, 3), np.uint8), np.ones((24, 32), np.float32)
    return leadline.Prediction(rgb, depth_m, depth_m > 0, leadline.Camera(**CAMERA))


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
class TestPublicApi:
    def test_prediction(self, odd: Any, prediction: leadline.Prediction, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        works_or_is_told(lambda: prediction.save(odd, ("depth",)))
        works_or_is_told(lambda: prediction.save("a", odd))
        works_or_is_told(lambda: prediction.save("a", ("glb",), odd))
        for field in dataclasses.fields(prediction):
            works_or_is_told(lambda name=field.name: dataclasses.replace(prediction, **{name: odd}))

    def test_camera(self, odd: Any) -> None:
        for name in (*CAMERA, "source", "skew", "lens", "undistort"):
            works_or_is_told(lambda name=name: leadline.Camera(**{**CAMERA, name: odd}).plausible())
        camera = leadline.Camera(**CAMERA)
        works_or_is_told(lambda: leadline.Camera.from_focal_px(odd, 32, 24))
        works_or_is_told(lambda: leadline.Camera.from_fov_deg(odd, 32, 24))
        works_or_is_told(lambda: leadline.Camera.from_fov_deg(60, odd, 24))
        works_or_is_told(lambda: leadline.Camera.from_matrix(odd, 32, 24))
        works_or_is_told(lambda: camera.resized(odd, 24))
        works_or_is_told(lambda: camera.cropped(odd, 0, 8, odd))

    def test_predict_and_measure(self, odd: Any, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        picture = tmp_path / "a.png"
        Image.new("RGB", (32, 24)).save(picture)
        model = _Flat()
        works_or_is_told(lambda: leadline.predict(odd, model))
        works_or_is_told(lambda: leadline.predict(picture, 3 if odd is None else odd))
        works_or_is_told(lambda: leadline.measure(picture, odd, model=model))
        works_or_is_told(lambda: leadline.measure(picture, (odd, 3), (1, odd), model=model, focal_px=40))
        for name in ("focal_px", "fov_deg", "max_pixels", "tiled", "undistort"):
            works_or_is_told(lambda name=name: leadline.predict(picture, model, **{name: odd}))
        if not callable(odd):
            works_or_is_told(lambda: leadline.predict(picture, model, camera=odd))
        works_or_is_told(lambda: list(leadline.predict_files(odd, Path("out"), model)))
        works_or_is_told(lambda: list(leadline.predict_files([odd], Path("out"), model)))
        works_or_is_told(lambda: list(leadline.predict_files([picture], odd, model)))
        for name in ("formats", "sheet", "max_triangles", "skip_existing", "anchor"):
            given = {name: odd}
            works_or_is_told(lambda given=given: list(leadline.predict_files([picture], Path("o"), model, **given)))

    def test_the_rest(self, odd: Any, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        works_or_is_told(lambda: leadline.load_model(odd if odd is not None else "none"))
        works_or_is_told(lambda: leadline.open_dataset(odd))
        works_or_is_told(lambda: leadline.export("nowhere", odd))
        works_or_is_told(lambda: leadline.export("nowhere", "a.onnx", odd))
        works_or_is_told(lambda: leadline.train(odd, data="nowhere", out="run"))
        works_or_is_told(lambda: leadline.train("nowhere", data=odd, out=odd, settings=odd))
        works_or_is_told(lambda: leadline.compare(odd, odd, data="nowhere"))
        works_or_is_told(lambda: leadline.calibrate(odd, odd, data=odd))
        for name in ("data", "split", "protocol", "processes", "cluster", "skip_unread", "show_progress"):
            works_or_is_told(lambda name=name: leadline.evaluate("nowhere", **{"data": "nowhere", name: odd}))


class _Flat:
    """A model that sees a wall at 2 m."""

    name, device, concurrency, working_size = "flat", "cpu", 1, (24, 32)

    output = Output.METRES

    def assumed_camera(self, height: int, width: int) -> None:
        return None

    def estimate(self, images: Any, cameras: Any) -> Any:
        return Estimate(np.full((len(images), *images[0].shape[:2]), 2, np.float32))


def test_a_script_without_a_guard_is_one_line_not_a_broken_pool(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.full((24, 32), 2, np.float32))
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    (tmp_path / "index.csv").write_text("id,rgb,depth\na,a.png,depth.npy\nb,a.png,depth.npy\n")
    script = tmp_path / "score.py"
    script.write_text(f"import leadline\nleadline.evaluate('fast', data={str(tmp_path)!r}, split='all', processes=2)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert "LeadlineError: one of 2 processes ended before it was done" in done.stderr.splitlines()[-1]
