import math

import numpy as np
import pytest
import torch
from torch import Tensor

from leadline.evaluation.boundary import COARSEST_STEP_M, THRESHOLDS, boundary_scores


def row(*values: float) -> Tensor:
    """One picture of one row, (1, 1, 1, W)."""
    return torch.tensor(values)[None, None, None]


def scores(pred_m: Tensor, target_m: Tensor, valid: Tensor | None = None) -> list[float]:
    """Precision, recall and F1 of one picture."""
    valid = torch.ones_like(target_m, dtype=torch.bool) if valid is None else valid
    result = boundary_scores(pred_m, target_m, valid)
    assert result.shape == (1, 3) and result.dtype == torch.float64
    values: list[float] = result[0].tolist()
    return values


def slow_scores(pred_m: np.ndarray, target_m: np.ndarray, valid: np.ndarray) -> list[float]:
    """The definition, pair by pair in both orders, on (H, W)."""
    height, width = target_m.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    pairs = [((y, x), (y + dy, x + dx)) for y, x in pixels for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    pairs = [(i, j) for i, j in pairs if 0 <= j[0] < height and 0 <= j[1] < width and valid[i] and valid[j]]
    total, weight = np.zeros(3), 0.0
    for t in THRESHOLDS:
        counted = [(i, j) for i, j in pairs if min(target_m[i], target_m[j]) * (t - 1) >= 1.001 * COARSEST_STEP_M]
        true = {pair for pair in counted if target_m[pair[1]] / target_m[pair[0]] > t}
        found = {pair for pair in counted if pred_m[pair[1]] / pred_m[pair[0]] > t}
        if not true:
            continue
        precision, recall = (len(true & found) / max(1, len(part)) for part in (found, true))
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        total += t * np.array([precision, recall, f1])
        weight += t
    return (total / weight).tolist()


def test_the_thresholds_are_the_authors() -> None:
    np.testing.assert_allclose(THRESHOLDS, np.linspace(1.05, 1.25, 10), rtol=1e-15)


@pytest.mark.parametrize("factor", [1.0, 0.2, 7.0])
def test_a_prediction_that_is_right_up_to_a_factor_scores_one(factor: float) -> None:
    target_m = row(2, 2, 4, 4, 1.8)
    assert scores(factor * target_m, target_m) == [1, 1, 1]
    assert scores(factor * target_m.mT, target_m.mT) == [1, 1, 1]


@pytest.mark.parametrize(
    "pred_m",
    [
        row(2, 2, 2, 2),
        row(2, 2, 2, 4),  # one pixel beside
        row(4, 4, 2, 2),  # near and far swapped
    ],
    ids=["none", "beside", "swapped"],
)
def test_a_boundary_that_is_missing_or_elsewhere_or_the_wrong_way_round_scores_nothing(pred_m: Tensor) -> None:
    assert scores(pred_m, row(2, 2, 4, 4)) == [0, 0, 0]


def test_a_boundary_too_many_costs_precision_and_one_too_few_recall() -> None:
    one, two = row(2, 2, 2, 4, 4), row(2, 3, 3, 6, 6)
    assert scores(two, one) == pytest.approx([1 / 2, 1, 2 / 3], rel=1e-12)
    assert scores(one, two) == pytest.approx([1, 1 / 2, 2 / 3], rel=1e-12)


def test_a_boundary_that_is_too_soft_scores_at_the_low_thresholds_alone() -> None:
    # 1.1 exceeds 1.05, 1.0722 and 1.0944; all ten add up to 11.5.
    expected = (1.05 + (1.05 + 0.2 / 9) + (1.05 + 0.4 / 9)) / 11.5
    assert scores(row(2, 2, 2.2, 2.2), row(2, 2, 3, 3)) == pytest.approx([expected] * 3, rel=1e-12)


def test_thresholds_above_every_true_boundary_are_left_out() -> None:
    soft = row(2, 2, 2.2, 2.2)
    assert scores(soft, soft) == [1, 1, 1]
    assert scores(row(2, 2, 3, 3), soft) == [1, 1, 1]


def test_a_truth_without_boundaries_has_no_scores() -> None:
    flat, step = row(2, 2, 2, 2), row(2, 2, 4, 4)
    assert all(math.isnan(value) for value in scores(step, flat))
    hidden = torch.tensor([True, False, True, True]).view(1, 1, 1, 4)
    assert all(math.isnan(value) for value in scores(step, step, hidden))
    assert all(math.isnan(value) for value in scores(row(2.0), row(2.0)))


def test_a_pixel_that_is_not_valid_hides_its_boundaries() -> None:
    target_m, valid = row(2, 4, 4, 2, 2), torch.tensor([False, True, True, True, True]).view(1, 1, 1, 5)
    assert scores(row(4, 2, 4, 2, 2), target_m, valid) == pytest.approx([0.5, 1, 2 / 3])
    assert scores(row(4, 4, 4, 2, 2), target_m, valid) == [1, 1, 1]


def test_the_steps_of_a_near_truth_in_eight_bits_are_no_boundaries() -> None:
    # A slanted board from 0.4 to 0.8 m: every step in its depth is one of storage, of 5 to 10 %.
    exact_m = torch.linspace(0.4, 0.8, 200)[None, None, None]
    stored_m = (exact_m / COARSEST_STEP_M).round() * COARSEST_STEP_M
    assert (stored_m[..., 1:] / stored_m[..., :-1]).max() > 1.09
    assert all(math.isnan(value) for value in scores(exact_m, stored_m))
    # A true edge on it still counts, at the thresholds that the storage can tell from its own steps.
    stored_m[..., 100:] += 1
    assert scores(stored_m, stored_m) == [1, 1, 1]


@pytest.mark.parametrize("seed", range(4))
def test_scores_agree_with_the_definition_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.uniform(0.3, 3, (1, 1, 4, 5)).repeat(3, axis=2).repeat(3, axis=3) * rng.uniform(1, 1.06, (12, 15))
    pred = target * rng.uniform(0.9, 1.2, (1, 1, 12, 15))
    valid = rng.random((1, 1, 12, 15)) < 0.9
    found = scores(torch.from_numpy(pred), torch.from_numpy(target), torch.from_numpy(valid))
    assert found == pytest.approx(slow_scores(pred[0, 0], target[0, 0], valid[0, 0]), rel=1e-12)
    assert 0 < found[2] < 1


def test_pictures_of_a_batch_are_scored_each_for_itself() -> None:
    target_m = torch.cat([row(2, 2, 4, 4), row(3, 3, 3, 3), row(1, 2, 2, 2)])
    pred_m = torch.cat([row(2, 2, 4, 4), row(1, 2, 3, 4), row(2, 2, 2, 2)])
    found = boundary_scores(pred_m, target_m, torch.ones_like(target_m).bool())
    assert found[0].tolist() == [1, 1, 1] and found[1].isnan().all() and found[2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("rubbish", [math.nan, 0.0, -1.0, math.inf])
def test_a_prediction_without_depth_has_scores_all_the_same(rubbish: float) -> None:
    assert all(math.isfinite(value) for value in scores(row(rubbish, 2, 4, rubbish), row(2, 2, 4, 4)))
    assert scores(row(*[rubbish] * 4), row(2, 2, 4, 4)) == [0, 0, 0]


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"must have one shape, got \(1, 1, 1, 2\), \(1, 1, 1, 3\), \(1, 1, 1, 3\)"):
        boundary_scores(row(1, 2), row(1, 2, 3), row(1, 2, 3).bool())
