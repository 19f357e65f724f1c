"""Figures: sheets of pictures beside their depth, and learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from leadline.evaluation import METRICS, ranking_value
from leadline.io import atomic_file
from leadline.prediction import COLOR_MAP

ERROR_COLOURS = "viridis"
ERROR_END = 0.5  # relative errors from here on have the last colour


class ScoredPicture(NamedTuple):
    """One line of a sheet; the title stands at its left."""

    title: str
    image: Tensor  # (3, H, W)
    depth_m: Tensor  # truth, (1, H, W)
    valid: Tensor  # (1, H, W)
    pred_m: Tensor  # (1, H, W)


def depth_sheet(path: Path, rows: Sequence[ScoredPicture], title: str = "") -> None:
    """Draw picture, truth, prediction and relative error, a line for each picture.

    One colour scale in metres serves all depths of the sheet, another all errors.

    Args:
        path: PNG to write.
        rows: at least one.
        title: stands above, such as model and protocol.
    """
    plt = pyplot()
    depths = torch.cat([part for row in rows for part in (row.depth_m[row.valid], row.pred_m.flatten())])
    depths = depths[depths.isfinite()]
    near_m, far_m = torch.quantile(depths[:: max(1, len(depths) // 1_000_000)], torch.tensor([0.01, 0.99])).tolist()
    # A row of panels for each picture, as high as its aspect wants, and a thin one for the colour bars.
    aspects = [row.image.shape[-2] / row.image.shape[-1] for row in rows]
    figure = plt.figure(figsize=(13, 1.1 + 0.3 * bool(title) + 3.05 * sum(aspects)), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    layout = figure.add_gridspec(len(rows) + 1, 4, height_ratios=[*aspects, 0.05])
    for number, row in enumerate(rows):
        axes = [figure.add_subplot(layout[number, column]) for column in range(4)]
        if number == 0:
            for axis, heading in zip(axes, ("picture", "truth", "prediction", "relative error"), strict=True):
                axis.set_title(heading)
        depth_image, error_image = _draw_row(axes, row, near_m, far_m)
    depth_bar, error_bar = figure.add_subplot(layout[-1, 1:3]), figure.add_subplot(layout[-1, 3])
    horizontal = {"orientation": "horizontal"}
    figure.colorbar(depth_image, cax=depth_bar, label="depth in metres", extend="both", **horizontal)
    figure.colorbar(error_image, cax=error_bar, label="|y − ŷ| / y", extend="max", **horizontal)
    save_figure(figure, path)


def learning_curves(path: Path, rows: Sequence[Mapping[str, float]], monitor: str) -> None:
    """Draw the loss and the validation metrics over the epochs.

    Args:
        path: PNG to write.
        rows: a row for each epoch, as in `metrics.csv`.
        monitor: the metric that chooses the best epoch; its best is marked.
    """
    plt = pyplot()
    epochs = [row["epoch"] for row in rows]
    shown = list(dict.fromkeys(["train_loss", "abs_rel", "delta1", "rms", monitor]))
    figure, axes = plt.subplots(1, len(shown), figsize=(3.5 * len(shown), 3.2), layout="constrained")
    for axis, key in zip(axes, shown, strict=True):
        values = [row[key] for row in rows]
        axis.plot(epochs, values, marker="o", markersize=3)
        axis.set_title(_curve_title(key))
        axis.set_xlim(0.5, len(epochs) + 0.5)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
        if key == monitor:
            best = max(range(len(values)), key=[ranking_value(key, value) for value in values].__getitem__)
            axis.plot(epochs[best], values[best], "*", markersize=13, label=f"best: {values[best]:.3f}")
            axis.legend()
    save_figure(figure, path)


def compare_curves(path: Path, runs: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Draw the loss and the validation metrics of several runs over their epochs, in one figure.

    Args:
        path: PNG to write.
        runs: by the run's name, a row for each epoch, as in `metrics.csv`; at least one run.
    """
    plt = pyplot()
    shown = ("train_loss", "delta1", "abs_rel", "rms")
    figure, axes = plt.subplots(1, len(shown), figsize=(15, 3.8), layout="constrained")
    for axis, key in zip(axes, shown, strict=True):
        for name, rows in runs.items():
            axis.plot([row["epoch"] for row in rows], [row[key] for row in rows], marker="o", ms=3, label=name)
        axis.set_title(_curve_title(key))
        axis.set_xlabel("epoch")
        axis.set_xlim(left=0.5)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    save_figure(figure, path)


def _curve_title(key: str) -> str:
    """What a curve shows, and in which unit."""
    if key == "train_loss":
        return "training loss"
    info = METRICS[key]
    return f"validation {info.label}{' in metres' * info.meaning.endswith('in metres')}"


def _draw_row(axes: Any, row: ScoredPicture, near_m: float, far_m: float) -> tuple[Any, Any]:
    error = (row.pred_m - row.depth_m).abs() / row.depth_m.clamp_min(1e-6)
    axes[0].imshow(row.image.permute(1, 2, 0).numpy())
    axes[1].imshow(_shown(row.depth_m, row.valid), cmap=COLOR_MAP, vmin=near_m, vmax=far_m)
    depth_image = axes[2].imshow(row.pred_m[0].numpy(), cmap=COLOR_MAP, vmin=near_m, vmax=far_m)
    error_image = axes[3].imshow(_shown(error, row.valid), cmap=ERROR_COLOURS, vmin=0, vmax=ERROR_END)
    axes[0].set_ylabel(row.title, fontsize=9, parse_math=False)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_facecolor("0.6")  # invalid pixels
    return depth_image, error_image


def _shown(values: Tensor, valid: Tensor) -> Any:
    """(1, H, W) as an array (H, W) that matplotlib leaves blank where invalid."""
    return values.masked_fill(~valid, torch.nan)[0].numpy()


def pyplot() -> Any:
    """Matplotlib without a screen, loaded when first needed (it takes a second)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG and close it."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot().close(figure)
