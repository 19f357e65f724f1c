import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leadline.evaluation.alignment import fit_scale_and_shift, median_scale


def maps(*pictures: list[float], dtype: torch.dtype = torch.float32) -> Tensor:
    """Pictures of one row each, (B, 1, 1, W)."""
    return torch.tensor(pictures, dtype=dtype)[:, None, None, :]


def random_maps(seed: int, num_pictures: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Positive float64 prediction and unrelated truth, about a third of it invalid."""
    rng = np.random.default_rng(seed)
    shape = (num_pictures, 1, 7, 9)
    pred, target = (torch.from_numpy(rng.uniform(0.5, 10, shape)) for _ in range(2))
    return pred, target, torch.from_numpy(rng.random(shape) > 0.3)


def test_median_scale_by_hand():
    pred = maps([1, 2, 3, 100], [1, 2, 3, 100])
    target = maps([6, 4, 8, 1], [6, 4, 8, 1])
    valid = maps([1, 1, 1, 0], [1, 1, 1, 1]).bool()
    # Three pixels: medians 6 and 2. Four: (4 + 6) / 2 = 5 and (2 + 3) / 2 = 2.5.
    assert median_scale(pred, target, valid).tolist() == [3.0, 2.0]


def test_fit_by_hand():
    # Deviations of the prediction -1, 0, 1, of the truth -2, 1, 1: scale (2 + 0 + 1) / 2, shift 4 - 1.5 * 2.
    scale, shift = fit_scale_and_shift(maps([1, 2, 3]), maps([2, 5, 5]), maps([1, 1, 1]).bool())
    assert (scale.tolist(), shift.tolist()) == ([1.5], [1.0])


@pytest.mark.parametrize("seed", range(5))
def test_median_scale_is_numpys_median(seed: int):
    pred, target, valid = random_maps(seed)
    expected = [np.median(t[v]) / np.median(p[v]) for p, t, v in zip(pred, target, valid, strict=True)]
    np.testing.assert_allclose(median_scale(pred, target, valid), expected, rtol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_fit_is_numpys_least_squares(seed: int):
    pred, target, valid = random_maps(seed)
    scale, shift = fit_scale_and_shift(pred, target, valid)
    expected = [np.polyfit(p[v], t[v], 1) for p, t, v in zip(pred, target, valid, strict=True)]
    np.testing.assert_allclose(torch.stack([scale, shift], 1), expected, rtol=1e-11)


def test_a_known_scale_and_shift_come_back_exactly():
    pred = maps([1, 2, 5, 8], [0.5, 4, 2, 1])
    valid = torch.ones_like(pred).bool()
    scale, shift = fit_scale_and_shift(pred, 2 * pred + 0.5, valid)
    assert (scale.tolist(), shift.tolist()) == ([2, 2], [0.5, 0.5])
    assert median_scale(pred, 2 * pred, valid).tolist() == [2, 2]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_any_scale_and_shift_come_back(seed: int, scale: float, shift: float):
    pred, _, valid = random_maps(seed)
    fitted_scale, fitted_shift = fit_scale_and_shift(pred, scale * pred + shift, valid)
    np.testing.assert_allclose(fitted_scale, scale, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(fitted_shift, shift, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(median_scale(pred, scale * pred, valid), scale, rtol=1e-12)


def test_float32_maps_far_from_zero_keep_their_fit():
    # Squares of 1000 leave float32 no digits for a spread of 0.01.
    pred = 1000 + torch.arange(640.0).view(1, 1, 1, -1) / 2**16
    scale, shift = fit_scale_and_shift(pred, 2 * pred - 1995, torch.ones_like(pred).bool())
    assert scale.item() == pytest.approx(2, rel=1e-6)
    assert shift.item() == pytest.approx(-1995, rel=1e-6)


@pytest.mark.parametrize("rubbish", [torch.nan, torch.inf, -torch.inf])
def test_what_is_masked_does_not_matter(rubbish: float):
    pred, target, valid = random_maps(0)
    spoilt = [value.where(valid, rubbish) for value in (pred, target)]
    assert torch.equal(median_scale(pred, target, valid), median_scale(*spoilt, valid))
    for clean, dirty in zip(fit_scale_and_shift(pred, target, valid), fit_scale_and_shift(*spoilt, valid), strict=True):
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("constant", [0.0, 0.1, 2.53, 1000.1])
def test_a_constant_prediction_fits_as_the_mean_of_the_truth(constant: float):
    pred = torch.full((1, 1, 3, 5), constant)
    target = torch.arange(15.0).view(1, 1, 3, 5)
    scale, shift = fit_scale_and_shift(pred, target, torch.ones_like(pred).bool())
    assert (scale.item(), shift.item()) == (0.0, 7.0)


def test_a_single_valid_pixel_fits_as_its_truth():
    scale, shift = fit_scale_and_shift(maps([3, 9]), maps([5, 7]), maps([1, 0]).bool())
    assert (scale.item(), shift.item()) == (0.0, 5.0)


def test_a_prediction_that_runs_backwards_gets_a_negative_scale():
    scale, shift = fit_scale_and_shift(maps([1, 2, 3]), maps([3, 2, 1]), maps([1, 1, 1]).bool())
    assert (scale.item(), shift.item()) == (-1.0, 4.0)


def test_a_picture_without_valid_pixels_stays_as_it_is():
    pred, target, valid = maps([1, 2], [1, 2]), maps([3, 6], [3, 6]), maps([0, 0], [1, 1]).bool()
    assert median_scale(pred, target, valid).tolist() == [1, 3]
    scale, shift = fit_scale_and_shift(pred, target, valid)
    assert (scale.tolist(), shift.tolist()) == ([1, 3], [0, 0])


@pytest.mark.parametrize(
    "pred, target",
    [([0, 0, 5], [1, 2, 3]), ([-1, -1, 5], [1, 2, 3]), ([1, 2, 3], [0, 0, 5]), ([0, 0, 0], [0, 0, 0])],
)
def test_a_median_that_is_not_positive_scales_by_one(pred: list[float], target: list[float]):
    assert median_scale(maps(pred), maps(target), maps([1, 1, 1]).bool()).tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_follow_the_prediction(dtype: torch.dtype):
    pred, target, valid = random_maps(0)
    results = [
        median_scale(pred.to(dtype), target, valid),
        *fit_scale_and_shift(pred.to(dtype), target, valid),
    ]
    assert [(result.shape, result.dtype) for result in results] == [((3,), dtype)] * 3


@pytest.mark.parametrize("align", [median_scale, fit_scale_and_shift])
def test_shapes_must_agree(align):
    pred, target, valid = torch.ones(2, 1, 4, 5), torch.ones(2, 1, 4, 5), torch.ones(2, 4, 5).bool()
    with pytest.raises(ValueError, match=r"one shape, got \(2, 1, 4, 5\), \(2, 1, 4, 5\), \(2, 4, 5\)"):
        align(pred, target, valid)
