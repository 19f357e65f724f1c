"""Does a model know how far off it is? Its expected error of a pixel against the error that it makes there."""

import torch
from torch import Tensor

BIN_EDGES = tuple(0.005 * 2 ** (step / 2) for step in range(17))  # relative errors of 0.5 % to 128 %
"""Between which expected errors pixels are taken together; the first and last bin are open."""
NUM_BINS = len(BIN_EDGES) + 1
COLUMNS = ("num_pixels", "expected", "actual")
MIN_DEPTH_M = 1e-3


def reliability_sums(pred_m: Tensor, target_m: Tensor, scored: Tensor, relative_error: Tensor) -> Tensor:
    """Sums of expected and actual |ln predicted − ln true| over the scored pixels of each bin.

    Args:
        pred_m: prediction in metres, as scored, (B, 1, H, W).
        target_m: truth in metres, (B, 1, H, W).
        scored: which pixels count, bool (B, 1, H, W).
        relative_error: what the model expects, (B, 1, H, W).

    Returns:
        float64 (`NUM_BINS`, 3): pixels, sum of expected, sum of actual errors.
    """
    counted = scored & relative_error.isfinite()
    expected = relative_error[counted].double()
    actual = (pred_m[counted].clamp_min(MIN_DEPTH_M).double().log() - target_m[counted].double().log()).abs()
    bins = torch.bucketize(expected, torch.tensor(BIN_EDGES, dtype=torch.float64))
    counts = torch.bincount(bins, minlength=NUM_BINS).double()
    return torch.stack([counts, *(torch.bincount(bins, each, NUM_BINS) for each in (expected, actual))], dim=1)


def reliability_rows(sums: Tensor) -> list[dict[str, float]]:
    """For each bin that has a pixel: number of pixels, mean expected and mean actual error."""
    return [
        dict(zip(COLUMNS, (count, expected / count, actual / count), strict=True))
        for count, expected, actual in sums.tolist()
        if count
    ]


def calibration_error(sums: Tensor) -> float:
    """Mean over the pixels of |mean expected − mean actual error| of their bin; 0 for a model that knows its errors.

    This is the expected calibration error of Guo et al. 2017, eq. 3, with errors for accuracies. NaN without a pixel.
    """
    return float((sums[:, 1] - sums[:, 2]).abs().sum() / sums[:, 0].sum())
