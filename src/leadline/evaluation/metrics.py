"""Depth metrics (Eigen et al. 2014) of each picture, pooled over pixels, and averaged over pictures.

Everything follows from a few sums over the valid pixels of a picture. A picture's metrics are those of its own
sums; pooled metrics are those of all pictures' sums added up. So both averagings, and any later one, come from
the same rows and agree by construction.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class MetricInfo(NamedTuple):
    """How to read a metric."""

    name: str
    better: str  # "higher" or "lower"
    meaning: str

    @property
    def label(self) -> str:
        """The name as people read it: δ1 for delta1."""
        return self.name.replace("delta", "δ")

    @property
    def heading(self) -> str:
        """The label and an arrow to the better side."""
        return f"{self.label} {'↑' if self.better == 'higher' else '↓'}"


METRICS: dict[str, MetricInfo] = {
    info.name: info
    for info in (
        MetricInfo("delta1", "higher", "share of pixels with max(y/ŷ, ŷ/y) < 1.25"),
        MetricInfo("delta2", "higher", "share of pixels with max(y/ŷ, ŷ/y) < 1.25²"),
        MetricInfo("delta3", "higher", "share of pixels with max(y/ŷ, ŷ/y) < 1.25³"),
        MetricInfo("abs_rel", "lower", "mean |y−ŷ|/y"),
        MetricInfo("sq_rel", "lower", "mean (y−ŷ)²/y, in metres"),
        MetricInfo("rms", "lower", "√mean (y−ŷ)², in metres"),
        MetricInfo("rms_log", "lower", "√mean (ln y − ln ŷ)²"),
        MetricInfo("log10", "lower", "mean |log10 y − log10 ŷ|"),
        MetricInfo("silog", "lower", "100·std(ln ŷ − ln y), as in BTS"),
    )
}


def ranking_value(name: str, value: float) -> float:
    """A metric's value such that more is better; NaN is worst.

    Args:
        name: a key of `METRICS`.
        value: the metric.
    """
    if math.isnan(value):
        return -math.inf
    return value if METRICS[name].better == "higher" else -value


SUMS = ("count", "delta1", "delta2", "delta3", "abs_rel", "sq_rel", "square", "log_square", "log10", "log")
"""The columns of `error_sums`."""

# Predictions at or below zero have no logarithm; InvPT and TaskPrompter use the same floor.
MIN_DEPTH_M = 1e-9


class ErrorTerms(NamedTuple):
    """What `error_sums` adds up, for each pixel, float64 (B, 1, H, W); exactly 0 where the pixel does not count."""

    ratio: Tensor  # max(y/ŷ, ŷ/y), of which the deltas count the small ones; 1 where the pixel does not count
    abs_rel: Tensor
    sq_rel: Tensor
    square: Tensor
    log_square: Tensor
    log10: Tensor
    log: Tensor


def error_terms(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> ErrorTerms:
    """The errors of each pixel. The relative error divides by the truth.

    Args:
        pred_m: predicted depth in metres, (B, 1, H, W).
        target_m: true depth in metres, (B, 1, H, W), positive where valid.
        valid: which pixels count, bool (B, 1, H, W).

    Raises:
        ValueError: if the shapes differ.
    """
    if not pred_m.shape == target_m.shape == valid.shape:
        shapes = f"{tuple(pred_m.shape)}, {tuple(target_m.shape)}, {tuple(valid.shape)}"
        raise ValueError(f"prediction, truth and mask must have one shape, got {shapes}")
    # Pixels that do not count become a perfect prediction of 1 m, so that every error there is exactly 0.
    truth = torch.where(valid, target_m, 1.0).double()
    guess = torch.where(valid, pred_m, 1.0).double().clamp_min(MIN_DEPTH_M)
    error, quotient = guess - truth, guess / truth
    log_error, ratio = quotient.log(), torch.maximum(quotient, quotient.reciprocal())
    square, relative = error.square(), error.abs() / truth
    return ErrorTerms(
        ratio,
        relative,
        square / truth,
        square,
        log_error.square(),
        log_error.abs() / math.log(10),
        log_error,
    )


def error_sums(pred_m: Tensor, target_m: Tensor, valid: Tensor) -> Tensor:
    """Sums over each picture's valid pixels, from which every metric follows.

    Args:
        pred_m: as `error_terms`.
        target_m: as `error_terms`.
        valid: as `error_terms`.

    Returns:
        float64 (B, 10), columns as `SUMS`.

    Raises:
        ValueError: if the shapes differ.
    """
    ratio, *terms = error_terms(pred_m, target_m, valid)
    count, num_others = valid.flatten(1).sum(1), (~valid).flatten(1).sum(1)
    within = [(ratio < 1.25**power).flatten(1).sum(1) - num_others for power in (1, 2, 3)]
    # Row by row, because torch splits one long sum between its threads, and differently for a batch of one.
    rows = [term.sum(-1).flatten(1).sum(1) for term in terms]
    return torch.stack([part.double() for part in (count, *within, *rows)], dim=1)


def metrics_from_sums(sums: Tensor) -> Tensor:
    """Turn sums into metrics.

    Args:
        sums: float64 (..., 10), columns as `SUMS`; of one picture, or added up over pictures.

    Returns:
        float64 (..., 9), columns as `METRICS`; NaN where no pixel was valid.
    """
    count, *rest = sums.unbind(-1)
    means = [torch.where(count > 0, part / count, torch.nan) for part in rest]
    delta1, delta2, delta3, abs_rel, sq_rel, square, log_square, log10, log = means
    # Rounding can leave a variance of -1e-18.
    silog = 100 * (log_square - log.square()).clamp_min(0).sqrt()
    return torch.stack([delta1, delta2, delta3, abs_rel, sq_rel, square.sqrt(), log_square.sqrt(), log10, silog], -1)


def named(values: Tensor) -> dict[str, float]:
    """Name the 9 values of one row of `metrics_from_sums`."""
    return dict(zip(METRICS, values.tolist(), strict=True))
