from dataclasses import replace

import numpy as np
import pytest

from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera
from leadline.geometry.depth import Output
from leadline.geometry.lens import Lens, LensModel
from leadline.prediction.anchored import Correction
from leadline.prediction.anchoring import KnownPoints, _choose, _look_up, anchor_to_points
from leadline.prediction.result import Prediction
from leadline.prediction.scale_field import Pooled, ScaleField

SIZE = (48, 64)


def predicted(depth_m: np.ndarray, error: float | None = 0.1) -> Prediction:
    depth_m = depth_m.astype(np.float32)
    uncertainty_m = None if error is None else depth_m * np.float32(error)
    rgb, camera = np.zeros((*SIZE, 3), np.uint8), Camera.from_focal_px(50, SIZE[1], SIZE[0])
    return Prediction(rgb, depth_m, np.isfinite(depth_m), camera, uncertainty_m)


def scene() -> np.ndarray:
    return np.broadcast_to(np.linspace(1, 4, SIZE[1]), SIZE).copy()


def known(truth: np.ndarray, num: int, from_camera: bool = False, seed: int = 0) -> KnownPoints:
    generator = np.random.default_rng(seed)
    rows, columns = np.divmod(generator.choice(SIZE[0] * SIZE[1], num, replace=False), SIZE[1])
    xy = np.stack([columns, rows], axis=1).astype(float)
    return KnownPoints(xy, truth[rows, columns].copy(), np.full(num, from_camera))


def test_a_smooth_error_is_undone_and_the_error_told() -> None:
    factor = np.exp(0.3 * np.sin(np.arange(SIZE[1]) / 20))
    found = anchor_to_points(predicted(scene()), known(scene() * factor, 60), SIZE)
    assert found.anchoring.correction is Correction.FIELD
    assert np.abs(found.depth_m / (scene() * factor) - 1).mean() < 0.02
    assert found.anchoring.error_after < 0.03 < 0.1 < found.anchoring.error_before
    assert (found.uncertainty_m / found.depth_m).mean() == pytest.approx(found.anchoring.error_after, rel=0.5)
    assert str(found.anchoring).startswith("a smooth field from 60 known points")


def test_right_predictions_are_left_alone() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, SIZE)
    found = anchor_to_points(predicted(scene()), known(scene() * np.exp(noise), 40), SIZE)
    assert found.anchoring.correction is Correction.NONE and np.array_equal(found.depth_m, predicted(scene()).depth_m)
    assert (found.uncertainty_m / found.depth_m).mean() == pytest.approx(found.anchoring.error_after)
    assert "no change" in str(found.anchoring)


def test_wrong_points_are_set_aside_and_counted() -> None:
    points = known(scene() * 1.5, 100)
    points.metres[::5] *= 2
    found = anchor_to_points(predicted(scene()), points, SIZE)
    assert found.anchoring.num_wrong == 20
    assert np.abs(found.depth_m / (1.5 * scene()) - 1).mean() < 0.01


def test_one_point_is_one_factor_that_nothing_checks() -> None:
    found = anchor_to_points(predicted(scene()), known(scene() * 1.5, 1), SIZE)
    assert found.depth_m == pytest.approx(1.5 * scene(), rel=1e-5)
    assert str(found.anchoring) == "one factor from 1 known point, not checked: nothing could be left out"
    assert found.uncertainty_m == pytest.approx(0.1 * found.depth_m, rel=1e-4)


def test_points_refer_to_the_file_and_may_be_straight_from_the_camera() -> None:
    xy = np.array([[126.0, 95.0], [1.0, 95.0], [64, 50], [30, 8]])  # in an image of twice the size
    places = (xy + 0.5) / 2 - 0.5
    rays = np.concatenate([(places - [31.5, 23.5]) / 50, np.ones((4, 1))], axis=1)
    depth = scene()[0][np.rint(places[:, 0]).astype(int)]
    points = KnownPoints(xy, depth * np.linalg.norm(rays, axis=1), np.full(4, True))
    found = anchor_to_points(predicted(scene()), points, (96, 128))
    assert found.anchoring.error_before == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("output", [Output.DEPTH, Output.DISPARITY])
def test_values_without_a_unit_become_metres(output: Output) -> None:
    values = 3 * scene() - 2 if output is Output.DEPTH else 2 / scene() + 0.5
    found = anchor_to_points(predicted(values, error=None), known(scene(), 12), SIZE, output)
    assert found.anchoring.correction is Correction.LINE and found.anchoring.error_before is None
    assert found.depth_m == pytest.approx(scene(), rel=1e-3)
    assert found.uncertainty_m is not None


def test_values_without_a_unit_get_a_field_where_a_line_is_not_enough() -> None:
    truth = scene() * np.exp(0.3 * np.sin(np.arange(SIZE[0]) / 12))[:, None]
    found = anchor_to_points(predicted(2 / scene() + 0.5, None), known(truth, 80), SIZE, Output.DISPARITY)
    assert found.anchoring.correction is Correction.FIELD
    assert np.abs(found.depth_m / truth - 1).mean() < 0.03


def test_points_where_nothing_is_predicted_are_refused() -> None:
    with pytest.raises(LeadlineError, match="none of the 3 known points has a depth"):
        anchor_to_points(predicted(np.full(SIZE, np.nan)), known(scene(), 3), SIZE)


def test_the_field_is_larger_where_a_larger_error_is_expected() -> None:
    sides = np.broadcast_to(np.where(np.arange(SIZE[1]) < 32, 0.1, 0.4), SIZE)
    prediction = predicted(np.full(SIZE, 2.0))
    prediction = replace(prediction, uncertainty_m=(2 * sides).astype(np.float32))
    lean = np.where(np.arange(SIZE[1]) < 32, -0.008, -0.032)  # -.02 times the freedom: .1 / .25 and .4 / .25
    residuals = lean[[12, 52]] + [-0.3, 0.3]
    points = KnownPoints(np.array([[12.0, 24], [52, 24]]), 2 * np.exp(residuals), np.zeros(2, bool))
    found = np.log(anchor_to_points(prediction, points, SIZE).depth_m / 2) - lean
    assert -0.3 < found[24, 12] < 0 < found[24, 52] < 0.3 and found[24, 52] > 0.003 - found[24, 12]


@pytest.mark.parametrize(("num", "kind"), [(2, Correction.FIELD), (5, Correction.FIELD), (40, Correction.NONE)])
def test_few_points_may_leave_out_a_larger_error(num: int, kind: Correction) -> None:
    # The limit is .95 + 2.5 / 5 = 1.45 times the error without for up to 5 points, .95 + 2.5 / 40 = 1.0125 for 40.
    points = Pooled(np.zeros((num, 4)), np.zeros(num))
    field = ScaleField(*points, np.eye(num), 0.1, np.zeros(num), np.ones(num), np.ones(num))
    told = {Correction.NONE: np.full(num, 0.1), Correction.FACTOR: np.full(num, 0.2)}
    assert _choose(told | {Correction.FIELD: np.full(num, 0.14)}, points, field, Correction.FACTOR).correction is kind
    far_off = told | {Correction.FIELD: np.full(num, 0.15)}
    assert _choose(far_off, points, field, Correction.FACTOR).correction is Correction.NONE


def test_a_point_that_is_listed_twice_bears_out_nothing() -> None:
    thrice = KnownPoints(np.array([[10.0, 20.0]] * 3), np.array([1.5, 2.0, 9.0]), np.zeros(3, bool))
    found = anchor_to_points(predicted(scene()), thrice, SIZE)
    assert str(found.anchoring) == "one factor from 1 known point, not checked: nothing could be left out"
    assert found.depth_m[20, 10] == pytest.approx(2.0, rel=1e-5)


FISH_EYE = Lens(LensModel.KANNALA_BRANDT)


def test_points_are_of_the_image_before_its_lens_was_removed() -> None:
    # A lens that shows angles has 50 · atan(20 / 50) = 19.03 px from the axis what a pinhole has 20 px from it.
    prediction = predicted(scene())
    camera = replace(prediction.camera, removed=FISH_EYE)
    seen = KnownPoints(np.array([[31.5 + 19.03, 23.5], [31.5, 23.5]]), np.array([9.0, 2.5]), np.zeros(2, bool))
    spots = _look_up(replace(prediction, camera=camera), seen, SIZE)
    assert sorted(spots.columns.tolist()) == [32, 52] and _look_up(prediction, seen, SIZE).columns.tolist() == [32, 51]
    outside = seen._replace(xy=seen.xy + (100, 0))
    with pytest.raises(LeadlineError, match="none of the 2 known points"):
        anchor_to_points(replace(prediction, camera=camera), outside, SIZE)


def test_distances_from_the_camera_need_a_pinhole() -> None:
    bent = replace(predicted(scene()), camera=replace(predicted(scene()).camera, lens=FISH_EYE))
    assert anchor_to_points(bent, known(scene(), 9), SIZE).anchoring is not None  # along the axis: no ray is asked for
    with pytest.raises(LeadlineError, match="need a pinhole camera"):
        anchor_to_points(bent, known(scene(), 9, from_camera=True), SIZE)
