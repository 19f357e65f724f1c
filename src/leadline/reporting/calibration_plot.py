"""Expected against actual error as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from leadline.evaluation import Evaluation, calibration_error
from leadline.reporting.plots import finished, model_colours, new_axes, plain_text

MIN_SHARE = 1e-3  # of the pixels; bins of fewer are not drawn


def save_report(report: Evaluation, out: Path) -> None:
    """Save an evaluation, and expected against actual error as `calibration.png` where the model expects one."""
    sums = report.calibration
    report.save(out, None if sums is None else reliability_figure({report.model: sums}))


def reliability_figure(sums: Mapping[str, Tensor], colours: Mapping[str, str] | None = None) -> bytes:
    """Draw mean actual against mean expected error of each bin, beside the line on which they are equal.

    Args:
        sums: `reliability_sums` over all pictures, by the model's name.
        colours: by the model's name; see `model_colours`.

    Returns:
        PNG. The larger a dot, the more pixels.
    """
    figure, axis = new_axes(4.6)
    ends: list[float] = []
    for name, it in sums.items():
        colour = (colours or model_colours(sums))[name]
        drawn = it[it[:, 0] > MIN_SHARE * it[:, 0].sum()]
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
