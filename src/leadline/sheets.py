"""Sheets of a test set's pictures: best, median and worst ones, and the report's figures."""

import csv
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from leadline.checkpoint import load_model
from leadline.data import open_dataset
from leadline.data.sample import DepthDataset, collate
from leadline.device import pick_device
from leadline.errors import UserError
from leadline.evaluation import evaluate, predict_batch
from leadline.figures import ScoredPicture, depth_sheet
from leadline.models.model import DepthModel
from leadline.protocols import Protocol, get_protocol


def draw_sheets(
    model: str | Path,
    data: Path,
    split: str,
    protocol: str,
    out: Path,
    num_rows: int = 4,
    show_progress: bool = False,
) -> list[Path]:
    """Evaluate a model and draw its best, median and worst pictures by relative error, and an even sample.

    Args:
        model: as `evaluate`.
        data: as `evaluate`.
        split: as `evaluate`.
        protocol: as `evaluate`.
        out: folder for the sheets, `metrics.json` and `per_image.csv`.
        num_rows: pictures on a sheet.
        show_progress: draw a progress bar.

    Returns:
        The sheets.

    Raises:
        UserError: as `evaluate`, and if `num_rows` is not positive.
    """
    if num_rows < 1:
        raise UserError(f"a sheet needs at least one row, got {num_rows}")
    report = evaluate(model, data=data, split=split, protocol=protocol, show_progress=show_progress)
    report.save(out)
    abs_rel = {name: row["abs_rel"] for name, row in zip(report.ids, report.rows(), strict=True)}
    ranked = _ranked(abs_rel)
    middle = max(0, (len(ranked) - num_rows) // 2)
    choices = {
        "best": ranked[:num_rows],
        "median": ranked[middle : middle + num_rows],
        "worst": ranked[-num_rows:][::-1],
        "sample": list(abs_rel)[:: max(1, len(abs_rel) // num_rows)][:num_rows],
    }
    return _draw(choices, abs_rel, model, data, get_protocol(protocol), out)


def draw_figures(model: str | Path, scores: Path, data: Path, out: Path) -> list[Path]:
    """Draw what the report's Figures 1, 5 and 6 show: its best model on pictures of the test set.

    Figure 1 goes evenly from small to large errors, Figure 5 shows the best, the median and the worst picture, and
    Figure 6 four drawn at random, as the report's four were.

    Args:
        model: as `evaluate`.
        scores: folder with the model's `per_image.csv`, named as its protocol.
        data: as `evaluate`.
        out: folder for the figures.

    Returns:
        The figures.
    """
    with (scores / "per_image.csv").open(newline="", encoding="utf-8") as file:
        abs_rel = {row["id"]: float(row["abs_rel"]) for row in csv.DictReader(file)}
    ranked = _ranked(abs_rel)
    last = len(ranked) - 1
    choices = {
        "figure_1": [ranked[round(share * last)] for share in (0.1, 0.35, 0.65, 0.9)],
        "figure_5": [ranked[0], ranked[last // 2], ranked[last]],
        "figure_6": random.Random(0).sample(ranked, min(4, len(ranked))),
    }
    return _draw(choices, abs_rel, model, data, get_protocol(scores.name), out)


def _ranked(abs_rel: Mapping[str, float]) -> list[str]:
    """Ids from the smallest error to the largest; pictures without a score are left out."""
    return sorted((name for name, value in abs_rel.items() if value == value), key=abs_rel.__getitem__)


def _draw(
    choices: Mapping[str, Sequence[str]],
    abs_rel: Mapping[str, float],
    model: str | Path,
    data: Path,
    rules: Protocol,
    out: Path,
) -> list[Path]:
    dataset, network = open_dataset(data), load_model(model).to(pick_device())
    places = {name: place for place, name in enumerate(dataset.ids)}
    paths = []
    for sheet, names in choices.items():
        rows = [_scored(dataset, places[name], network, rules, abs_rel[name]) for name in names]
        paths.append(out / f"{sheet}.png")
        depth_sheet(paths[-1], rows)
    return paths


def _scored(dataset: DepthDataset, place: int, network: DepthModel, rules: Protocol, abs_rel: float) -> ScoredPicture:
    batch = collate([dataset[place]])
    pred_m = predict_batch(network, batch, rules)
    title = f"{batch.id[0]}: abs_rel {abs_rel:.3f}"
    return ScoredPicture(title, batch.image[0], batch.depth_m[0], batch.valid[0], pred_m[0])
