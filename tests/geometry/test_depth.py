from math import inf, nan

import numpy as np
import pytest
import torch

from leadline.geometry.depth import depth_to_disparity, disparity_to_depth, summarize_depth


def test_disparity_is_one_over_metres():
    assert depth_to_disparity(torch.tensor([0.5, 4.0])).tolist() == [2.0, 0.25]
    assert disparity_to_depth(torch.tensor([2.0, 0.25])).tolist() == [0.5, 4.0]


@pytest.mark.parametrize("convert", [depth_to_disparity, disparity_to_depth])
def test_what_has_no_inverse_becomes_zero_with_a_zero_gradient(convert):
    value = torch.tensor([0.0, -1.0, nan, inf, 1e-45, 2.0], requires_grad=True)
    result = convert(value)
    result.sum().backward()
    assert result.tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    assert value.grad is not None
    assert value.grad.tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, -0.25]


def test_there_and_back_keeps_shape_type_and_value():
    depth_m = torch.rand(2, 1, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    back = disparity_to_depth(depth_to_disparity(depth_m))
    assert back.dtype == depth_m.dtype
    torch.testing.assert_close(back, depth_m)


def metres(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def everywhere(depth_m: np.ndarray) -> np.ndarray:
    return np.ones(depth_m.shape, dtype=bool)


def sloped(height: int, width: int, near_m: float = 1.0, far_m: float = 5.0) -> np.ndarray:
    return np.linspace(near_m, far_m, height * width, dtype=np.float32).reshape(height, width)


def test_summary_takes_percentiles_of_valid_depths_only():
    depth_m = np.append(np.arange(101, dtype=np.float32), (np.float32(1e6), np.float32(np.nan)))
    valid = np.append(np.ones(101, bool), (False, True))
    assert summarize_depth(depth_m, valid) == (2.0, 50.0, 98.0)


def test_summary_of_very_many_depths_is_close_to_that_of_all():
    depth_m = sloped(2000, 1500, 0, 100)
    assert summarize_depth(depth_m, everywhere(depth_m)) == pytest.approx((2, 50, 98), abs=0.01)


def test_summary_of_nothing_is_nan():
    assert np.isnan(summarize_depth(metres([1, 2]), np.zeros((1, 2), bool))).all()
