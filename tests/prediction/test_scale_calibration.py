from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.data.datasets.folder import FolderDataset
from leadline.errors import LeadlineError
from leadline.evaluation.evaluation import evaluate
from leadline.io.camera_files import camera_from_options
from leadline.models.checkpoint import load_model
from leadline.models.checkpoint_files import read_config
from leadline.models.model import DepthModel
from leadline.prediction.known_distances import KnownDistance
from leadline.prediction.scale_calibration import calibrate, fit_scale, ratios_of_distances, ratios_of_pictures


def logs(*ratios: float) -> list[np.ndarray]:
    return [np.log([ratio]) for ratio in ratios]


def test_the_scale_is_the_median_ratio_and_outliers_do_not_move_it() -> None:
    found = fit_scale(logs(1.2, 1.25, 1.3, 9.0, 0.1), "")
    assert found.scale == pytest.approx(1.25)


def test_errors_are_those_of_what_was_left_out() -> None:
    found = fit_scale(logs(1.0, 2.0, 4.0), "3 distances")
    # As it is: |1/1 - 1|, |1/2 - 1|, |1/4 - 1|.
    assert found.error_before == pytest.approx(0.5)
    # Without the first the scale is sqrt(2·4), without the second sqrt(1·4), without the third sqrt(1·2):
    # |sqrt(8)/1 - 1| = 1.83, |2/2 - 1| = 0, |sqrt(2)/4 - 1| = 0.65.
    assert found.error_after == pytest.approx(1 - np.sqrt(2) / 4)
    assert not found.helps
    assert str(found) == (
        "scale 2.000 not kept: median error on what was left out 64.6%, without it 50.0% (3 distances)"
    )


def test_a_common_factor_is_found_and_kept() -> None:
    found = fit_scale(logs(1.5, 1.5, 1.5), "3 distances")
    assert (found.scale, found.error_before, found.error_after) == pytest.approx((1.5, 1 / 3, 0))
    assert found.helps and str(found).startswith("scale 1.500 kept: median error on what was left out 0.0%, without")


def test_a_picture_counts_once_however_many_pixels_it_has() -> None:
    groups = [np.log(np.full(1000, 3.0)), *logs(1.1, 1.2)]
    assert fit_scale(groups, "").scale == pytest.approx(1.2)


@pytest.mark.parametrize("num", [0, 1, 2])
def test_fewer_than_three_are_refused(num: int) -> None:
    with pytest.raises(LeadlineError, match=f"a scale needs at least 3 measurements, got {num}: measure more"):
        fit_scale(logs(*[1.0] * num), "")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.new("RGB", (201, 101)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_distances_along_the_axis_and_straight_from_the_camera(photo: Path, flat_model: DepthModel) -> None:
    # 2 m everywhere at 100 px; the right border's middle is 100 px from the centre, 45° off the axis.
    known = [
        KnownDistance(photo, (100, 50), 3.0, False),
        KnownDistance(photo, (200, 50), 3.0, False),
        KnownDistance(photo, (200, 50), 3.0 * np.sqrt(2), True),
    ]
    groups = ratios_of_distances(flat_model, known, camera_from_options(focal_px=100))
    assert [group.tolist() for group in groups] == [[pytest.approx(np.log(1.5))]] * 3
    # Half as far through half the focal length.
    (first, *_) = ratios_of_distances(flat_model, known, camera_from_options(focal_px=50))
    assert first[0] == pytest.approx(np.log(3.0))


def test_points_of_a_picture_are_left_out_together_where_there_are_enough(photo: Path, flat_model: DepthModel) -> None:
    paths = [photo, *(photo.with_name(name) for name in ("b.png", "c.png"))]
    for path in paths[1:]:
        path.write_bytes(photo.read_bytes())
    known = [KnownDistance(path, (x, 5), 1.0, False) for path in paths for x in (5, 50)]
    camera = camera_from_options(focal_px=100)
    assert [len(group) for group in ratios_of_distances(flat_model, known, camera)] == [2, 2, 2]
    assert [len(group) for group in ratios_of_distances(flat_model, known[:4], camera)] == [1, 1, 1, 1]


def test_a_point_outside_names_its_picture(photo: Path, flat_model: DepthModel) -> None:
    with pytest.raises(LeadlineError, match=r"a\.png: the point 201,0 lies outside of this picture of 201×101 pixels"):
        ratios_of_distances(flat_model, [KnownDistance(photo, (201, 0), 1.0, False)], camera_from_options(focal_px=100))


def test_labelled_pictures(rooms: Path, flat_model: DepthModel) -> None:
    dataset = FolderDataset(rooms)
    groups = ratios_of_pictures(flat_model, dataset, [0, 5])
    for index, ratios in zip((0, 5), groups, strict=True):
        sample = dataset[index]
        predicted_m = 2.0 * float(sample.intrinsics[0, 0]) / 100
        np.testing.assert_allclose(ratios, np.log(sample.depth_m[sample.valid].numpy() / predicted_m), atol=1e-6)


def test_a_calibrated_model_is_scaled_wherever_it_is_used(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibrated"
    found = calibrate(tiny_checkpoint, out, data=rooms, split="official/train")
    assert found.helps
    assert "calibrations" not in read_config(tiny_checkpoint)["record"]
    (kept,) = read_config(out)["record"]["calibrations"]
    assert kept["scale"] == found.scale
    before, after = (load_model(path).settings.head for path in (tiny_checkpoint, out))
    assert after.max_depth_m == pytest.approx(found.scale * before.max_depth_m)
    scores = [evaluate(path, data=rooms, split="official/test", protocol="metric") for path in (tiny_checkpoint, out)]
    assert scores[1].per_image["abs_rel"] < scores[0].per_image["abs_rel"]
    # What no scale changes is as it was.
    assert scores[1].per_image["silog"] == pytest.approx(scores[0].per_image["silog"], rel=1e-4)


def test_it_is_fitted_to_one_thing(rooms: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    for words in ({}, {"data": rooms, "distances": tmp_path / "a.csv"}):
        with pytest.raises(LeadlineError, match="a CSV file of distances or to a data set: name one of them"):
            calibrate(tiny_checkpoint, tmp_path / "out", **words)
