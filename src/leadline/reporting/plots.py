"""The pictures inside a report: plots of the errors by groups of pixels, and panels of one scored picture.

Everything is drawn in memory and returned as the bytes of a PNG or JPEG file.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.evaluation import METRICS, Groups
from leadline.prediction import COLOR_MAP, colorize, depth_limits
from leadline.reporting.figures import ERROR_COLOURS, ERROR_END, ScoredPicture

MODEL_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Of Okabe and Ito: told apart by the colour-blind too."""
DOTS_PER_INCH = 130
WIDTH_IN = 5.6
PANEL_WIDTH_PX = 360
NUM_BINS = 30
MAX_LABELLED = 2  # values above the bars of more models than this would overlap
MAX_LABELS_ACROSS = 10
_INVALID_RGB = (128, 128, 128)


def group_bars(groups: Mapping[str, Groups], metric: str, colours: Mapping[str, str] | None = None) -> bytes:
    """Draw a metric as upright bars, a cluster for each group of pixels and a bar in it for each model.

    Args:
        groups: by the model's name, one division's groups; the same labels for all.
        metric: a key of `METRICS`.
        colours: by the model's name; see `model_colours`.

    Returns:
        PNG. Below each group stands its share of the pixels (the first model's, where they differ).
    """
    figure, axis = new_axes(3.6)
    first = next(iter(groups.values()))
    for name, offset, width, values, colour in _clusters(groups, metric, colours):
        bars = axis.bar(np.arange(len(values)) + offset, values, width, color=colour, label=plain_text(name))
        if len(groups) <= MAX_LABELLED:
            # Upright where many thin bars stand side by side, so that no number runs into the next.
            upright = 90 if len(groups) * len(values) > MAX_LABELS_ACROSS else 0
            axis.bar_label(bars, [_number(value) for value in values], fontsize=7, padding=2, rotation=upright)
    ticks = [f"{plain_text(label)}\n{_percent(share)}" for label, share in zip(first.labels, first.shares, strict=True)]
    axis.set_xticks(range(len(ticks)), ticks, fontsize=8)
    axis.set_xlim(-0.6, len(ticks) - 0.4)  # also around a group that is empty
    axis.set_xlabel(f"{first.title}\n(below each: its share of the pixels)", fontsize=9)
    axis.set_ylabel(_metric_title(metric), fontsize=9)
    axis.margins(y=0.18)
    axis.grid(axis="y", alpha=0.3)
    return finished(figure, axis)


def group_rows(groups: Mapping[str, Groups], metric: str, colours: Mapping[str, str] | None = None) -> bytes:
    """Draw a metric as level bars, for groups with many or long names; the first model's worst is at the top.

    Args:
        groups: as `group_bars`.
        metric: as `group_bars`.
        colours: as `group_bars`.

    Returns:
        PNG.
    """
    first = next(iter(groups.values()))
    figure, axis = new_axes(max(2.4, 1.3 + len(first.labels) * (0.16 + 0.1 * len(groups))))
    places = {place: row for row, place in enumerate(_from_worst(first, metric))}
    for name, offset, width, values, colour in _clusters(groups, metric, colours):
        rows = [places[place] + offset for place in range(len(values))]
        bars = axis.barh(rows, values, width, color=colour, label=plain_text(name))
        if len(groups) <= MAX_LABELLED:
            axis.bar_label(bars, [_number(value) for value in values], fontsize=7, padding=1)
    axis.set_yticks(range(len(places)), [plain_text(first.labels[place]) for place in places], fontsize=8)
    axis.set_ylim(len(places) - 0.4, -0.6)
    axis.set_ylabel(first.title, fontsize=9)
    axis.set_xlabel(_metric_title(metric), fontsize=9)
    axis.margins(x=0.1)
    axis.grid(axis="x", alpha=0.3)
    return finished(figure, axis)


def region_maps(groups: Mapping[str, Groups], metric: str, colours: Mapping[str, str] | None = None) -> bytes:
    """Draw a metric of the ninths of the picture where they lie, a map for each model, all in one scale.

    Args:
        groups: by the model's name, the groups of `DIVISIONS["region"]`.
        metric: as `group_bars`.
        colours: as `group_bars`.

    Returns:
        PNG.
    """
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = _figure(3.6 if len(groups) == 1 else 0.9 + 1.7 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    maps = {name: np.asarray(_values(it, metric)).reshape(3, 3) for name, it in groups.items()}
    finite = [value for values in maps.values() for value in values[np.isfinite(values)]] or [0.0]
    low, high = min(finite), max(max(finite), min(finite) + 1e-9)
    for axis, (name, values) in zip(axes, maps.items(), strict=False):
        image = axis.imshow(values, cmap=ERROR_COLOURS, vmin=low, vmax=high, aspect=0.75)
        for (row, column), value in np.ndenumerate(values):
            ink = "black" if value > (low + high) / 2 else "white"
            axis.text(column, row, _number(value), ha="center", va="center", color=ink, fontsize=9)
        axis.set_xticks(range(3), ["left", "centre", "right"], fontsize=8)
        axis.set_yticks(range(3), ["top", "middle", "bottom"], fontsize=8)
        axis.set_facecolor("0.6")  # a ninth without a scored pixel
        if len(groups) > 1:
            axis.set_title(plain_text(name, 26), fontsize=9, color=(colours or model_colours(groups))[name])
    for axis in axes[len(groups) :]:
        axis.axis("off")
    figure.supxlabel("place in the picture, across (thirds of its width)", fontsize=9)
    figure.supylabel("place, down (thirds of its height)", fontsize=9)
    bar = figure.colorbar(image, ax=list(axes))
    bar.set_label(_metric_title(metric), fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return _png(figure)


def error_histogram(abs_rel: Mapping[str, Sequence[float]], colours: Mapping[str, str] | None = None) -> bytes:
    """Draw how many pictures have which relative error.

    Args:
        abs_rel: by the model's name, the error of every picture; one that is not finite is left out.
        colours: as `group_bars`.

    Returns:
        PNG. The last bin holds all larger errors too, so that one bad picture does not squeeze the others.
    """
    figure, axis = new_axes(3.6)
    finite = {name: np.asarray([value for value in values if math.isfinite(value)]) for name, values in abs_rel.items()}
    together = np.concatenate(list(finite.values()))
    end = float(np.quantile(together, 0.98)) * 1.1 if len(together) else 1.0
    edges = np.linspace(0, max(end, 1e-3), NUM_BINS + 1)
    for name, values in finite.items():
        colour = (colours or model_colours(finite))[name]
        shown, median = values.clip(0, edges[-1]), float(np.median(values)) if len(values) else math.nan
        label = plain_text(name)
        if len(finite) == 1:
            axis.hist(shown, edges, histtype="stepfilled", color=colour, alpha=0.25)
        elif len(values):
            label += f" (median {median:.3f}, dashed)"
        axis.hist(shown, edges, histtype="step", color=colour, linewidth=1.4, label=label)
        if len(values):
            line = axis.axvline(min(median, edges[-1]), color=colour, linestyle="--", linewidth=1.2)
            line.set_label(f"median {median:.3f}" if len(finite) == 1 else "_")
    axis.set_xlim(0, edges[-1])
    axis.set_xlabel("abs_rel of a picture, mean |y−ŷ|/y (last bin: and more)", fontsize=9)
    axis.set_ylabel("number of pictures", fontsize=9)
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    return finished(figure, axis)


class Panels(NamedTuple):
    """One scored picture, drawn: the bytes of four JPEG files and what their colours mean."""

    picture: bytes
    truth: bytes
    prediction: bytes
    error: bytes
    near_m: float  # depth of the first colour of truth and prediction
    far_m: float  # depth of the last


def picture_panels(scored: ScoredPicture) -> Panels:
    """Draw picture, truth, prediction and relative error, at most `PANEL_WIDTH_PX` wide.

    Truth and prediction share one colour scale; errors end at `ERROR_END`; invalid pixels are grey in truth and error.

    Args:
        scored: the picture with its depths.
    """
    truth_m, pred_m, valid = (part[0].numpy() for part in (scored.depth_m, scored.pred_m, scored.valid))
    everywhere = np.ones_like(valid)
    both, both_valid = np.stack([truth_m, pred_m]), np.stack([valid, everywhere])
    near_m, far_m = depth_limits(both, both_valid)
    rgb = (scored.image.permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
    return Panels(
        _jpeg(rgb),
        _jpeg(colorize(truth_m, valid, near_m, far_m)),
        _jpeg(colorize(pred_m, everywhere, near_m, far_m)),
        _jpeg(_error_colours(truth_m, pred_m, valid)),
        near_m,
        far_m,
    )


def colour_stops(colour_map: str = COLOR_MAP, count: int = 9) -> list[str]:
    """Evenly spaced colours of a map, from its first to its last, as "#rrggbb".

    Args:
        colour_map: a name that matplotlib knows.
        count: how many.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps[colour_map](np.linspace(0, 1, count))]


def _error_colours(
    truth_m: NDArray[np.float32], pred_m: NDArray[np.float32], valid: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    from matplotlib import colormaps

    error = np.abs(pred_m - truth_m) / np.where(valid, truth_m, 1)
    drawn = valid & np.isfinite(error)
    colours: NDArray[np.uint8] = colormaps[ERROR_COLOURS](np.where(drawn, error, 0) / ERROR_END, bytes=True)[..., :3]
    return np.where(drawn[..., None], colours, np.array(_INVALID_RGB, dtype=np.uint8))


def _clusters(
    groups: Mapping[str, Groups], metric: str, colours: Mapping[str, str] | None
) -> list[tuple[str, float, float, list[float], str]]:
    """For each model: its name, its bars' offset from their groups' middle, their width, values and colour."""
    width = 0.8 / len(groups)
    chosen = colours or model_colours(groups)
    return [
        (name, (place - (len(groups) - 1) / 2) * width, width, _values(it, metric), chosen[name])
        for place, (name, it) in enumerate(groups.items())
    ]


def model_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each model, which is to be the same in all plots of a report."""
    return dict(zip(names, cycle(MODEL_COLOURS), strict=False))


def _values(groups: Groups, metric: str) -> list[float]:
    """The metric of each group; NaN for one that is empty or has an infinite error."""
    values: list[float] = groups.metrics[:, list(METRICS).index(metric)].tolist()
    return [value if math.isfinite(value) else math.nan for value in values]


def _from_worst(groups: Groups, metric: str) -> list[int]:
    """Places of the groups from the worst to the best; those without a value come last."""
    values = _values(groups, metric)
    sign = 1 if METRICS[metric].better == "higher" else -1
    return sorted(range(len(values)), key=lambda place: (math.isnan(values[place]), sign * values[place]))


def _metric_title(metric: str) -> str:
    better = "higher" if METRICS[metric].better == "higher" else "lower"
    return f"{METRICS[metric].label}: {METRICS[metric].meaning}\n({better} is better)"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else "none" if not share > 0 else f"{100 * share:.0f} %"


def plain_text(text: str, most: int = 50) -> str:
    """Text that matplotlib shows as it is: no formulae between dollars, no hiding of what begins with "_"."""
    shortened = text if len(text) <= most else f"…{text[1 - most :]}"
    return ("\u2009" if shortened.startswith("_") else "") + shortened.replace("$", r"\$")


def _figure(height_in: float) -> Any:
    """An empty figure of the common width, apart from pyplot's and its memory."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), dpi=DOTS_PER_INCH, layout="constrained")


def new_axes(height_in: float) -> tuple[Any, Any]:
    """A figure of the common width in inches, and its axes in the common style."""
    figure = _figure(height_in)
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)
    return figure, axis


def finished(figure: Any, axis: Any) -> bytes:
    """The figure as PNG, with a legend below it if there is more than one thing to tell apart."""
    handles, labels = axis.get_legend_handles_labels()
    if len(labels) > 1:
        columns = 2 if max(map(len, labels)) <= 26 else 1  # long names need the whole width
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8)
    return _png(figure)


def _png(figure: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A small JPEG of an RGB picture, (H, W, 3)."""
    image = Image.fromarray(rgb)
    if image.width > PANEL_WIDTH_PX:
        height = max(1, round(image.height * PANEL_WIDTH_PX / image.width))
        image = image.resize((PANEL_WIDTH_PX, height), Image.Resampling.BOX, reducing_gap=2)
    file = BytesIO()
    image.save(file, "JPEG", quality=85, subsampling=0)
    return file.getvalue()
