"""Masked losses on depth in metres: pure functions, and their weighted sum.

Every term takes `pred_m` and `target_m` as float32 metres (B, 1, H, W) and `valid` as bool (B, 1, H, W), and
gives a scalar: the mean over what is valid, or 0 (with a gradient of 0) where nothing is.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

# tf.image.ssim's constants (Wang et al., "Image quality assessment", 2004).
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1 = 0.01
SSIM_K2 = 0.03

# Logarithms and square roots need a floor to keep their gradients finite.
MIN_DEPTH_M = 1e-3
MIN_VARIANCE = 1e-6


def l1(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error in metres: the report's L_1."""
    return _masked_sum((pred_m - target_m).abs(), valid) / _count(valid)


def gradient(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Mean of |∂x(y−ŷ)| + |∂y(y−ŷ)|, forward differences: the report's L_grad.

    The last column (row) has no right (lower) neighbour and counts as zero in the mean, as in
    `tf.image.image_gradients`. A difference counts where both of its pixels are valid.
    """
    error = pred_m - target_m
    return _difference_sum(error, valid) / _count(valid)


def ssim(pred_m: Tensor, target_m: Tensor, valid: Tensor, max_depth_m: float = 4.0) -> Tensor:
    """Structural similarity as `tf.image.ssim` computes it: 1 for equal maps.

    An 11×11 Gaussian window of σ 1.5 without padding; the mean is over windows whose centre is valid. Invalid
    pixels are zero in both maps, so that they add no difference.

    Args:
        pred_m: predicted depth in metres, (B, 1, H, W), both sides at least 11.
        target_m: true depth in metres, (B, 1, H, W).
        valid: which pixels count, bool (B, 1, H, W).
        max_depth_m: tf's `max_val`, the far end of the depth range (4 for the report's).

    Returns:
        A scalar in [-1, 1]; 1 where no window has a valid centre.

    Raises:
        ValueError: if a side is shorter than the window.
    """
    if min(pred_m.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"ssim needs sides of at least {SSIM_WINDOW} pixels, got {tuple(pred_m.shape[-2:])}")
    x, y = torch.where(valid, pred_m, 0.0), torch.where(valid, target_m, 0.0)
    # A shift of both maps leaves their variances as they are, and float32 more digits for them.
    shift = y.mean((1, 2, 3), keepdim=True)
    x, y = x - shift, y - shift
    means = _gaussian_blur(torch.cat([x, y, x * y, x * x + y * y], dim=1))
    mean_x, mean_y, mean_xy, mean_squares = means.chunk(4, dim=1)
    c1, c2 = (SSIM_K1 * max_depth_m) ** 2, (SSIM_K2 * max_depth_m) ** 2
    structure = (2 * (mean_xy - mean_x * mean_y) + c2) / (mean_squares - mean_x**2 - mean_y**2 + c2)
    mean_x, mean_y = mean_x + shift, mean_y + shift
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    margin = SSIM_WINDOW // 2
    centre_valid = valid[..., margin:-margin, margin:-margin]
    return 1 - _masked_sum(1 - luminance * structure, centre_valid) / _count(centre_valid)


def ssim_loss(pred_m: Tensor, target_m: Tensor, valid: Tensor, max_depth_m: float = 4.0) -> Tensor:
    """(1 − SSIM) / 2: the report's L_SSIM. Arguments as `ssim`."""
    return (1 - ssim(pred_m, target_m, valid, max_depth_m)) / 2


def log_l1(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Mean |ln ŷ − ln y|: an error relative to the distance."""
    return _masked_sum(_log_error(pred_m, target_m, valid).abs(), valid) / _count(valid)


def silog(pred_m: Tensor, target_m: Tensor, valid: Tensor, focus: float = 0.85) -> Tensor:
    """Scale-invariant log loss √(mean e² − focus·(mean e)²), e = ln ŷ − ln y (Eigen et al. 2014; BTS's root).

    With `focus` 1 a common factor costs nothing; with 0 it is the root mean square log error.
    """
    error = _log_error(pred_m, target_m, valid)
    mean = _masked_sum(error, valid) / _count(valid)
    mean_square = _masked_sum(error.square(), valid) / _count(valid)
    return (mean_square - focus * mean.square()).clamp_min(MIN_VARIANCE).sqrt() * valid.any()


def log_gradient(pred_m: Tensor, target_m: Tensor, valid: Tensor, num_scales: int = 4) -> Tensor:
    """Gradient loss on log depth, summed over scales that each skip half the pixels (MegaDepth, Li 2018, eq. 4).

    Fine scales sharpen edges, coarse scales keep far-apart surfaces in order.
    """
    error = _log_error(pred_m, target_m, valid)
    scales = [(error[..., ::step, ::step], valid[..., ::step, ::step]) for step in (2**k for k in range(num_scales))]
    return torch.stack([_difference_sum(part, mask) / _count(mask) for part, mask in scales]).sum()


def error_nll(
    pred_m: Tensor, relative_error: Tensor, target_m: Tensor, valid: Tensor, times: Tensor | float = 1.0
) -> Tensor:
    """Mean negative log likelihood of the log error under a Laplace distribution: |e|/b + ln b (+ ln 2).

    Kendall & Gal, "What uncertainties do we need", 2017, eq. 5, with a Laplace distribution for the Gaussian. Depth
    gets no gradient: what is taught is how far off it is.

    Args:
        pred_m: predicted depth in metres, (B, 1, H, W).
        relative_error: b, the expected |ln ŷ − ln y|, (B, 1, H, W).
        target_m: true depth in metres, (B, 1, H, W).
        valid: which pixels count, bool (B, 1, H, W).
        times: what the errors are multiplied by, where they are known to be too small, (B, 1, 1, 1) or a number.

    Returns:
        A scalar without the constant ln 2, least where b is the mean error.
    """
    error = _log_error(pred_m.detach(), target_m, valid).abs() * times
    return _masked_sum(error / relative_error + relative_error.log(), valid) / _count(valid)


def held_factor(log_factor: Tensor, held: Tensor) -> Tensor:
    """Mean size of the log factor that depth is multiplied by, on pictures on which it is held at 1.

    Those are the pictures that the network learnt: without it the factor follows what little it is off there, which is
    chance, and does harm on others like them.

    Args:
        log_factor: (B, 1, h, w).
        held: of each picture, whether it counts, bool (B,); the rest are 0.

    Returns:
        A scalar.
    """
    return (log_factor.abs().flatten(1).mean(1) * held).mean()


Term = Callable[[Tensor, Tensor, Tensor], Tensor]

TERMS: dict[str, Term] = {
    "l1": l1,
    "gradient": gradient,
    "log_l1": log_l1,
    "silog": silog,
    "log_gradient": log_gradient,
}


def weighted_loss(
    pred_m: Tensor, target_m: Tensor, valid: Tensor, weights: Mapping[str, float], max_depth_m: float
) -> Tensor:
    """Sum of weight · term over the terms whose weight is not zero.

    Args:
        pred_m: predicted depth in metres, (B, 1, H, W).
        target_m: true depth in metres, (B, 1, H, W).
        valid: which pixels count, bool (B, 1, H, W).
        weights: weight by term: a key of `TERMS`, or "ssim". The report's are gradient 1.5, ssim 1.0, l1 0.2.
        max_depth_m: far end of the depth range, which SSIM takes as the largest value.

    Returns:
        A scalar; 0 where no pixel is valid.

    Raises:
        ValueError: if all weights are 0.
    """
    if not any(weights.values()):
        raise ValueError(f"a loss needs a term of more weight than 0, got {dict(weights)}")
    terms: dict[str, Term] = {**TERMS, "ssim": partial(ssim_loss, max_depth_m=max_depth_m)}
    parts = [weight * terms[name](pred_m, target_m, valid) for name, weight in weights.items() if weight]
    return torch.stack(parts).sum()


def _count(valid: Tensor) -> Tensor:
    return valid.sum().clamp_min(1)


def _masked_sum(value: Tensor, valid: Tensor) -> Tensor:
    """Sum over the valid pixels; `where`, not a product, so that a NaN under the mask stays out."""
    return torch.where(valid, value, 0.0).sum()


def _difference_sum(error: Tensor, valid: Tensor) -> Tensor:
    both_x, both_y = valid[..., :, 1:] & valid[..., :, :-1], valid[..., 1:, :] & valid[..., :-1, :]
    return _masked_sum(error.diff(dim=-1).abs(), both_x) + _masked_sum(error.diff(dim=-2).abs(), both_y)


def _log_error(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Log of prediction minus log of truth; 0 where invalid, so that no infinity enters a gradient."""
    truth = torch.where(valid, target_m, 1.0)
    guess = torch.where(valid, pred_m, 1.0).clamp_min(MIN_DEPTH_M)
    return guess.log() - truth.log()


def _gaussian_blur(maps: Tensor) -> Tensor:
    """Gaussian means of (B, C, H, W), without padding: (B, C, H−10, W−10)."""
    offset = torch.arange(SSIM_WINDOW, device=maps.device, dtype=maps.dtype) - SSIM_WINDOW // 2
    kernel = torch.softmax(-offset.square() / (2 * SSIM_SIGMA**2), 0)
    num_maps = maps.shape[1]
    columns = kernel.view(1, 1, -1, 1).expand(num_maps, 1, -1, 1)
    rows = kernel.view(1, 1, 1, -1).expand(num_maps, 1, 1, -1)
    # bfloat16 has too few digits for a mean of squares less a squared mean.
    with torch.autocast(maps.device.type, enabled=False):
        return F.conv2d(F.conv2d(maps, columns, groups=num_maps), rows, groups=num_maps)
