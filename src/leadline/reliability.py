"""Does a model know how far off it is? Its expected error of a pixel against the error that it makes there."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from leadline.report_figures import finished, model_colours, new_axes, plain_text

BIN_EDGES = tuple(0.005 * 2 ** (step / 2) for step in range(17))  # relative errors of 0.5 % to 128 %
"""Between which expected errors pixels are taken together; the first and last bin are open."""
NUM_BINS = len(BIN_EDGES) + 1
COLUMNS = ("num_pixels", "expected", "actual")
SMALLEST_DEPTH_M = 1e-3
LEAST_SHARE = 1e-3  # of the pixels; bins of fewer are not drawn


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
    actual = (pred_m[counted].clamp_min(SMALLEST_DEPTH_M).double().log() - target_m[counted].double().log()).abs()
    bins = torch.bucketize(expected, torch.tensor(BIN_EDGES, dtype=torch.float64))
    values = torch.stack([torch.ones_like(expected), expected, actual], dim=1)
    return torch.zeros(NUM_BINS, len(COLUMNS), dtype=torch.float64).index_add_(0, bins, values)


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


def reliability_figure(sums: Mapping[str, Tensor]) -> bytes:
    """Draw mean actual against mean expected error of each bin, beside the line on which they are equal.

    Args:
        sums: `reliability_sums` over all pictures, by the model's name.

    Returns:
        PNG. The larger a dot, the more pixels.
    """
    figure, axis = new_axes(4.6)
    ends: list[float] = []
    for (name, it), colour in zip(sums.items(), model_colours(len(sums)), strict=True):
        drawn = it[it[:, 0] > LEAST_SHARE * it[:, 0].sum()]
        expected, actual = (drawn[:, 1] / drawn[:, 0]).tolist(), (drawn[:, 2] / drawn[:, 0]).tolist()
        shares = drawn[:, 0] / it[:, 0].sum()
        label = f"{plain_text(name)} (calibration error {calibration_error(it):.3f})"
        axis.plot(expected, actual, color=colour, linewidth=1.2, label=label)
        axis.scatter(expected, actual, s=(shares * 600).tolist(), color=colour, alpha=0.5, linewidths=0)
        ends += [*expected, *actual]
    limits = _limits(ends)
    axis.plot(limits, limits, color="0.4", linestyle="--", linewidth=1, label="expected = actual")
    axis.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    for each in (axis.xaxis, axis.yaxis):
        ticks = [tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if limits[0] <= tick <= limits[1]]
        each.set_ticks(ticks, [f"{100 * tick:.0f} %" for tick in ticks])
        each.set_ticks([], minor=True)
    axis.set_xlabel("error that the model expects, |ln ŷ − ln y|\n(larger dot: more pixels)", fontsize=9)
    axis.set_ylabel("mean error that it makes there", fontsize=9)
    axis.grid(alpha=0.3)
    return finished(figure, axis)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    positive = [value for value in values if value > 0] or [0.01, 1.0]
    return min(positive) / 1.3, max(positive) * 1.3
