"""Scoring: pictures and a predictor become a few sums for each picture, in one process or in several."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from leadline.data import DepthDataset, GroundTruth, open_dataset
from leadline.errors import LeadlineError
from leadline.evaluation.backend_scorer import open_scorer
from leadline.evaluation.boundary import boundary_scores
from leadline.evaluation.breakdown import division_sums
from leadline.evaluation.metrics import error_sums
from leadline.evaluation.protocols import Protocol, check_output, predicted_pixels, scored_pixels, scored_prediction
from leadline.evaluation.scorer import ImageEstimate, ScoredBy, ScoredImage, Scorer
from leadline.evaluation.uncertainty import reliability_sums
from leadline.geometry import Output
from leadline.io import item_error
from leadline.prediction import ordered_map, ray_cluster

T = TypeVar("T")

DECODERS = 2
"""Threads that decode images; a single one would use all of PyTorch's own threads, in the network's way."""
SHARE = 64
"""Pictures that a worker of a cluster scores at a time."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One picture under one protocol."""

    sums: Tensor
    """`metrics.error_sums`, float64 (10,)."""
    num_holes: int = 0
    """Pixels that would be scored and have no prediction, see `protocols.predicted_pixels`; `sums` is without them."""
    groups: dict[str, Tensor] = field(default_factory=dict)
    """`breakdown.division_sums`, (K, 10) by the division's name; empty unless details are asked for."""
    calibration: Tensor | None = None
    """`reliability.reliability_sums`; None unless the scorer gives metres and their expected error."""
    boundaries: Tensor | None = None
    """`boundaries.boundary_scores`, (3,); None unless details are asked for."""


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """What one picture adds to a report of each protocol."""

    index: int
    truth_digest: bytes
    scores: list[Score]


@dataclass(frozen=True, kw_only=True)
class UnreadImage:
    """A picture that cannot be scored: a file is missing or broken, or the model fails on it."""

    index: int
    error: str
    """Why, in one line that names it."""


ImageResult = ImageScore | UnreadImage


def score_images(
    scorer: Scorer,
    dataset: DepthDataset,
    indices: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool = False,
    skip_unread: bool = False,
) -> Iterator[ImageResult]:
    """Score images, as many at a time as the scorer likes; only the scores are kept, never an image.

    By threads: a forked process, as PyTorch's loader would have, can hang where torch has started threads before.

    Args:
        scorer: what is scored.
        dataset: the data set.
        indices: its pictures.
        protocols: the rules.
        details: whether errors are also divided by where they are, and boundaries scored.
        skip_unread: whether to go on past a picture that cannot be scored, which then is an `UnreadImage`.

    Yields:
        A score for each picture, in order.

    Raises:
        LeadlineError: if a file is broken, or a protocol does not fit the ground truth or the values.
    """
    ids = dataset.ids
    for rules in protocols:
        check_output(rules, scorer.output)
    score = partial(_score_image, ids=ids, output=scorer.output, protocols=protocols, details=details)
    tried = _tried if skip_unread else _untried
    if scorer.concurrency > 1:
        whole = (
            partial(tried, ids, index, partial(_open_and_score, scorer, dataset, index, score)) for index in indices
        )
        yield from ordered_map(whole, scorer.concurrency)
        return
    # The next images are decoded while the network looks at this one.
    opening = (partial(tried, ids, index, partial(scorer.open_image, dataset, index)) for index in indices)
    for index, image in zip(indices, ordered_map(opening, DECODERS), strict=True):
        yield image if isinstance(image, UnreadImage) else tried(ids, index, partial(score, image, index))


def _tried(ids: Sequence[str], index: int, job: Callable[[], T]) -> T | UnreadImage:
    """What a job returns; or, whatever it raises, why its picture has no score."""
    try:
        return job()
    except Exception as error:  # the others are still to be scored
        return UnreadImage(index=index, error=item_error(f"picture {ids[index]}", error))


def _untried(ids: Sequence[str], index: int, job: Callable[[], T]) -> T | UnreadImage:
    return job()


def _open_and_score(
    scorer: Scorer, dataset: DepthDataset, index: int, score: Callable[[ScoredImage, int], ImageScore]
) -> ImageScore:
    return score(scorer.open_image(dataset, index), index)


def _score_image(
    image: ScoredImage, index: int, ids: Sequence[str], output: Output, protocols: Sequence[Protocol], details: bool
) -> ImageScore:
    estimates = {flip: image.estimate(flip) for flip in {rules.flip for rules in protocols}}
    scores = [_score(estimates[rules.flip], output, image.truth, rules, details) for rules in protocols]
    for score in scores:
        _refuse_empty(ids[index], score)
    return ImageScore(index=index, truth_digest=_truth_digest(image.truth), scores=scores)


def _refuse_empty(name: str, score: Score) -> None:
    """Refuse a picture that is to be scored and is predicted nowhere, as a missing file is refused."""
    if score.num_holes and not score.sums[0]:
        raise LeadlineError(
            f"{name}: no prediction at any of the {score.num_holes} scored pixels (0, negative, NaN or infinite): "
            "predict it again, or leave it out of the split"
        )


def _score(estimate: ImageEstimate, output: Output, truth: GroundTruth, rules: Protocol, details: bool) -> Score:
    depth_m, (values, uncertainty) = truth.depth_m[None], estimate
    wanted = scored_pixels(rules, depth_m, truth.valid[None])
    scored = wanted & predicted_pixels(rules, values, output)
    num_holes = int(wanted.sum() - scored.sum())
    pred_m = scored_prediction(rules, values, output, depth_m, scored)
    sums = error_sums(pred_m, depth_m, scored)[0]
    calibration = None
    if uncertainty is not None and output is Output.METRES:  # else it is no share of a depth
        calibration = reliability_sums(pred_m, depth_m, scored, uncertainty / values)
    if not details:
        return Score(sums=sums, num_holes=num_holes, calibration=calibration)
    groups = division_sums(pred_m, depth_m, scored, uncertainty)
    return Score(
        sums=sums,
        num_holes=num_holes,
        calibration=calibration,
        groups={name: values[0] for name, values in groups.items()},
        boundaries=boundary_scores(pred_m, depth_m, scored)[0],
    )


def _truth_digest(truth: GroundTruth) -> bytes:
    digest = hashlib.sha256(repr((1, *truth.depth_m.shape)).encode())
    digest.update(torch.where(truth.valid, truth.depth_m, 0.0).numpy().data)
    return digest.digest()


def score_in_processes(
    model: str,
    data: Path,
    chosen: Sequence[int],
    protocols: Sequence[Protocol],
    processes: int,
    details: bool,
    skip_unread: bool,
    progress: Callable[[int], Any],
) -> tuple[ScoredBy, list[ImageResult]]:
    """Share the pictures out: each process opens the model for itself and scores every n-th of them.

    Args:
        model: as `open_scorer`.
        data: path of the data set.
        chosen: indices of its pictures.
        protocols: the rules.
        processes: how many.
        details: as `score_images`.
        skip_unread: likewise.
        progress: is told of every so many pictures that are done.

    Returns:
        What the model is called and what ran it, and a score for each picture, in any order.

    Raises:
        LeadlineError: as `score_images`.
    """
    num_threads = max(1, (os.cpu_count() or 1) // processes)
    rows: list[ImageResult] = []
    # A forked copy of a process in which torch has started threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        shares = [
            pool.submit(
                _score_share, model, data, chosen[rank::processes], protocols, details, skip_unread, num_threads
            )
            for rank in range(processes)
        ]
        try:
            for share in as_completed(shares):
                by, found = share.result()
                rows += found
                progress(len(found))
        except BrokenProcessPool as error:
            raise LeadlineError(
                f"one of {processes} processes ended before it was done, as for want of memory, or where a script's "
                f'work is not below `if __name__ == "__main__":`, which each process runs again: take fewer processes'
            ) from error
    return by, rows


def score_on_cluster(
    model: str,
    data: Path,
    chosen: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool,
    skip_unread: bool,
    progress: Callable[[int], Any],
) -> tuple[ScoredBy, list[ImageResult]]:
    """Share the pictures out on a Ray cluster, whose machines all see the model and the data under the same names.

    Args:
        model: as `score_in_processes`, and so the others.
        data: likewise.
        chosen: likewise.
        protocols: likewise.
        details: likewise.
        skip_unread: likewise.
        progress: likewise.

    Returns:
        As `score_in_processes`.

    Raises:
        LeadlineError: as `score_images`, or if Ray is not installed.
        OSError: if the cluster fails.
    """
    # Its workers may stand in another folder.
    model = str(Path(model).absolute()) if Path(model).exists() else model
    num_shares = -(-len(chosen) // SHARE)
    rows: list[ImageResult] = []
    with ray_cluster() as cluster:
        score = cluster.ray.remote(**cluster.share)(_score_share)
        waiting = [
            score.remote(model, data.absolute(), chosen[rank::num_shares], protocols, details, skip_unread, None)
            for rank in range(num_shares)
        ]
        while waiting:
            (share,), waiting = cluster.ray.wait(waiting)
            by, found = cluster.ray.get(share)
            rows += found
            progress(len(found))
    return by, rows


def _score_share(
    model: str,
    data: Path,
    indices: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool,
    skip_unread: bool,
    num_threads: int | None,
) -> tuple[ScoredBy, list[ImageResult]]:
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    dataset = open_dataset(data)
    scorer = open_scorer(model, dataset)
    rows = list(score_images(scorer, dataset, indices, protocols, details, skip_unread))
    return ScoredBy(scorer.name, scorer.runtime), rows
