import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from leadline.training import losses

REFERENCE = Path(__file__).parents[1] / "reference"
RECORDER = runpy.run_path(str(REFERENCE / "record_tensorflow.py"))
RECORDED = json.loads((REFERENCE / "tensorflow.json").read_text())["maps"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
EVERY_TERM: dict[str, Loss] = {**losses.TERMS, "ssim": losses.ssim_loss}
REPORT_WEIGHTS = {"gradient": 1.5, "ssim": 1.0, "l1": 0.2}
PARITY = 1e-5

LN2 = math.log(2)

# The maps that are worked by hand, 2x3:
#   truth  1 2 4    prediction  2 2 2    error  1 0 -2    log error / ln 2   1 0 -1
#          2 2 1                1 4 1          -1 2  0                      -1 1  0
TRUTH = torch.tensor([[1.0, 2, 4], [2, 2, 1]])[None, None]
GUESS = torch.tensor([[2.0, 2, 2], [1, 4, 1]])[None, None]
ALL = torch.ones(1, 1, 2, 3).bool()
NO_CORNER = ALL.clone()
NO_CORNER[..., 0, 2] = False


def random_maps(height: int = 24, width: int = 21, num_pictures: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, truth and mask, float64, 0.5 to 4 m, with a hole of a rectangle and scattered holes."""
    rng = np.random.default_rng(0)
    shape = (num_pictures, 1, height, width)
    pred, target = (torch.from_numpy(rng.uniform(0.5, 4, shape)) for _ in range(2))
    valid = torch.from_numpy(rng.random(shape) > 0.2)
    valid[..., 2:5, 3:9] = False
    return pred, target, valid


# Parity with TensorFlow


def recorded_maps(name: str) -> tuple[Tensor, Tensor, Tensor]:
    recipe = next(recipe for recipe in RECORDER["RECIPES"] if recipe.name == name)
    assert RECORDER["digest"](recipe) == RECORDED[name]["sha256"], "these are not the maps that were recorded"
    pred, target = (torch.from_numpy(maps)[:, None] for maps in RECORDER["depth_pair"](recipe))
    return pred, target, torch.ones_like(pred).bool()


def test_every_recipe_is_recorded():
    assert [recipe.name for recipe in RECORDER["RECIPES"]] == list(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("term", ["l1", "gradient"])
def test_l1_and_gradient_are_tensorflows(name: str, term: str):
    assert EVERY_TERM[term](*recorded_maps(name)).item() == pytest.approx(RECORDED[name][term], rel=PARITY, abs=0)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("max_depth_m", RECORDER["MAX_DEPTHS_M"])
def test_ssim_is_tensorflows_for_each_picture_and_for_the_batch(name: str, max_depth_m: float):
    maps = recorded_maps(name)
    expected = RECORDED[name]["ssim"][str(max_depth_m)]
    pictures = zip(*(part.split(1) for part in maps), strict=True)
    assert [losses.ssim(*one, max_depth_m).item() for one in pictures] == pytest.approx(expected, rel=PARITY)
    assert losses.ssim(*maps, max_depth_m).item() == pytest.approx(np.mean(expected), rel=PARITY)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("max_depth_m", RECORDER["MAX_DEPTHS_M"])
def test_the_reports_loss_is_tensorflows(name: str, max_depth_m: float):
    recorded = RECORDED[name]
    ssim = np.mean(recorded["ssim"][str(max_depth_m)])
    expected = 1.5 * recorded["gradient"] + (1 - ssim) / 2 + 0.2 * recorded["l1"]
    loss = losses.weighted_loss(*recorded_maps(name), REPORT_WEIGHTS, max_depth_m)
    assert loss.item() == pytest.approx(expected, rel=PARITY, abs=0)


# SSIM


def numpy_ssim(pred: Tensor, target: Tensor, max_depth_m: float) -> np.ndarray:
    """The map of SSIM in float64 with an 11x11 window, after Wang et al. 2004: (B, H-10, W-10)."""
    offset = np.arange(11) - 5.0
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    x, y = (np.lib.stride_tricks.sliding_window_view(m[:, 0].numpy(), (11, 11), (1, 2)) for m in (pred, target))

    def mean(value: np.ndarray) -> np.ndarray:
        return (value * window).sum((-2, -1))

    mean_x, mean_y = mean(x), mean(y)
    dx, dy = x - mean_x[..., None, None], y - mean_y[..., None, None]
    c1, c2 = (0.01 * max_depth_m) ** 2, (0.03 * max_depth_m) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * mean(dx * dy) + c2) / (mean(dx**2) + mean(dy**2) + c2)
    return luminance * structure


@pytest.mark.parametrize("max_depth_m", [1.0, 4.0, 10.0])
def test_ssim_is_numpys(max_depth_m: float):
    pred, target, valid = random_maps()
    everything = torch.ones_like(valid)
    expected = numpy_ssim(pred, target, max_depth_m).mean()
    assert losses.ssim(pred, target, everything, max_depth_m).item() == pytest.approx(expected, rel=1e-12)


def test_masked_ssim_is_the_mean_over_windows_with_a_valid_centre():
    pred, target, valid = random_maps()
    expected = numpy_ssim(pred * valid, target * valid, 4.0)[valid[:, 0, 5:-5, 5:-5].numpy()].mean()
    assert losses.ssim(pred, target, valid).item() == pytest.approx(expected, rel=1e-12)


def test_ssim_of_flat_maps_is_their_luminance():
    one, everything = torch.ones(1, 1, 12, 14), torch.ones(1, 1, 12, 14).bool()
    # c1 = (0.01 * 4)^2 = 0.0016, (2 * 1 * 2 + c1) / (1 + 4 + c1); no variance, so the structure is c2 / c2.
    assert losses.ssim(one, 2 * one, everything).item() == pytest.approx(4.0016 / 5.0016, rel=1e-6)
    assert losses.ssim_loss(one, 2 * one, everything).item() == pytest.approx(0.5 / 5.0016, rel=1e-5)


def test_ssim_is_one_for_equal_maps_and_negative_for_reversed_ones():
    pred, _, valid = random_maps()
    everything = torch.ones_like(valid)
    assert losses.ssim(pred, pred, everything).item() == pytest.approx(1, abs=1e-12)
    assert losses.ssim(pred, 4.5 - pred, everything).item() < -0.5


def test_ssim_ignores_what_differs_only_under_the_mask():
    pred, _, valid = random_maps()
    other = torch.where(valid, pred, pred + 1)
    assert losses.ssim(pred, other, valid).item() == pytest.approx(1, abs=1e-12)


def test_ssim_without_a_valid_centre_is_one():
    pred, target, valid = random_maps(13, 13)
    valid[..., 5:-5, 5:-5] = False
    assert valid.any()
    assert losses.ssim(pred, target, valid).item() == 1


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (1, 1)])
def test_ssim_needs_room_for_its_window(size: tuple[int, int]):
    maps = torch.ones(1, 1, *size)
    expected = rf"ssim needs sides of at least 11 pixels, got \({size[0]}, {size[1]}\)"
    with pytest.raises(ValueError, match=expected):
        losses.ssim(maps, maps, maps.bool())


@pytest.mark.parametrize("base_m", [2.0, 8.0])
def test_ssim_of_close_maps_is_as_good_in_float32(base_m: float):
    # E[x^2] - E[x]^2 of a wall at 8 m that varies by centimetres leaves float32 few digits.
    rng = np.random.default_rng(0)
    target = torch.from_numpy(base_m + 0.3 * rng.random((1, 1, 40, 40)))
    pred = target + torch.from_numpy(0.1 * rng.random((1, 1, 40, 40)))
    everything = torch.ones_like(pred).bool()
    exact = losses.ssim_loss(pred, target, everything).item()
    assert losses.ssim_loss(pred.float(), target.float(), everything).item() == pytest.approx(exact, rel=1e-5)


def test_ssim_is_float32_under_autocast():
    pred, target, valid = (part.float() if part.is_floating_point() else part for part in random_maps())
    expected = losses.ssim(pred, target, valid).item()
    with torch.autocast("cpu", torch.bfloat16):
        assert losses.ssim(pred, target, valid).item() == pytest.approx(expected, rel=1e-5)


# The other terms by hand


@pytest.mark.parametrize(
    "term, value",
    [
        ("l1", 6 / 6),  # 1 + 0 + 2 + 1 + 2 + 0
        ("gradient", 14 / 6),  # across 1 + 2, 3 + 2; down 2 + 2 + 2
        ("log_l1", 4 / 6 * LN2),  # 1 + 0 + 1 + 1 + 1 + 0
        ("silog", math.sqrt(4 / 6) * LN2),  # the log errors add up to 0
        ("log_gradient", (9 / 6 + 2 / 2) * LN2),  # across 1 + 1, 2 + 1; down 2 + 1 + 1; then the pair 1, -1
    ],
)
def test_terms_by_hand(term: str, value: float):
    assert EVERY_TERM[term](GUESS, TRUTH, ALL).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "term, value",
    [
        ("l1", 4 / 5),
        ("gradient", 10 / 5),  # across 1, 3 + 2; down 2 + 2: both pairs with the corner are gone
        ("log_l1", 3 / 5 * LN2),
        ("silog", math.sqrt(3 / 5 - 0.85 / 25) * LN2),  # mean 1/5, mean square 3/5
        ("log_gradient", 7 / 5 * LN2),  # across 1, 2 + 1; down 2 + 1; no pair is left at the next scale
    ],
)
def test_terms_by_hand_without_a_corner(term: str, value: float):
    assert EVERY_TERM[term](GUESS, TRUTH, NO_CORNER).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("num_scales, value", [(1, 9 / 6), (2, 9 / 6 + 2 / 2), (3, 9 / 6 + 2 / 2)])
def test_log_gradient_adds_up_scales(num_scales: int, value: float):
    loss = losses.log_gradient(GUESS, TRUTH, ALL, num_scales=num_scales)
    assert loss.item() == pytest.approx(value * LN2, rel=1e-6)


@pytest.mark.parametrize("focus, value", [(0.0, 3 / 5), (0.5, 3 / 5 - 0.5 / 25), (1.0, 3 / 5 - 1 / 25)])
def test_silog_by_focus(focus: float, value: float):
    loss = losses.silog(GUESS, TRUTH, NO_CORNER, focus=focus)
    assert loss.item() == pytest.approx(math.sqrt(value) * LN2, rel=1e-6)


def test_silog_with_focus_one_forgets_scale():
    _, target, valid = random_maps()
    floor = losses.MIN_VARIANCE**0.5
    assert losses.silog(3 * target, target, valid, focus=1.0).item() == pytest.approx(floor)
    assert losses.silog(3 * target, target, valid, focus=0.85).item() == pytest.approx(math.sqrt(0.15) * math.log(3))


def test_log_terms_stay_finite_for_predictions_that_are_not_positive():
    pred = torch.tensor([[[[-1.0, 0.0, 1e-9, 1.0]]]], requires_grad=True)
    target = torch.ones_like(pred)
    # Each of the first three counts as 1 mm.
    assert losses.log_l1(pred, target, target.bool()).item() == pytest.approx(3 / 4 * math.log(1000), rel=1e-6)
    losses.silog(pred, target, target.bool()).backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


# Masks


def unmasked(term: str, pred: np.ndarray, target: np.ndarray) -> float:
    """Each term from its formula over all pixels, (B, H, W), in plain NumPy."""
    error, log_error = pred - target, np.log(pred) - np.log(target)

    def gradient(value: np.ndarray) -> float:
        down, across = np.abs(np.diff(value, axis=1)).sum(), np.abs(np.diff(value, axis=2)).sum()
        return (down + across) / value.size

    return float(
        {
            "l1": np.abs(error).mean(),
            "gradient": gradient(error),
            "log_l1": np.abs(log_error).mean(),
            "silog": np.sqrt(np.mean(log_error**2) - 0.85 * np.mean(log_error) ** 2),
            "log_gradient": sum(gradient(log_error[:, ::step, ::step]) for step in (1, 2, 4, 8)),
            "ssim": (1 - numpy_ssim(torch.from_numpy(pred[:, None]), torch.from_numpy(target[:, None]), 4.0).mean())
            / 2,
        }[term]
    )


@pytest.mark.parametrize("term", EVERY_TERM)
def test_a_mask_of_everything_is_the_plain_formula(term: str):
    pred, target, valid = random_maps()
    loss = EVERY_TERM[term](pred, target, torch.ones_like(valid)).item()
    assert loss == pytest.approx(unmasked(term, pred[:, 0].numpy(), target[:, 0].numpy()), rel=1e-12)


@pytest.mark.parametrize("term", EVERY_TERM)
@pytest.mark.parametrize("rubbish", [math.nan, math.inf, -math.inf, 0.0])
@pytest.mark.parametrize("where", [("pred",), ("target",), ("pred", "target")], ids=" and ".join)
def test_what_is_masked_enters_neither_value_nor_gradient(term: str, rubbish: float, where: tuple[str, ...]):
    pred, target, valid = random_maps()
    pred, target = pred.float(), target.float()
    spoilt_pred = pred.where(valid, rubbish) if "pred" in where else pred
    spoilt_target = target.where(valid, rubbish) if "target" in where else target
    results = []
    for guess, truth in ((pred, target), (spoilt_pred, spoilt_target)):
        leaf = guess.clone().requires_grad_()
        loss = EVERY_TERM[term](leaf, truth, valid)
        loss.backward()
        assert leaf.grad is not None
        results.append((loss.item(), leaf.grad))
    assert results[1][0] == results[0][0]
    assert torch.equal(results[1][1], results[0][1])
    assert not results[0][1][~valid].any()


@pytest.mark.parametrize("term", [*EVERY_TERM, "the report's"])
@pytest.mark.parametrize("stored", [1.0, math.nan])
def test_nothing_valid_gives_zero_with_a_gradient_of_zero(term: str, stored: float):
    pred, target, valid = random_maps()
    pred, target = pred.requires_grad_(), torch.full_like(target, stored)
    nothing = torch.zeros_like(valid)
    loss = (
        losses.weighted_loss(pred, target, nothing, REPORT_WEIGHTS, 4.0)
        if term == "the report's"
        else EVERY_TERM[term](pred, target, nothing)
    )
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None and not pred.grad.any() and pred.grad.isfinite().all()


# Gradients and the sum


@pytest.mark.parametrize("term", EVERY_TERM)
def test_gradients_are_right(term: str):
    pred, target, valid = random_maps(13, 12, num_pictures=1)
    pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda guess: EVERY_TERM[term](guess, target, valid), pred)


@pytest.mark.parametrize("term", EVERY_TERM)
def test_equal_maps_have_a_finite_gradient(term: str):
    _, target, valid = random_maps()
    pred = target.clone().requires_grad_()
    EVERY_TERM[term](pred, target, valid).backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


@pytest.mark.parametrize("max_depth_m", [4.0, 10.0])
def test_weighted_loss_is_the_weighted_sum(max_depth_m: float):
    maps = random_maps()
    ssim_loss = (1 - losses.ssim(*maps, max_depth_m)) / 2
    expected = 1.5 * losses.gradient(*maps) + 1.0 * ssim_loss + 0.2 * losses.l1(*maps)
    loss = losses.weighted_loss(*maps, REPORT_WEIGHTS, max_depth_m)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-14)


def test_weighted_loss_leaves_out_terms_of_weight_zero():
    # 2x3 maps have no room for a window of SSIM: with any weight but 0 this raises.
    assert losses.weighted_loss(GUESS, TRUTH, ALL, {"l1": 3.0, "ssim": 0.0}, 4.0).item() == 3.0
    with pytest.raises(ValueError, match="at least 11"):
        losses.weighted_loss(GUESS, TRUTH, ALL, {"l1": 3.0, "ssim": 0.1}, 4.0)


# Uncertainty.


def test_errors_known_to_be_too_small_count_as_larger() -> None:
    target_m, error = torch.full((2, 1, 1, 1), 2.0), torch.full((2, 1, 1, 1), 0.5)
    pred_m, valid = target_m * math.exp(0.1), torch.ones(2, 1, 1, 1, dtype=torch.bool)
    times = torch.tensor([1.8, 1.0]).view(2, 1, 1, 1)
    # (1.8 · 0.1 + 0.1) / 2 / 0.5 + ln 0.5
    assert losses.error_nll(pred_m, error, target_m, valid, times).item() == pytest.approx(0.28 + math.log(0.5))


def test_a_held_factor_by_hand() -> None:
    factor = torch.tensor([[0.1, -0.3], [5.0, 5.0]]).view(2, 1, 1, 2)  # .2 on the first, which is one of two
    assert losses.held_factor(factor, torch.tensor([True, False])).item() == pytest.approx(0.1)
    assert losses.held_factor(factor, torch.tensor([False, False])).item() == 0


def test_error_nll_by_hand() -> None:
    # The log error is ln 2 in four of six pixels, so |e|/b + ln b with b = ln 2 is 4/6 + ln ln 2.
    expected = 4 / 6 + math.log(LN2)
    assert losses.error_nll(GUESS, torch.full_like(GUESS, LN2), TRUTH, ALL).item() == pytest.approx(expected)
    # Without the corner, three of five.
    without = losses.error_nll(GUESS, torch.full_like(GUESS, LN2), TRUTH, NO_CORNER).item()
    assert without == pytest.approx(3 / 5 + math.log(LN2))


def test_error_nll_is_least_at_the_mean_error_and_gives_depth_no_gradient() -> None:
    pred_m, target_m, valid = random_maps()
    mean = losses.log_l1(pred_m, target_m, valid)
    log_error = mean.log().clone().requires_grad_()
    pred_m.requires_grad_()
    losses.error_nll(pred_m, log_error.exp().expand_as(pred_m), target_m, valid).backward()
    assert log_error.grad is not None
    assert log_error.grad.item() == pytest.approx(0, abs=1e-9)
    assert pred_m.grad is None
