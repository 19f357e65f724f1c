"""Scoring: pictures and a predictor become a few sums for each picture, in one process or in several."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leadline.backends import Answer, Predictor, open_predictor
from leadline.data import Batch, DepthDataset, collate, open_dataset
from leadline.evaluation.boundary import boundary_scores
from leadline.evaluation.breakdown import division_sums
from leadline.evaluation.metrics import error_sums
from leadline.evaluation.protocols import Protocol, check_output, scored_pixels, scored_prediction
from leadline.evaluation.uncertainty import reliability_sums
from leadline.geometry import Output
from leadline.prediction import ordered_map, ray_cluster

DECODERS = 2
"""Threads that decode pictures; a single one would use all of PyTorch's own threads, in the network's way."""
SHARE = 64
"""Pictures that a worker of a cluster scores at a time."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One picture under one protocol."""

    sums: Tensor
    """`metrics.error_sums`, float64 (10,)."""
    groups: dict[str, Tensor] = field(default_factory=dict)
    """`breakdown.division_sums`, (K, 10) by the division's name; empty unless details are asked for."""
    calibration: Tensor | None = None
    """`reliability.reliability_sums`; None if the predictor does not answer metres and how far off they may be."""
    boundaries: Tensor | None = None
    """`boundaries.boundary_scores`, (3,); None unless details are asked for."""


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """What one picture adds to a report of each protocol."""

    index: int
    truth_digest: bytes
    scores: list[Score]


def score_images(
    predictor: Predictor,
    dataset: DepthDataset,
    indices: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool = False,
) -> Iterator[ImageScore]:
    """Score pictures one after the other; only the scores are kept, never a picture.

    Args:
        predictor: anything that answers depth.
        dataset: the data set.
        indices: its pictures.
        protocols: the rules.
        details: whether errors are also divided by where they are, and boundaries scored.

    Yields:
        A score for each picture, in order.

    Raises:
        LeadlineError: if a file is broken, or a protocol does not fit the truth or the answer.
    """
    for rules in protocols:
        check_output(rules, predictor.output)
    for index, batch in _decoded(dataset, indices):
        answers = {flip: predictor(batch, flip) for flip in {rules.flip for rules in protocols}}
        scores = [_score(predictor, answers[rules.flip], batch, rules, details) for rules in protocols]
        yield ImageScore(index=index, truth_digest=_truth_digest(batch), scores=scores)


def _decoded(dataset: DepthDataset, indices: Sequence[int]) -> Iterator[tuple[int, Batch]]:
    """Each picture as a batch of its own, with its index; the next two are decoded while the predictor looks at it.

    By threads: a forked process, as PyTorch's loader would have, can hang where torch has started threads before.
    """
    jobs = (partial(dataset.__getitem__, index) for index in indices)
    for index, sample in zip(indices, ordered_map(jobs, DECODERS), strict=True):
        yield index, collate([sample])


def _score(predictor: Predictor, answer: Answer, batch: Batch, rules: Protocol, details: bool) -> Score:
    scored = scored_pixels(rules, batch.depth_m, batch.valid)
    pred_m = scored_prediction(rules, answer.values, predictor.output, batch.depth_m, scored)
    sums = error_sums(pred_m, batch.depth_m, scored)[0]
    calibration = None
    if answer.uncertainty is not None and predictor.output is Output.METRES:  # else it is no share of a depth
        calibration = reliability_sums(pred_m, batch.depth_m, scored, answer.uncertainty / answer.values)
    if not details:
        return Score(sums=sums, calibration=calibration)
    groups = division_sums(pred_m, batch.depth_m, scored, answer.uncertainty)
    return Score(
        sums=sums,
        calibration=calibration,
        groups={name: values[0] for name, values in groups.items()},
        boundaries=boundary_scores(pred_m, batch.depth_m, scored)[0],
    )


def _truth_digest(batch: Batch) -> bytes:
    digest = hashlib.sha256(repr(tuple(batch.depth_m.shape)).encode())
    digest.update(torch.where(batch.valid, batch.depth_m, 0.0).numpy().tobytes())
    return digest.digest()


def score_in_processes(
    model: str,
    data: Path,
    chosen: Sequence[int],
    protocols: Sequence[Protocol],
    processes: int,
    details: bool,
    progress: Callable[[int], Any],
) -> tuple[str, list[ImageScore]]:
    """Share the pictures out: each process opens the model for itself and scores every n-th of them.

    Args:
        model: as `open_predictor`.
        data: path of the data set.
        chosen: indices of its pictures.
        protocols: the rules.
        processes: how many.
        details: as `score_images`.
        progress: is told of every so many pictures that are done.

    Returns:
        What the model is called, and a score for each picture, in any order.

    Raises:
        LeadlineError: as `score_images`.
    """
    num_threads = max(1, (os.cpu_count() or 1) // processes)
    rows: list[ImageScore] = []
    # A forked copy of a process in which torch has started threads can hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        shares = [
            pool.submit(_score_share, model, data, chosen[rank::processes], protocols, details, num_threads)
            for rank in range(processes)
        ]
        for share in as_completed(shares):
            name, found = share.result()
            rows += found
            progress(len(found))
    return name, rows


def score_on_cluster(
    model: str,
    data: Path,
    chosen: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool,
    progress: Callable[[int], Any],
) -> tuple[str, list[ImageScore]]:
    """Share the pictures out on a Ray cluster, whose machines all see the model and the data under the same names.

    Args:
        model: as `score_in_processes`, and so the others.
        data: likewise.
        chosen: likewise.
        protocols: likewise.
        details: likewise.
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
    rows: list[ImageScore] = []
    with ray_cluster() as cluster:
        score = cluster.ray.remote(**cluster.share)(_score_share)
        waiting = [
            score.remote(model, data.absolute(), chosen[rank::num_shares], protocols, details, None)
            for rank in range(num_shares)
        ]
        while waiting:
            (share,), waiting = cluster.ray.wait(waiting)
            name, found = cluster.ray.get(share)
            rows += found
            progress(len(found))
    return name, rows


def _score_share(
    model: str,
    data: Path,
    indices: Sequence[int],
    protocols: Sequence[Protocol],
    details: bool,
    num_threads: int | None,
) -> tuple[str, list[ImageScore]]:
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    dataset = open_dataset(data)
    predictor = open_predictor(model, dataset)
    return predictor.name, list(score_images(predictor, dataset, indices, protocols, details))
