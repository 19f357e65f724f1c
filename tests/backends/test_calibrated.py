import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leadline.backends import calibrated
from leadline.backends.base import Backend, Estimate, Image, require_metres
from leadline.backends.calibrated import (
    CalibratedBackend,
    Calibration,
    ensure_calibrated_overwritable,
    open_calibrated,
    read_calibration,
    save_calibrated,
)
from leadline.backends.table import open_backend
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera, CameraSource
from leadline.geometry.depth import Output

IMAGE = np.zeros((2, 3, 3), np.uint8)


class Fixed:
    """Answers the same numbers for each image, and half of them as relative error; metres times the focal length."""

    name = "fixed"
    working_size: tuple[int, int] | None = (24, 32)
    device, runtime = "cpu", "numpy"
    concurrency = 5

    def __init__(self, values: Sequence[Sequence[float]], output: Output) -> None:
        self.values, self.output = np.array(values, np.float32), output

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        return Camera.from_focal_px(7, width, height, CameraSource.ASSUMED)

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        values = np.stack([self.values * (camera.focal_px if camera else 1) for camera in cameras])
        return Estimate(values, np.full_like(values, 0.5))


def calibrated_fixed(values: list[list[float]], output: Output, scale: float, shift: float = 0) -> CalibratedBackend:
    made = Calibration(model="fixed", space=output, scale=scale, shift=shift)
    return CalibratedBackend("mine", made, Fixed(values, output))


def test_metres_are_scaled_and_keep_their_relative_error_and_their_focal_length() -> None:
    backend = calibrated_fixed([[1.0, 2.0]], Output.METRES, 1.5)
    estimate = backend.estimate([IMAGE] * 2, [None, Camera.from_focal_px(10, 3, 2)])
    np.testing.assert_allclose(estimate.values, [[[1.5, 3.0]], [[15.0, 30.0]]])
    assert estimate.relative_error is not None
    np.testing.assert_allclose(estimate.relative_error, np.full((2, 1, 2), 0.5))
    assert (backend.name, backend.output, backend.working_size, backend.concurrency) == (
        "mine", Output.METRES, (24, 32), 5,
    )  # fmt: skip
    assert backend.assumed_camera(2, 3) == Camera.from_focal_px(7, 3, 2, CameraSource.ASSUMED)


def test_depth_is_scaled_and_shifted_and_none_where_it_is_not_positive() -> None:
    backend = calibrated_fixed([[1.0, 0.5, 0.25, np.inf]], Output.DEPTH, 2.0, -1.0)
    values, error = backend.estimate([IMAGE], [None])
    np.testing.assert_allclose(values, [[[1.0, np.nan, np.nan, np.nan]]])  # 1, 0, -0.5 and infinity
    assert values.dtype == np.float32 and error is None


def test_disparity_is_scaled_and_shifted_then_inverted_and_the_sky_is_a_kilometre_away() -> None:
    backend = calibrated_fixed([[1.0, 0.3, 0.25, 0.0, np.nan, np.inf]], Output.DISPARITY, 2.0, -0.5)
    values, error = backend.estimate([IMAGE], [None])
    # 1 / 1.5 and 1 / 0.1; then 1 / 0 and 1 / -0.5, beyond everything; no number, no depth
    np.testing.assert_allclose(values, [[[2 / 3, 10.0, 1000.0, 1000.0, np.nan, np.nan]]], rtol=1e-6)
    assert error is None


def test_a_model_is_saved_and_opened_with_what_it_refers_to(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    save_calibrated(folder, tiny_checkpoint, Output.METRES, 1.25, 0.0, {"points": 5}, "Five distances in a kitchen.")
    backend = open_backend(folder)
    assert backend.name == str(folder) and backend.output is Output.METRES and backend.working_size == (36, 48)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    plain = open_backend(tiny_checkpoint).estimate([image], [None]).values
    np.testing.assert_allclose(backend.estimate([image], [None]).values, 1.25 * plain, rtol=1e-6)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "calibrated.json"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Five distances in a kitchen." in card and "Metres are 1.25 × metres." in card
    assert read_calibration(folder).how == [{"points": 5}]


def test_the_card_says_how_disparity_becomes_metres(tmp_path: Path) -> None:
    save_calibrated(tmp_path / "a", "hf:x/y", Output.DISPARITY, 0.5, -0.25, {}, "Note.")
    card = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert card == "# a: hf:x/y, calibrated\n\nNote.\n\nMetres are 1 / (0.5 × disparity - 0.25).\n"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("fast", "fast"),
        ("default", "base"),
        ("leadline:default", "base"),
        ("hf:owner/name#disparity", "hf:owner/name#disparity"),
        ("net.onnx", "{here}/net.onnx"),
        ("onnx:net.onnx", "onnx:{here}/net.onnx"),
        ("hf:folder#depth", "hf:{here}/folder#depth"),
        ("hf:try#2", "hf:{here}/try#2"),
    ],
)
def test_names_are_kept_and_paths_hold_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").touch()
    for name in ("folder", "try#2", "fast"):  # a bundled model's name is that model, whatever lies here
        (tmp_path / name).mkdir()
    save_calibrated(Path("out"), given, Output.METRES, 2.0, 0.0, {}, "")
    assert read_calibration(tmp_path / "out").model == kept.format(here=os.getcwd())


def write(folder: Path, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    values = {"format": 1, "leadline": "1", "model": "fixed", "space": "metres", "scale": 2.0, "shift": 0.0, "how": []}
    (folder / "calibrated.json").write_text(json.dumps(values | fields), encoding="utf-8")
    return folder


def test_a_relative_path_starts_at_the_folder_so_that_both_can_move_together(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "mine", model=f"../{tiny_checkpoint.name}")
    monkeypatch.chdir(Path(__file__).parent)
    assert open_calibrated(folder).working_size == (36, 48)


@pytest.mark.parametrize(
    ("space", "scale", "shift"),
    [(Output.METRES, 3.0, 0.0), (Output.DEPTH, 3.0, 0.5), (Output.DISPARITY, 3.0, 0.5)],
)
def test_a_calibration_of_a_calibrated_model_is_one_with_the_effect_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: Output, scale: float, shift: float
) -> None:
    monkeypatch.setattr(calibrated, "open_backend", lambda model, num_images=1: Fixed([[1.0, 2.0]], space))
    save_calibrated(tmp_path / "first", "hf:fixed", space, scale, shift, {"n": 1}, "")
    save_calibrated(tmp_path / "second", tmp_path / "first", Output.METRES, 2.0, 0.0, {"n": 2}, "")
    first, second = (open_calibrated(tmp_path / name).estimate([IMAGE], [None]).values for name in ("first", "second"))
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)
    calibration = read_calibration(tmp_path / "second")
    assert (calibration.model, calibration.space, calibration.how) == ("hf:fixed", space, [{"n": 1}, {"n": 2}])


def test_a_reference_to_a_calibrated_model_or_to_nothing_is_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", model="../a")
    with pytest.raises(LeadlineError, match=r"calibrated\.json refers to '\.\./a': it is calibrated itself, wanted"):
        open_calibrated(folder)
    write(folder, model="gone.onnx")
    with pytest.raises(LeadlineError, match=r"a.calibrated\.json refers to 'gone\.onnx': gone\.onnx is no file"):
        open_calibrated(folder)


def test_a_model_that_now_predicts_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrated, "open_backend", lambda model, num_images=1: Fixed([[1.0]], Output.DISPARITY))
    with pytest.raises(LeadlineError, match="for a model that predicts metres, but 'fixed' predicts disparity: cal"):
        open_calibrated(write(tmp_path / "a"))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"scale": 0.0}, "scale: Input should be greater than 0"),
        ({"shift": 0.5}, "metres are scaled, not shifted: wanted shift 0, got 0.5; known keys"),
        ({"space": "feet"}, "space: Input should be 'metres', 'depth' or 'disparity'"),
        ({"format": 2}, "format: Input should be 1"),
        ({"offset": 1}, "offset: Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(tmp_path: Path, fields: dict[str, Any], wanted: str) -> None:
    folder = write(tmp_path / "a", **fields)
    with pytest.raises(LeadlineError) as mistake:
        open_calibrated(folder)
    assert f"{folder / 'calibrated.json'}: {wanted}" in str(mistake.value)


@pytest.mark.parametrize(
    ("text", "wanted"), [("{", "is not valid JSON"), ("[]", "must hold the fields .*, got a list")]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "calibrated.json").write_text(text, encoding="utf-8")
    with pytest.raises(LeadlineError, match=wanted):
        read_calibration(tmp_path)
    with pytest.raises(LeadlineError, match="no calibrated model at"):
        read_calibration(tmp_path / "none")


def test_a_falling_scale_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="the calibration: scale: Input should be greater than 0"):
        save_calibrated(tmp_path / "a", "fast", Output.DEPTH, -1.0, 0.0, {}, "")
    assert not (tmp_path / "a").exists()


def test_only_a_calibrated_model_is_replaced(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    ensure_calibrated_overwritable(folder, "fast")
    for scale in (1.0, 2.0):
        save_calibrated(folder, "fast", Output.METRES, scale, 0.0, {}, "")
    assert read_calibration(folder).scale == 2.0
    (folder / "notes.txt").touch()
    with pytest.raises(LeadlineError, match="holds 'notes.txt', which would be lost"):
        ensure_calibrated_overwritable(folder, "fast")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").touch()
    with pytest.raises(LeadlineError, match="holds something else than a calibrated model"):
        ensure_calibrated_overwritable(tmp_path / "other", "fast")
    with pytest.raises(LeadlineError, match="is the model itself"):
        ensure_calibrated_overwritable(tiny_checkpoint, tiny_checkpoint)
    (tmp_path / "file").touch()
    with pytest.raises(LeadlineError, match="is a file"):
        ensure_calibrated_overwritable(tmp_path / "file", "fast")


@pytest.mark.parametrize("output", [Output.DEPTH, Output.DISPARITY])
def test_metres_are_required_and_the_way_out_is_named(output: Output) -> None:
    backend: Backend = Fixed([[1.0]], output)
    with pytest.raises(LeadlineError) as mistake:
        require_metres(backend)
    assert "leadline calibrate IMAGE points.csv --model fixed --out DIR" in str(mistake.value)
    assert f"predicts {output} without a unit, wanted metres" in str(mistake.value)
    require_metres(calibrated_fixed([[1.0]], output, 1.0))
