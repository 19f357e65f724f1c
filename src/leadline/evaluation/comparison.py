"""Comparison: scores of the same pictures under the same protocol become paired differences with intervals.

Two models see the same pictures, and most of what makes a picture hard is common to both: the difference of each
picture's scores varies far less than the scores, so the interval of its mean tells models apart that their separate
means do not.
"""

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.data import DepthDataset, open_dataset
from leadline.errors import LeadlineError
from leadline.evaluation.evaluation import Evaluation, evaluate
from leadline.evaluation.metrics import METRICS
from leadline.geometry import Count, checked
from leadline.io import read_json

NUM_RESAMPLES = 10_000
PERCENTILES = (2.5, 97.5)
SEED = 0
RANKED_BY = "abs_rel"  # the smaller, the better
_CHUNK_CELLS = 1_000_000  # of the resamples that are in memory at once


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A model's metrics of every picture."""

    model: str
    data: str
    split: str
    protocol: str
    ids: list[str]
    rows: list[dict[str, float]]
    """For each id, every key of `METRICS`; NaN where the picture has no score."""
    scenes: list[str] = field(default_factory=list)
    """The scene of each id; empty, or "" in places, where unknown."""
    protocol_digest: str = ""
    """Hash of the protocol's rules; "" where unknown."""
    data_digest: str = ""
    """Hash of the true depth; "" where unknown."""
    hole_share: float = 0.0
    """`Evaluation.hole_share`: of the pixels to be scored, those left out for want of a prediction."""
    unread: dict[str, str] = field(default_factory=dict)
    """`Evaluation.unread`: by their ids, the pictures that could not be scored, and why."""

    def __post_init__(self) -> None:
        """Refuse lists of different lengths (ValueError) and an id that comes twice (LeadlineError)."""
        if len(self.rows) != len(self.ids) or len(self.scenes) not in (0, len(self.ids)):
            raise ValueError(f"got {len(self.ids)} ids, {len(self.rows)} rows and {len(self.scenes)} scenes")
        if len(set(self.ids)) < len(self.ids):
            twice = next(name for place, name in enumerate(self.ids) if name in self.ids[:place])
            raise LeadlineError(f"the scores of {self.model} hold the picture {twice!r} twice; evaluate it again")

    @classmethod
    def of_report(cls, report: Evaluation) -> "Scores":
        """Take them from an evaluation's report."""
        return cls(
            model=report.model,
            data=report.data,
            split=report.split,
            protocol=report.protocol,
            ids=report.ids,
            rows=report.rows(),
            protocol_digest=report.protocol_digest,
            data_digest=report.data_digest,
            hole_share=report.hole_share,
            unread=report.unread,
        )

    def without(self, ids: Collection[str]) -> "Scores":
        """Leave pictures out."""
        kept = [name not in ids for name in self.ids]
        return replace(
            self,
            ids=list(compress(self.ids, kept)),
            rows=list(compress(self.rows, kept)),
            scenes=list(compress(self.scenes, kept)),
        )

    def with_scenes(self, dataset: DepthDataset) -> "Scores":
        """Add the scenes that a data set names, so that scenes are resampled rather than pictures."""
        scene_of = dict(zip(dataset.ids, dataset.scenes, strict=True))
        return replace(self, scenes=[scene_of.get(name, "") for name in self.ids])


def read_scores(folder: Path) -> Scores:
    """Read an evaluation back.

    Args:
        folder: with `metrics.json` and `per_image.csv`, as `Evaluation.save` writes them.

    Returns:
        The scores; the files hold no scenes, so these are unknown.

    Raises:
        LeadlineError: if a file is missing, broken, or not of the same evaluation as the other.
    """
    try:
        about = read_json(folder / "metrics.json")
        with (folder / "per_image.csv").open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, restval=""))
        words: dict[str, Any] = {key: str(about[key]) for key in ("model", "data", "split", "protocol")}
        words |= {key: str(about.get(key, "")) for key in ("protocol_digest", "data_digest")}
        ids = [line["id"] for line in lines]
        rows = [{name: float(line[name]) for name in METRICS} for line in lines]
        num_images, words["hole_share"] = about["num_images"], float(about.get("hole_share", 0))
        words["unread"] = {name: str(why) for name, why in about.get("unread", {}).items()}
    except (FileNotFoundError, NotADirectoryError) as error:
        wanted = "metrics.json and per_image.csv, as leadline evaluate --out writes them"
        raise LeadlineError(f"no evaluation at {folder}: wanted {wanted}") from error
    except KeyError as error:
        raise LeadlineError(f"the evaluation at {folder} lacks {error}; evaluate again") from error
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        raise LeadlineError(f"the evaluation at {folder} is broken ({error}); evaluate again") from error
    if num_images != len(rows):
        raise LeadlineError(f"{folder}: metrics.json is of {num_images} pictures, per_image.csv of {len(rows)}")
    return Scores(ids=ids, rows=rows, **words)


class Difference(NamedTuple):
    """One metric of two models, each a mean over the same pictures."""

    metric: str
    first: float  # mean
    other: float  # mean
    low: float  # ends of the 95 % interval of `difference`
    high: float
    won: float  # share of the pictures on which the other model is better; ties count half

    @property
    def difference(self) -> float:
        """Other less first."""
        return self.other - self.first

    @property
    def verdict(self) -> str:
        """Whether the other model is "better" or "worse"; "unclear" if the interval holds 0."""
        if self.low <= 0 <= self.high:
            return "unclear"
        return "better" if (self.low > 0) == (METRICS[self.metric].better == "higher") else "worse"


class Change(NamedTuple):
    """What two models score on one picture, in `RANKED_BY`."""

    id: str
    first: float
    other: float

    @property
    def difference(self) -> float:
        """Other less first."""
        return self.other - self.first


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model against the first one, the baseline, picture by picture."""

    first: str
    other: str
    data: str
    split: str
    protocol: str
    resampled: str
    """What was drawn anew: "scenes", "pictures", or "pictures of one scene"."""
    num_resampled: int
    differences: list[Difference]
    """One for each of `METRICS`, in that order."""
    changes: list[Change]
    """All pictures that count, from the largest improvement to the largest worsening."""
    left_out: list[str]
    """Ids of the pictures with a score that is not a finite number, of either model, in any metric."""
    num_unscored: tuple[int, int]
    """How many of them are due to the first model, and to the other."""
    protocol_digest: str = ""
    """Hash of the protocol's rules; "" where unknown."""
    data_digest: str = ""
    """Hash of the true depth; "" where unknown."""
    hole_shares: tuple[float, float] = (0.0, 0.0)
    """`Scores.hole_share` of the first model, and of the other."""
    unread: dict[str, str] = field(default_factory=dict)
    """By their ids, the pictures that one of the models could not be scored on, left out of all: why, a line each."""


@checked
def compare(
    *models: str | Path,
    data: str | Path,
    split: str = "official/test",
    protocol: str = "nyu-eigen",
    processes: Count = 1,
    skip_unread: bool = False,
    show_progress: bool = False,
) -> list[Comparison]:
    """Compare models with the first one, image by image, with 95 % intervals.

    Args:
        models: at least two: as `leadline.evaluate`, or folders that an evaluation was saved in.
        data: path of the data set.
        split: as `leadline.evaluate`.
        protocol: as `leadline.evaluate`.
        processes: how many share the images.
        skip_unread: whether to go on past images that cannot be scored, which `Comparison.unread` names; else the
            first one is an error.
        show_progress: draw a progress bar.

    Returns:
        A comparison for each of the models after the first, see `compare_scores`.

    Raises:
        LeadlineError: as `leadline.evaluate` and `compare_scores`, or if there are fewer than two models; this before
            any is scored.
    """
    if len(models) < 2:
        raise LeadlineError(
            f"a comparison needs at least 2 models, got {', '.join(map(str, models)) or 'none'}; name another"
        )
    dataset = open_dataset(Path(data))

    def scores(model: str | Path) -> Scores:
        if (Path(model) / "metrics.json").is_file():
            return read_scores(Path(model))
        result = evaluate(
            model,
            data=data,
            split=split,
            protocol=protocol,
            processes=processes,
            skip_unread=skip_unread,
            show_progress=show_progress,
        )
        return Scores.of_report(result)

    found = [scores(model).with_scenes(dataset) for model in models]
    if len({it.model for it in found}) < len({str(model) for model in models}):  # then their folders tell them apart
        found = [replace(it, model=str(model)) for it, model in zip(found, models, strict=True)]
    return compare_scores(*found)


def compare_scores(first: Scores, *others: Scores) -> list[Comparison]:
    """Compare models with a first one on the same pictures.

    The interval is the percentile bootstrap of the mean difference (Efron 1979). Where every picture's scene is
    known, whole scenes are drawn, because pictures of one scene are not independent.

    Args:
        first: the baseline.
        others: at least one; the order of their pictures does not matter.

    Returns:
        A comparison for each of the others, in their order.

    Raises:
        LeadlineError: if there is no other, the data, splits, protocols or pictures differ, or fewer than 2 pictures
            have a score from both.
    """
    if not others:
        raise LeadlineError(f"a comparison needs at least 2 models, got only {first.model}; name another")
    unread = {name: why for scores in (first, *others) for name, why in scores.unread.items()}
    return [_compare_two(first, other, unread) for other in others]


def _compare_two(first: Scores, other: Scores, unread: dict[str, str]) -> Comparison:
    """Compare two on what any of all models could be scored on: `unread` is left out."""
    _require_alike(first, other)
    first, other = first.without(unread), other.without(unread)
    places = {name: place for place, name in enumerate(other.ids)}
    order = [places[name] for name in first.ids]
    before, after = _matrix(first), _matrix(other)[order]
    scored: NDArray[np.bool_] = np.all(np.isfinite([before, after]), axis=-1)
    kept = scored[0] & scored[1]
    if kept.sum() < 2:
        both = f"{first.model} and {other.model}"
        raise LeadlineError(
            f"wanted at least 2 pictures scored by both {both}, got {kept.sum()}; choose a larger split"
        )
    before, after, ids = before[kept], after[kept], list(compress(first.ids, kept))
    scenes = first.scenes or [other.scenes[place] for place in order if other.scenes]
    resampled, units = _units(ids, list(compress(scenes, kept)))
    return Comparison(
        first=first.model,
        other=other.model,
        data=first.data,
        split=first.split,
        protocol=first.protocol,
        resampled=resampled,
        num_resampled=len(set(units)),
        differences=_differences(before, after, units),
        changes=_changes(ids, before, after),
        left_out=list(compress(first.ids, ~kept)),
        num_unscored=(int((~scored[0]).sum()), int((~scored[1]).sum())),
        protocol_digest=first.protocol_digest or other.protocol_digest,
        data_digest=first.data_digest or other.data_digest,
        hole_shares=(first.hole_share, other.hole_share),
        unread=unread,
    )


def _units(ids: list[str], scenes: list[str]) -> tuple[str, list[str]]:
    """What to draw anew, and the unit of each picture: its scene if all are known and there are several."""
    if not scenes or not all(scenes):
        return "pictures", ids
    return ("scenes", scenes) if len(set(scenes)) > 1 else ("pictures of one scene", ids)


def _require_alike(first: Scores, other: Scores) -> None:
    if set(first.unread) != set(other.unread):  # then the hashes are of the truth of different pictures
        first, other = replace(first, data_digest=""), replace(other, data_digest="")
    for key, digest in {"data": "data_digest", "split": "data_digest", "protocol": "protocol_digest"}.items():
        # Names say little where hashes tell: the same pictures lie in folders of many names.
        if getattr(first, digest) and getattr(other, digest):
            continue
        wanted, got = getattr(first, key), getattr(other, key)
        if wanted != got:
            raise LeadlineError(f"{first.model} has the {key} {wanted!r}, {other.model} {got!r}; evaluate both alike")
    for one, two in ((first, other), (other, first)):
        lacking = sorted(set(one.ids) - set(two.ids) - set(two.unread))
        if lacking:
            raise LeadlineError(
                f"the scores of {two.model} lack {len(lacking)} of the {len(one.ids)} pictures of {one.model}, "
                f"such as {lacking[0]!r}; evaluate both on the same pictures"
            )
    for key, what in {"protocol_digest": "rules of the protocol", "data_digest": "true depth"}.items():
        hashes = {getattr(it, key) for it in (first, other)} - {""}
        if len(hashes) > 1:
            raise LeadlineError(
                f"the {what} of {first.model} and {other.model} differ, by their hashes; evaluate both now"
            )


def _matrix(scores: Scores) -> NDArray[np.float64]:
    """The rows as (N, 9), columns as `METRICS`."""
    values = [[row[name] for name in METRICS] for row in scores.rows]
    return np.array(values, dtype=np.float64).reshape(-1, len(METRICS))


def _differences(before: NDArray[np.float64], after: NDArray[np.float64], units: Sequence[str]) -> list[Difference]:
    sign = np.array([1 if info.better == "higher" else -1 for info in METRICS.values()])
    won = (np.sign(after - before) * sign + 1).mean(0) / 2
    columns = (before.mean(0), after.mean(0), *mean_intervals(after - before, units), won)
    return [Difference(name, *map(float, values)) for name, *values in zip(METRICS, *columns, strict=True)]


def mean_intervals(values: NDArray[np.float64], units: Sequence[str]) -> NDArray[np.float64]:
    """Percentile bootstrap of column means, drawing whole units: pictures, or scenes of several pictures.

    Args:
        values: (N, M).
        units: the unit of each row; rows of one unit are drawn together.

    Returns:
        Lower and upper ends of the 95 % intervals, (2, M); the same each time, whatever the order of rows.
    """
    names, unit = np.unique(units, return_inverse=True)
    num = len(names)
    sums, sizes = np.zeros((num, values.shape[1])), np.bincount(unit)
    np.add.at(sums, unit, values)
    generator = np.random.default_rng(SEED)
    means = np.empty((NUM_RESAMPLES, values.shape[1]))
    step = max(1, _CHUNK_CELLS // num)
    for start in range(0, NUM_RESAMPLES, step):
        rows = len(means[start : start + step])
        drawn = generator.integers(num, size=(rows, num)) + num * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * num).reshape(rows, num).astype(np.float64)
        means[start : start + step] = (times @ sums) / (times @ sizes)[:, None]
    ends: NDArray[np.float64] = np.percentile(means, PERCENTILES, axis=0)
    return ends


def _changes(ids: Sequence[str], before: NDArray[np.float64], after: NDArray[np.float64]) -> list[Change]:
    column = list(METRICS).index(RANKED_BY)
    pairs = zip(ids, before[:, column].tolist(), after[:, column].tolist(), strict=True)
    return sorted((Change(*pair) for pair in pairs), key=lambda change: change.difference)
