from math import inf, nan

import pytest
import torch

from leadline.evaluation.disparity import depth_to_disparity, disparity_to_depth


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
