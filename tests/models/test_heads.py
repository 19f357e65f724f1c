import math
from typing import Literal, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from leadline.models.heads import CURVES, START_ERROR, DepthHead, Features, ScaleField
from leadline.models.settings import HeadSettings

REPORT = HeadSettings(kind="tanh", min_depth_m=0.5, max_depth_m=4.0)
LOG = HeadSettings(kind="log", min_depth_m=0.5, max_depth_m=8.0)
Kind = Literal["tanh", "log"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def test_every_kind_of_head_has_a_curve() -> None:
    assert set(KINDS) == set(CURVES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_curve_is_proportional_to_its_ends(kind: Kind) -> None:
    """What `checkpoint.save_rescaled` stands on."""
    raw, curve = torch.linspace(-5, 5, 101), CURVES[kind]
    torch.testing.assert_close(curve.depth_m(raw, 1.3 * 0.5, 1.3 * 8.0), 1.3 * curve.depth_m(raw, 0.5, 8.0))


def maps(finest: Tensor) -> Features:
    """Features whose deepest map, of 3 channels, says nothing."""
    return Features(finest, torch.zeros(len(finest), 3, 2, 2))


def passing_on(settings: HeadSettings) -> DepthHead:
    """A head whose convolution hands its one channel on, so that the curve is all that is left."""
    head = DepthHead(1, 3, settings)
    with torch.no_grad():
        head.conv.weight.zero_()[0, 0, 1, 1] = 1
        nn.init.zeros_(head.conv.bias)  # type: ignore[arg-type]
    return head


def through(settings: HeadSettings, *raw: float) -> list[float]:
    """Depths that the head makes of a row of numbers."""
    features = torch.tensor(raw).view(1, 1, 1, -1)
    depth_m: Tensor = passing_on(settings)(maps(features), 1, len(raw)).depth_m
    return depth_m.flatten().tolist()


def test_the_reports_head_is_its_formula() -> None:
    raw = torch.linspace(-5, 5, 101)
    assert through(REPORT, *raw.tolist()) == pytest.approx((1.75 * torch.tanh(raw) + 2.25).tolist(), rel=1e-6)


def test_tanh_by_hand() -> None:
    # tanh(ln 2) = (2 - 1/2) / (2 + 1/2) = 0.6.
    expected = [0.5, 2.25 - 1.05, 2.25, 2.25 + 1.05, 4.0]
    assert through(REPORT, -50, -math.log(2), 0, math.log(2), 50) == pytest.approx(expected)


def test_log_by_hand() -> None:
    # 8 is 0.5 times 2 to the 4th: halfway is 2², and sigmoid(ln 3) = 3/4 is 2³.
    expected = [0.5, 1.0, 2.0, 4.0, 8.0]
    assert through(LOG, -50, -math.log(3), 0, math.log(3), 50) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ends", [(0.5, 4.0), (0.1, 80.0)])
def test_raw_undoes_depth(kind: Kind, ends: tuple[float, float]) -> None:
    curve = CURVES[kind]
    for share in (0.01, 0.3, 0.5, 0.9, 0.99):
        depth_m = ends[0] + share * (ends[1] - ends[0])
        back_m = curve.depth_m(torch.tensor(curve.raw(depth_m, *ends), dtype=torch.float64), *ends)
        assert back_m.item() == pytest.approx(depth_m, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_more_is_farther_and_never_outside(kind: Kind) -> None:
    depth_m = CURVES[kind].depth_m(torch.linspace(-200, 200, 2001, dtype=torch.float64), 0.5, 10.0)
    steps = depth_m.diff()
    assert (steps >= 0).all() and (steps[950:1050] > 0).all()
    assert depth_m[0].item() == pytest.approx(0.5) and depth_m[-1].item() == pytest.approx(10.0)


def first_prediction(head: DepthHead) -> float:
    """What the head answers before it has learnt anything from features."""
    nn.init.zeros_(head.conv.weight)
    depth_m = head(maps(torch.rand(1, 4, 3, 5)), 3, 5).depth_m
    assert depth_m.unique().numel() == 1
    return float(depth_m.mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("median_m", [1.2, 2.53, 3.5])
def test_it_starts_at_the_median(kind: Kind, median_m: float) -> None:
    head = DepthHead(4, 3, HeadSettings(kind=kind, min_depth_m=0.5, max_depth_m=4.0))
    head.start_at(median_m)
    assert first_prediction(head) == pytest.approx(median_m, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "median_m, start_m",
    [(0.0, 0.675), (0.5, 0.675), (0.6, 0.675), (3.9, 3.825), (4.0, 3.825), (60.0, 3.825)],
)
def test_a_median_out_of_range_is_brought_inside(kind: Kind, median_m: float, start_m: float) -> None:
    # A twentieth of 3.5 m from either end.
    head = DepthHead(4, 3, HeadSettings(kind=kind, min_depth_m=0.5, max_depth_m=4.0))
    head.start_at(median_m)
    assert first_prediction(head) == pytest.approx(start_m, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_untold_it_starts_at_the_middle_in_log_depth(kind: Kind) -> None:
    # sqrt(0.5 * 8) = 2.
    head = DepthHead(4, 3, HeadSettings(kind=kind, min_depth_m=0.5, max_depth_m=8.0))
    assert first_prediction(head) == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_where_it_starts_it_can_learn(kind: Kind) -> None:
    head = DepthHead(4, 3, HeadSettings(kind=kind, min_depth_m=0.5, max_depth_m=10.0))
    head.start_at(0.5)
    head(maps(torch.rand(1, 4, 3, 5)), 3, 5).depth_m.mean().backward()
    assert head.conv.bias is not None and head.conv.bias.grad is not None
    assert head.conv.bias.grad.abs().item() > 0.1


@pytest.mark.parametrize("size", [(7, 11), (1, 1), (24, 40)])
def test_the_map_is_brought_to_the_pictures_size(size: tuple[int, int]) -> None:
    depth_m = DepthHead(6, 3, LOG)(maps(torch.randn(2, 6, 4, 5)), *size).depth_m
    assert depth_m.shape == (2, 1, *size)
    assert depth_m.dtype == torch.float32


def test_enlarging_is_linear_in_the_number_not_in_metres() -> None:
    # Between 0 and 4, pixel centres of the fourfold row stand at 0, 0, 0.5, 1.5 ... eighths: 0.5, 1.5, 2.5, 3.5.
    features = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    depth_m = passing_on(LOG)(maps(features), 1, 8).depth_m.flatten()
    raw = torch.tensor([0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0])
    assert depth_m.tolist() == pytest.approx((0.5 * 16 ** torch.sigmoid(raw)).tolist(), rel=1e-5)


@pytest.mark.parametrize("settings", [REPORT, LOG], ids=["tanh", "log"])
def test_metres_are_float32_under_bfloat16(settings: HeadSettings) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        depth_m = DepthHead(4, 3, settings)(maps(torch.randn(1, 4, 6, 8)), 60, 80).depth_m
    assert depth_m.dtype == torch.float32
    assert depth_m.unique().numel() > 1000


@pytest.mark.parametrize("ends", [(4.0, 4.0), (5.0, 4.0)])
def test_ends_in_the_wrong_order_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=rf"min_depth_m must be less than max_depth_m, got {ends[0]}, {ends[1]}"):
        HeadSettings(min_depth_m=ends[0], max_depth_m=ends[1])


def test_a_depth_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        HeadSettings(min_depth_m=0.0)


# Uncertainty.


def uncertain(in_channels: int = 4) -> DepthHead:
    torch.manual_seed(0)
    return DepthHead(in_channels, 3, LOG.model_copy(update={"uncertainty": True}))


def test_a_head_says_nothing_of_its_error_unless_asked() -> None:
    assert DepthHead(4, 3, LOG)(maps(torch.randn(1, 4, 6, 8)), 12, 16).relative_error is None


def test_an_untrained_head_expects_the_stated_error_of_blank_features() -> None:
    error = uncertain()(maps(torch.zeros(2, 4, 6, 8)), 12, 16).relative_error
    assert error is not None
    torch.testing.assert_close(error, torch.full((2, 1, 12, 16), START_ERROR))


@pytest.mark.parametrize(("bias", "expected"), [(-100.0, math.exp(-6)), (100.0, math.e)])
def test_the_expected_error_stays_within_its_bounds(bias: float, expected: float) -> None:
    head = uncertain()
    assert head.error_conv is not None
    nn.init.constant_(head.error_conv.bias, bias)  # type: ignore[arg-type]
    error = head(maps(torch.zeros(1, 4, 6, 8)), 6, 8).relative_error
    assert error is not None
    torch.testing.assert_close(error, torch.full((1, 1, 6, 8), expected))


def test_the_expected_error_by_hand() -> None:
    head = uncertain()
    assert head.error_conv is not None
    with torch.no_grad():
        head.error_conv.weight.copy_(torch.tensor([1.0, 0.0, -0.5]).view(1, 3, 1, 1))
    deepest = torch.tensor([math.log(2), 9.0, 0.0]).view(1, 3, 1, 1)
    error = head(Features(torch.zeros(1, 4, 6, 8), deepest), 6, 8).relative_error
    assert error is not None
    torch.testing.assert_close(error, torch.full((1, 1, 6, 8), 2 * START_ERROR))


def test_learning_the_error_leaves_the_features_alone() -> None:
    finest, deepest = torch.randn(1, 4, 6, 8, requires_grad=True), torch.randn(1, 3, 2, 2, requires_grad=True)
    depth_m, error = uncertain()(Features(finest, deepest), 6, 8)
    assert error is not None
    error.sum().backward()
    assert finest.grad is None and deepest.grad is None
    depth_m.sum().backward()
    assert finest.grad is not None


FIELD = HeadSettings(kind="log", min_depth_m=0.5, max_depth_m=8.0, scale_field=True)


def test_the_scale_field_starts_at_a_factor_of_one_and_multiplies_by_hand() -> None:
    torch.manual_seed(0)
    head = passing_on(FIELD).train()
    features = Features(torch.zeros(1, 1, 4, 6), torch.randn(1, 3, 2, 3))
    torch.testing.assert_close(head(features, 4, 6).depth_m, torch.full((1, 1, 4, 6), 2.0))  # √(.5 · 8)
    assert head.scale_field is not None
    nn.init.constant_(head.scale_field.leave.bias, math.log(1.5))  # type: ignore[arg-type]
    torch.testing.assert_close(head(features, 4, 6).depth_m, torch.full((1, 1, 4, 6), 3.0))
    nn.init.constant_(head.scale_field.leave.bias, math.log(100))  # type: ignore[arg-type]
    torch.testing.assert_close(head(features, 4, 6).depth_m, torch.full((1, 1, 4, 6), 8.0))  # never beyond its range


def test_a_factor_of_the_size_of_chance_counts_half_and_a_large_one_whole() -> None:
    field = ScaleField(3).eval()
    for told, counts in ((ScaleField.CHANCE, ScaleField.CHANCE / 2), (-3.0, -3.0), (0.0, 0.0)):
        nn.init.constant_(field.leave.bias, told)
        torch.testing.assert_close(field(torch.randn(1, 3, 2, 2)), torch.full((1, 1, 1, 1), counts), rtol=1e-3, atol=0)


def test_a_gain_enlarges_the_mean_of_a_large_factor_by_hand() -> None:
    field = ScaleField(3, gain=0.4).eval()
    # m = -0.4 is enlarged by 0.4 · 0.4² / (0.4² + 0.4²) = 0.2 of itself, m = -3 by 0.4 · 9 / 9.16 = 0.393.
    for told, counts in ((-0.4, -0.48), (0.4, 0.48), (-3.0, -4.179), (0.0, 0.0)):
        nn.init.constant_(field.leave.bias, told)
        torch.testing.assert_close(field(torch.randn(1, 3, 2, 2)), torch.full((1, 1, 1, 1), counts), rtol=7e-3, atol=0)


def test_a_gain_moves_all_of_a_picture_alike_and_each_picture_by_itself() -> None:
    torch.manual_seed(0)
    plain, gaining = ScaleField(3).eval(), ScaleField(3, gain=0.4).eval()
    gaining.load_state_dict(plain.state_dict())
    for field in (plain, gaining):
        nn.init.constant_(field.leave.weight, 0.3)
    deepest = torch.randn(2, 3, 6, 8)
    more = gaining(deepest) - plain(deepest)
    for index, own in enumerate(more):
        torch.testing.assert_close(own, own.mean().expand_as(own))
        torch.testing.assert_close(gaining(deepest[index : index + 1])[0], gaining(deepest)[index])
    assert more.abs().min() > 0


def test_expected_errors_are_answered_so_many_times_as_large() -> None:
    settings = HeadSettings(uncertainty=True, error_scale=0.75)
    features = Features(torch.zeros(1, 1, 4, 6), torch.randn(1, 3, 2, 3))
    error = passing_on(settings)(features, 4, 6).relative_error
    assert error is not None
    torch.testing.assert_close(error, torch.full((1, 1, 4, 6), 0.75 * START_ERROR))


def test_the_scale_field_hears_all_of_the_map() -> None:
    torch.manual_seed(0)
    field = ScaleField(3).eval()
    nn.init.normal_(field.leave.weight)
    deepest = torch.randn(1, 3, 5, 7)
    moved = deepest.clone()
    moved[:, :, 0, 0] += 5
    change = (field(moved) - field(deepest)).abs()[0, 0]
    assert change.shape == (3, 4) and change.min() > 0  # everywhere
    assert change[0, 0] > 3 * change[2, 3]  # most where it is


def test_the_scale_field_takes_no_gradient_to_the_features() -> None:
    head = passing_on(FIELD)
    assert head.scale_field is not None
    nn.init.normal_(head.scale_field.leave.weight)
    deepest = torch.randn(1, 3, 2, 3, requires_grad=True)
    head(Features(torch.zeros(1, 1, 4, 6), deepest), 4, 6).depth_m.sum().backward()
    assert deepest.grad is None and head.scale_field.enter.weight.grad is not None
