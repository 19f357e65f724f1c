"""Evaluation: a model, pictures and a protocol become a report with both averagings and a row for each picture."""

import csv
import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from leadline._version import __version__
from leadline.data import DepthDataset, open_dataset, select
from leadline.errors import LeadlineError
from leadline.evaluation.backend_scorer import open_scorer
from leadline.evaluation.breakdown import Breakdown, Groups, by_scene
from leadline.evaluation.metrics import METRICS, metrics_from_sums, named
from leadline.evaluation.protocols import Protocol, get_protocol
from leadline.evaluation.scorer import ScoredBy
from leadline.evaluation.scoring import (
    ImageResult,
    ImageScore,
    UnreadImage,
    score_images,
    score_in_processes,
    score_on_cluster,
)
from leadline.evaluation.training_split import trained_division
from leadline.evaluation.uncertainty import calibration_error
from leadline.geometry import Count, checked
from leadline.io import atomic_file, format_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of an evaluation."""

    model: str
    data: str
    split: str
    protocol: str
    ids: list[str]
    indices: list[int]
    sums: Tensor
    """`metrics.error_sums` of every picture, float64 (N, 10)."""
    runtime: str = ""
    """What ran the model, and in which precision; "" where its predictions lay in files."""
    num_holes: list[int] = field(default_factory=list)
    """Of every picture, the pixels left out of `sums` because there is no prediction; empty: none of any."""
    unread: dict[str, str] = field(default_factory=dict)
    """By their ids, the pictures that could not be scored and are in nothing else here: why, in one line each."""
    protocol_digest: str = ""
    """Hash of the protocol's rules."""
    data_digest: str = ""
    """Hash of the ids and of every true depth and mask of the pictures."""
    groups: dict[str, Groups] = field(default_factory=dict)
    """By the division's name, and "scene": pooled errors of parts of the pixels; empty unless asked for."""
    calibration: Tensor | None = None
    """`reliability.reliability_sums` over all pictures; None if the model does not say how far off it may be."""
    boundaries: Tensor | None = None
    """`boundaries.boundary_scores` of every picture, (N, 3); None unless asked for."""

    @property
    def per_image(self) -> dict[str, float]:
        """Mean over the pictures that have a scored pixel."""
        return named(metrics_from_sums(self.sums[self.sums[:, 0] > 0]).mean(0))

    @property
    def num_unscored(self) -> int:
        """Pictures without a scored pixel."""
        return int((self.sums[:, 0] == 0).sum())

    @property
    def hole_share(self) -> float:
        """Share of the pixels to be scored that have no prediction and are left out."""
        left_out = sum(self.num_holes)
        return left_out / max(1.0, left_out + float(self.sums[:, 0].sum()))

    @property
    def pooled(self) -> dict[str, float]:
        """Over all scored pixels."""
        return named(metrics_from_sums(self.sums.sum(0)))

    def rows(self) -> list[dict[str, float]]:
        """The metrics of each picture, in the order of `ids`."""
        return [named(row) for row in metrics_from_sums(self.sums)]

    def to_json(self) -> dict[str, Any]:
        """What `metrics.json` holds."""
        known = {} if self.calibration is None else {"calibration_error": calibration_error(self.calibration)}
        known |= {"hole_share": self.hole_share} if self.hole_share else {}
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "protocol": self.protocol,
            "num_images": len(self.ids),
            **({"num_unread": len(self.unread), "unread": self.unread} if self.unread else {}),
            "per_image": self.per_image,
            "pooled": self.pooled,
            **known,
            "protocol_digest": self.protocol_digest,
            "data_digest": self.data_digest,
            **({"runtime": self.runtime} if self.runtime else {}),
            "leadline": __version__,
        }

    def save(self, out: Path, calibration_png: bytes | None = None) -> None:
        """Write `per_image.csv` and `metrics.json` into a folder, and `calibration.png` if there is one.

        `metrics.json` comes last, and an older one goes before: where it is, all of one evaluation is.
        """
        with atomic_file(out / "metrics.json") as totals, atomic_file(out / "per_image.csv") as rows:
            totals.write_text(format_json(self.to_json()), encoding="utf-8")
            with rows.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, ["id", *METRICS])
                writer.writeheader()
                writer.writerows({"id": name, **row} for name, row in zip(self.ids, self.rows(), strict=True))
            for name in ("metrics.json", "calibration.png"):
                (out / name).unlink(missing_ok=True)
            if calibration_png is not None:
                with atomic_file(out / "calibration.png") as picture:
                    picture.write_bytes(calibration_png)


@checked
def evaluate(
    model: str | Path = "default",
    *,
    data: str | Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    processes: Count = 1,
    cluster: bool = False,
    skip_unread: bool = False,
    show_progress: bool = False,
) -> Evaluation:
    """Score a model.

    Args:
        model: a leadline model ("default", a bundled one's name, a checkpoint's folder, a run's), "hf:NAME",
            an .onnx file, or "files:DIR" of predictions made elsewhere.
        data: path of the data set.
        split: "all", RULE/PART such as "official/test" or "report/test", or a text file of ids. Where the model was
            trained on this data by the same rule, its parts are the training's.
        protocol: name of a protocol, see `leadline.evaluation.protocols.PROTOCOLS`, or a TOML file.
        processes: how many share the pictures; but for rounding the numbers are the same with any.
        cluster: whether the workers of a Ray cluster share them instead, see
            `leadline.evaluation.scoring.score_on_cluster`.
        skip_unread: whether to go on past pictures that cannot be scored, and name them in `Evaluation.unread`;
            else the first one is an error.
        show_progress: draw a progress bar.

    Returns:
        The report.

    Raises:
        LeadlineError: if model, data, split or protocol is unknown, a file is broken, or the protocol does not fit.
    """
    return evaluate_protocols(
        model,
        data=data,
        split=split,
        protocols=[protocol],
        processes=processes,
        cluster=cluster,
        skip_unread=skip_unread,
        show_progress=show_progress,
    )[0]


def evaluate_protocols(
    model: str | Path,
    *,
    data: str | Path,
    split: str,
    protocols: Sequence[str],
    processes: int = 1,
    cluster: bool = False,
    details: bool = False,
    skip_unread: bool = False,
    show_progress: bool = False,
) -> list[Evaluation]:
    """Score a model under several protocols, predicting each picture only once for all that treat it alike.

    Args:
        model: as `evaluate`.
        data: as `evaluate`.
        split: as `evaluate`.
        protocols: names of protocols.
        processes: as `evaluate`.
        cluster: as `evaluate`.
        details: whether errors are also divided by where they are, and boundaries scored.
        skip_unread: as `evaluate`.
        show_progress: draw a progress bar.

    Returns:
        A report for each protocol, in their order.

    Raises:
        LeadlineError: as `evaluate`.
    """
    rules = [get_protocol(name) for name in protocols]
    dataset = open_dataset(Path(data))
    by, rows = _score(model, Path(data), dataset, split, rules, processes, cluster, details, skip_unread, show_progress)
    return reports(by, Path(data), dataset, split, rules, rows)


def evaluate_models(
    models: Sequence[str | Path],
    *,
    data: str | Path,
    split: str,
    protocol: str,
    processes: int = 1,
    details: bool = False,
    show_progress: bool = False,
) -> list[Evaluation]:
    """Score models on the same pictures: one that cannot be scored for one of them is left out of all.

    Args:
        models: each as `evaluate`.
        data: as `evaluate`.
        split: as `evaluate`.
        protocol: as `evaluate`.
        processes: as `evaluate`.
        details: as `evaluate_protocols`.
        show_progress: draw a progress bar for each.

    Returns:
        A report for each model, in their order, all with the same `unread`.

    Raises:
        LeadlineError: as `evaluate`.
    """
    rules = [get_protocol(protocol)]
    dataset = open_dataset(Path(data))
    scored = [
        _score(model, Path(data), dataset, split, rules, processes, False, details, True, show_progress)
        for model in models
    ]
    broken = {row.index: row for _, rows in scored for row in rows if isinstance(row, UnreadImage)}
    return [
        reports(by, Path(data), dataset, split, rules, [broken.get(row.index, row) for row in rows])[0]
        for by, rows in scored
    ]


def _score(
    model: str | Path,
    data: Path,
    dataset: DepthDataset,
    split: str,
    rules: Sequence[Protocol],
    processes: int,
    cluster: bool,
    details: bool,
    skip_unread: bool,
    show_progress: bool,
) -> tuple[ScoredBy, list[ImageResult]]:
    """What a model is called and what ran it, and its score of each picture of a split, in any order."""
    chosen = select(dataset, split, **trained_division(model, data, dataset, split))
    processes = min(processes, len(chosen))
    scorer = open_scorer(model, dataset) if processes == 1 and not cluster else None
    with tqdm(desc="evaluate", unit="picture", total=len(chosen), disable=not show_progress, leave=False) as bar:
        if cluster:
            return score_on_cluster(str(model), data, chosen, rules, details, skip_unread, bar.update)
        if scorer is None:
            shared = (str(model), data, chosen, rules, processes)
            return score_in_processes(*shared, details, skip_unread, bar.update)
        rows: list[ImageResult] = []
        for row in score_images(scorer, dataset, chosen, rules, details, skip_unread):
            rows.append(row)
            bar.update()
        return ScoredBy(scorer.name, scorer.runtime), rows


def reports(
    by: ScoredBy,
    data: Path,
    dataset: DepthDataset,
    split: str,
    protocols: Sequence[Protocol],
    rows: Iterable[ImageResult],
) -> list[Evaluation]:
    """Put pictures' scores together; their order does not matter.

    Args:
        by: what the model is called, and what ran it.
        data: path of the data set.
        dataset: the data set.
        split: which pictures these are, in words.
        protocols: the rules.
        rows: the scores.

    Returns:
        A report for each protocol, in their order.

    Raises:
        LeadlineError: if no picture, or no pixel under a protocol, is scored.
    """
    results = sorted(rows, key=lambda row: row.index)
    ordered = [row for row in results if isinstance(row, ImageScore)]
    broken = [row for row in results if isinstance(row, UnreadImage)]
    if broken and not ordered:
        others = f"; nor can the other {len(broken) - 1} pictures be scored" if len(broken) > 1 else ""
        raise LeadlineError(broken[0].error + others)
    all_ids, all_scenes = dataset.ids, dataset.scenes
    ids, scenes = ([names[row.index] for row in ordered] for names in (all_ids, all_scenes))
    truth = hashlib.sha256()
    for picture, row in zip(ids, ordered, strict=True):
        truth.update(picture.encode() + b"\0" + row.truth_digest)
    found = []
    for place, rules in enumerate(protocols):
        scores = [row.scores[place] for row in ordered]
        sums = torch.stack([score.sums for score in scores])
        num_holes = [score.num_holes for score in scores]
        if not sums[:, 0].any():
            raise LeadlineError(
                f"protocol {rules.name!r} scores no pixel of these pictures: is their depth valid, and in metres "
                f"within {rules.valid_range_m}? 'leadline data check' tells"
            )
        boundaries = [score.boundaries for score in scores if score.boundaries is not None]
        calibrations = [score.calibration for score in scores if score.calibration is not None]
        found.append(
            Evaluation(
                model=by.name,
                runtime=by.runtime,
                data=data.resolve().name,
                split=Path(split).name if split.endswith(".txt") else split,
                protocol=rules.name,
                ids=ids,
                indices=[row.index for row in ordered],
                sums=sums,
                num_holes=num_holes,
                unread={all_ids[row.index]: row.error for row in broken},
                protocol_digest=rules.digest,
                data_digest=truth.hexdigest()[:16],
                calibration=torch.stack(calibrations).sum(0) if calibrations else None,
                groups=_groups(ordered, place, sums, scenes) if boundaries else {},
                boundaries=torch.stack(boundaries) if boundaries else None,
            )
        )
        _tell_of_holes(found[-1])
    return found


def _tell_of_holes(evaluation: Evaluation) -> None:
    pictures = sum(number > 0 for number in evaluation.num_holes)
    if pictures:
        logger.warning(
            "%s has no prediction at %.2g %% of the scored pixels, in %d of %d pictures "
            "(0, negative, NaN or infinite): they are left out of the scores",
            evaluation.model,
            100 * evaluation.hole_share,
            pictures,
            len(evaluation.ids),
        )


def _groups(rows: Sequence[ImageScore], place: int, sums: Tensor, scenes: Sequence[str]) -> dict[str, Groups]:
    breakdown = Breakdown()
    for row in rows:
        breakdown.add(row.index, row.scores[place].groups)
    return {**breakdown.results(), "scene": by_scene(sums, scenes)}
