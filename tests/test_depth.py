from math import inf, nan

import pytest
import torch

from leadline.depth import RANGES, DepthRange, depth_to_disparity, disparity_to_depth, valid_depth
from leadline.errors import UserError


def test_the_report_maps_tanh_to_its_range():
    report = RANGES["report"]
    assert (report.centre_m, report.half_m) == (2.25, 1.75)  # depth = 1.75 tanh(z) + 2.25


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0), (2.0, 2.0), (4.0, 0.5), (1.0, inf), (nan, 1.0), (1.0, nan)])
def test_a_range_that_is_none_is_refused(ends):
    with pytest.raises(UserError, match=r"0 < min_m < max_m.*got min_m .*: give the nearest"):
        DepthRange(*ends)


def test_a_range_cannot_be_changed_past_its_check():
    with pytest.raises(AttributeError):
        RANGES["indoor"].min_m = 20.0  # type: ignore[misc]


def test_valid_depth_is_finite_and_positive():
    depth_m = torch.tensor([nan, inf, -inf, -1.0, 0.0, 1e-6, 3.0])
    assert valid_depth(depth_m).tolist() == [False, False, False, False, False, True, True]


def test_valid_depth_keeps_the_ends_of_the_range():
    depth_m = torch.tensor([[0.49, 0.5], [4.0, 4.01]])
    assert valid_depth(depth_m, 0.5, 4.0).tolist() == [[False, True], [True, False]]


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
