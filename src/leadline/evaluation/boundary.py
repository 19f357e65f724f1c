"""How well a depth map keeps the edges of things, which no mean over pixels sees.

The boundary F1 of Depth Pro (Bochkovskii et al. 2024, arXiv 2410.02073, "Evaluation metrics for sharp boundaries",
eq. 3). Two neighbouring pixels i, j (left and right, or above and below) have a boundary between them if one is
farther than the other by more than a ratio t: c(i, j) = [d(j) / d(i) > t]. Over all ordered pairs,

    precision(t) = pairs with a boundary in both maps / pairs with one in the prediction,
    recall(t)    = pairs with a boundary in both maps / pairs with one in the truth,
    F1(t)        = 2 · precision · recall / (precision + recall).

Each is averaged over ten thresholds from 1.05 to 1.25, weighted by t. Only ratios enter, so that a prediction that
is off by a factor loses nothing; but a boundary that is one pixel beside the true one is missed, so that the
numbers are small: compare them only on the same truth.

Where this departs from the authors:

- Pairs are pooled as in their formula; their script averages four directions and counts an empty one as 0.
- A threshold at which the truth has no boundary is left out, so that a perfect prediction always scores 1.
- Pairs with an invalid pixel do not count.
- A truth stored in 8 bits has steps of 3.9 cm, which at 0.5 m is a ratio of 1.08: a slanted surface would be full of
  boundaries. So at each threshold pairs count only from that depth on at which one step is no more than the
  threshold: 0.78 m at 1.05, 0.16 m at 1.25. Finer truths are treated alike, for one definition everywhere.
"""

import torch
from torch import Tensor

THRESHOLDS = tuple(1.05 + 0.2 * place / 9 for place in range(10))
"""Ratios of neighbouring depths, as in the authors' script."""

COARSEST_STEP_M = 10 / 255
"""The step of a truth of 10 m in 8 bits; in float32 and from stored offsets it comes out a little larger."""
_STEP_MARGIN = 1.001


def boundary_scores(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Precision, recall and F1 of each picture's depth discontinuities; see the module for the definition.

    Args:
        pred_m: predicted depth in metres, or up to a factor, (B, 1, H, W).
        target_m: true depth in metres, (B, 1, H, W), positive where valid.
        valid: which pixels count, bool (B, 1, H, W).

    Returns:
        float64 (B, 3): precision, recall, F1, higher is better. NaN where the truth has no boundary at all, and
        only there: a mean over pictures may skip it.

    Raises:
        ValueError: if the shapes differ.
    """
    if not pred_m.shape == target_m.shape == valid.shape:
        shapes = f"{tuple(pred_m.shape)}, {tuple(target_m.shape)}, {tuple(valid.shape)}"
        raise ValueError(f"prediction, truth and mask must have one shape, got {shapes}")
    pictures = zip(pred_m, target_m, valid, strict=True)
    return torch.stack([_scores(_counts(*picture)) for picture in pictures])


def _counts(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Pairs with a boundary in the prediction, in the truth and in both, at each threshold: float64 (3, 10)."""
    thresholds = torch.tensor(THRESHOLDS, dtype=torch.float64, device=target_m.device)[:, None]
    counts = torch.zeros(3, len(THRESHOLDS), dtype=torch.float64, device=target_m.device)
    for dim in (-1, -2):
        # Few pairs have a boundary: only those are looked at closely. A hair below the threshold, for float32.
        candidate = _both(valid, dim) & (_steps(pred_m, dim) | _steps(target_m, dim))
        guess = _log_ratio(pred_m, dim, candidate)
        truth = _log_ratio(target_m, dim, candidate)
        nearer_m = torch.minimum(*_pairs(target_m, dim))[candidate].double()
        counted = nearer_m * (thresholds - 1) >= COARSEST_STEP_M * _STEP_MARGIN
        in_guess = (guess.abs() > thresholds.log()) & counted
        in_truth = (truth.abs() > thresholds.log()) & counted
        in_both = in_guess & in_truth & (guess.sign() == truth.sign())
        counts += torch.stack([part.sum(1) for part in (in_guess, in_truth, in_both)])
    return counts


def _scores(counts: Tensor) -> Tensor:
    """Precision, recall and F1 over the thresholds at which the truth has a boundary: (3,)."""
    in_guess, in_truth, in_both = counts
    weights = counts.new_tensor(THRESHOLDS).where(in_truth > 0, 0.0)
    # Where nothing is predicted, nothing is in both either, and the precision counts as 0.
    each = torch.stack(
        [
            in_both / in_guess.clamp_min(1),
            in_both / in_truth.clamp_min(1),
            2 * in_both / (in_guess + in_truth).clamp_min(1),
        ]
    )
    return (each * weights).sum(1) / weights.sum()


def _pairs(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Every pixel that has a next one along a dimension, and that next one."""
    length = values.shape[dim] - 1
    return values.narrow(dim, 0, length), values.narrow(dim, 1, length)


def _both(valid: Tensor, dim: int) -> Tensor:
    first, second = _pairs(valid, dim)
    return first & second


def _steps(depth_m: Tensor, dim: int) -> Tensor:
    """Which pairs could exceed the smallest threshold."""
    first, second = _pairs(depth_m, dim)
    ratio = THRESHOLDS[0] * (1 - 1e-5)
    return (first > ratio * second) | (second > ratio * first)


def _log_ratio(depth_m: Tensor, dim: int, candidate: Tensor) -> Tensor:
    """ln(next / this) of the chosen pairs; depths that are not positive have no logarithm and become tiny."""
    first, second = (part[candidate].double().clamp_min(1e-9).log() for part in _pairs(depth_m, dim))
    return second - first
