"""Scale (and shift) that bring a prediction to the truth, picture by picture.

They serve protocols that score a prediction only up to a scale, or up to a scale and a shift. For `median_scale`
and `fit_scale_and_shift` prediction and truth may be depths or disparities, as long as both are the same.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from leadline.evaluation.disparity import depth_to_disparity, disparity_to_depth
from leadline.geometry import Output

# An aligned disparity at or below zero means "beyond everything", not "unknown": 1 km.
MIN_DISPARITY = 1e-3


def median_scale(pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The factor median(truth) / median(prediction) of each picture (Zhou et al. 2017, monodepth2).

    An even number of pixels has the mean of its two middle values as median, as in NumPy.

    Args:
        pred: prediction, (B, 1, H, W), in any unit.
        target: truth, (B, 1, H, W), in the unit that is wanted.
        valid: which pixels count, bool (B, 1, H, W).

    Returns:
        Scales (B,), of the prediction's dtype, to multiply the prediction with; 1 for a picture without valid
        pixels and for one whose medians are not both positive, where no factor would help.

    Raises:
        ValueError: if the shapes differ.
    """
    _require_one_shape(pred, target, valid)
    middle_pred, middle_target = _masked_median(pred, valid), _masked_median(target, valid)
    usable = (middle_pred > 0) & (middle_target > 0) & valid.flatten(1).any(1)
    return torch.where(usable, middle_target / middle_pred, 1.0).to(pred.dtype)


def fit_scale_and_shift(pred: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The scale s and shift t of each picture that minimise Σ (s·prediction + t − truth)² (Ranftl, 2020).

    Args:
        pred: prediction, (B, 1, H, W), in any unit.
        target: truth, (B, 1, H, W), in the unit that is wanted.
        valid: which pixels count, bool (B, 1, H, W).

    Returns:
        Scales (B,) and shifts (B,), of the prediction's dtype. Where the prediction is the same at every
        valid pixel, many pairs are equally good, and it is scale 0 with the truth's mean as shift. A picture
        without valid pixels gets scale 1 and shift 0. A prediction that falls where the truth rises gets a
        negative scale.

    Raises:
        ValueError: if the shapes differ.
    """
    _require_one_shape(pred, target, valid)
    pred64, target64, mask = pred.double().flatten(1), target.double().flatten(1), valid.flatten(1)
    # Measured from its smallest value, a constant prediction is exactly 0 everywhere: no threshold is needed.
    start = torch.where(mask, pred64, torch.inf).amin(1)
    deviation, mean_pred = _centred(pred64 - start[:, None], mask)
    error, mean_target = _centred(target64, mask)
    variance, covariance = deviation.square().sum(1), (deviation * error).sum(1)
    scale = torch.where(variance > 0, covariance / variance, 0.0)
    shift = mean_target - scale * (start + mean_pred)
    known = mask.any(1)
    return torch.where(known, scale, 1.0).to(pred.dtype), torch.where(known, shift, 0.0).to(pred.dtype)


def _require_one_shape(pred: Tensor, target: Tensor, valid: Tensor) -> None:
    if not pred.shape == target.shape == valid.shape:
        shapes = f"{tuple(pred.shape)}, {tuple(target.shape)}, {tuple(valid.shape)}"
        raise ValueError(f"prediction, truth and mask must have one shape, got {shapes}")


def _masked_median(value: Tensor, valid: Tensor) -> Tensor:
    """Median of each picture's valid pixels in float64, (B,); infinite where there are none."""
    ascending = torch.where(valid, value.double(), torch.inf).flatten(1).sort(1).values
    count = valid.flatten(1).sum(1, keepdim=True)
    lower, upper = ((count - 1) // 2).clamp_min(0), count // 2
    return (ascending.gather(1, lower) + ascending.gather(1, upper))[:, 0] / 2


def _centred(value: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Valid values minus their mean, 0 elsewhere, (B, N); and the mean, (B,), 0 where nothing is valid."""
    mean = torch.where(mask, value, 0.0).sum(1) / mask.sum(1).clamp_min(1)
    return torch.where(mask, value - mean[:, None], 0.0), mean


def _scale(tensor: Tensor, scale: Tensor, shift: Tensor | float = 0.0) -> Tensor:
    return tensor * scale.view(-1, 1, 1, 1) + (shift.view(-1, 1, 1, 1) if isinstance(shift, Tensor) else shift)


def _as_metres(values: Tensor, output: Output, target_m: Tensor, valid: Tensor) -> Tensor:
    return values


def _align_median(values: Tensor, output: Output, target_m: Tensor, valid: Tensor) -> Tensor:
    depth = disparity_to_depth(values.clamp_min(MIN_DISPARITY)) if output is Output.DISPARITY else values
    return _scale(depth, median_scale(depth, target_m, valid))


def _align_scale_shift(values: Tensor, output: Output, target_m: Tensor, valid: Tensor) -> Tensor:
    if output is not Output.DISPARITY:
        return _scale(values, *fit_scale_and_shift(values, target_m, valid))
    disparity = _scale(values, *fit_scale_and_shift(values, depth_to_disparity(target_m), valid))
    return disparity_to_depth(disparity.clamp_min(MIN_DISPARITY))


ALIGNMENTS: dict[str, Callable[[Tensor, Output, Tensor, Tensor], Tensor]] = {
    "none": _as_metres,
    "median": _align_median,
    "scale-shift": _align_scale_shift,
}
"""From values (B, 1, H, W), what they mean, true metres and valid pixels, to metres: by what is forgiven.

Scale and shift are fitted in the space that the values are in: depth, or disparity.
"""
