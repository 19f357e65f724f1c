"""Sheets of a test set's pictures: best, median and worst ones, and the report's figures."""

import csv
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leadline.data import DepthDataset, open_dataset
from leadline.errors import LeadlineError
from leadline.evaluation import (
    Evaluation,
    Protocol,
    Scorer,
    evaluate,
    get_protocol,
    open_scorer,
    predicted_pixels,
    scored_pixels,
    scored_prediction,
)
from leadline.io import require_target
from leadline.reporting.calibration_plot import save_report
from leadline.reporting.figures import ScoredPicture, depth_sheet


def draw_sheets(
    model: str | Path,
    data: Path,
    split: str,
    protocol: str,
    out: Path,
    num_rows: int = 4,
    show_progress: bool = False,
    on_unread: Callable[[str], object] = lambda line: None,
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
        on_unread: is called with one line for each picture that cannot be scored and is left out.

    Returns:
        The sheets.

    Raises:
        LeadlineError: as `evaluate`, and if `num_rows` is not positive or `out` cannot be written; before any work.
    """
    if num_rows < 1:
        raise LeadlineError(f"a sheet needs at least one row, got {num_rows}")
    require_target(out, folder=True)
    report = evaluate(model, data=data, split=split, protocol=protocol, skip_unread=True, show_progress=show_progress)
    for line in report.unread.values():
        on_unread(line)
    save_report(report, out)
    step = max(1, len(report.ids) // num_rows)
    choices = {**rank_pictures(report, num_rows), "sample": report.ids[::step][:num_rows]}
    sheets = scored_pictures(model, report, data, get_protocol(protocol), choices)
    return _draw(sheets, out, f"{report.model}, protocol {report.protocol}")


def rank_pictures(report: Evaluation, num_rows: int) -> dict[str, list[str]]:
    """Ids of the "best", "median" and "worst" pictures by relative error, `num_rows` of each."""
    ranked = _ranked(_errors(report))
    middle = max(0, (len(ranked) - num_rows) // 2)
    return {
        "best": ranked[:num_rows],
        "median": ranked[middle : middle + num_rows],
        "worst": ranked[-num_rows:][::-1],
    }


def scored_pictures(
    model: str | Path, report: Evaluation, data: Path, rules: Protocol, choices: Mapping[str, Sequence[str]]
) -> dict[str, list[ScoredPicture]]:
    """Predict pictures once more, to draw them.

    Args:
        model: as `evaluate`.
        report: its evaluation, for the pictures' titles.
        data: as `evaluate`.
        rules: the protocol.
        choices: ids by heading.

    Returns:
        The pictures by heading.
    """
    return _predicted(choices, _errors(report), model, data, rules)


def _errors(report: Evaluation) -> dict[str, float]:
    return {name: row["abs_rel"] for name, row in zip(report.ids, report.rows(), strict=True)}


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
    sheets = _predicted(choices, abs_rel, model, data, get_protocol(scores.name))
    return _draw(sheets, out, f"{Path(model).name}, protocol {scores.name}")


def _ranked(abs_rel: Mapping[str, float]) -> list[str]:
    """Ids from the smallest error to the largest; pictures without a score are left out."""
    return sorted((name for name, value in abs_rel.items() if value == value), key=abs_rel.__getitem__)


def _predicted(
    choices: Mapping[str, Sequence[str]], abs_rel: Mapping[str, float], model: str | Path, data: Path, rules: Protocol
) -> dict[str, list[ScoredPicture]]:
    dataset = open_dataset(data)
    scorer = open_scorer(model, dataset)
    places = {name: place for place, name in enumerate(dataset.ids)}
    return {
        heading: [_scored(dataset, places[name], scorer, rules, abs_rel[name]) for name in names]
        for heading, names in choices.items()
    }


def _draw(sheets: Mapping[str, Sequence[ScoredPicture]], out: Path, title: str) -> list[Path]:
    paths = []
    for sheet, rows in sheets.items():
        paths.append(out / f"{sheet}.png")
        depth_sheet(paths[-1], rows, f"{title}: {sheet.replace('_', ' ')}")
    return paths


def _scored(dataset: DepthDataset, place: int, scorer: Scorer, rules: Protocol, abs_rel: float) -> ScoredPicture:
    sample, values = dataset[place], scorer.open_image(dataset, place).estimate(rules.flip).values
    depth_m = sample.depth_m[None]
    scored = scored_pixels(rules, depth_m, sample.valid[None]) & predicted_pixels(rules, values, scorer.output)
    pred_m = scored_prediction(rules, values, scorer.output, depth_m, scored)
    return ScoredPicture(f"{sample.id}: abs_rel {abs_rel:.3f}", sample.image, sample.depth_m, sample.valid, pred_m[0])
