"""A model's values beside the ground truth of labelled images, for `calibrate`."""

from collections.abc import Sequence
from functools import partial
from math import ceil
from pathlib import Path

from leadline.backends import Backend
from leadline.data import DepthDataset, open_dataset, select
from leadline.evaluation.backend_scorer import BackendScorer
from leadline.evaluation.training_split import trained_division
from leadline.geometry import Output
from leadline.prediction import Measured, ordered_map

MAX_SAMPLES = {Output.METRES: 10_000, Output.DEPTH: 500, Output.DISPARITY: 500}
"""Pixels of an image that are compared, evenly over it: a scale and a shift are fitted to all at once."""


def measure_data(backend: Backend, model: str | Path, data: Path, split: str) -> list[Measured]:
    """Compare a model with the labelled images of a data set.

    Args:
        backend: the model.
        model: the name that it was opened by.
        data: path of the data set.
        split: which images, see `leadline.data.splits.select`; as the model was trained, where it was trained on them.

    Returns:
        The measurements of each image that has any.

    Raises:
        LeadlineError: if a file is missing or broken, or there is no such split.
    """
    dataset = open_dataset(data)
    chosen = select(dataset, split, **trained_division(model, data, dataset, split))
    return measure_images(backend, dataset, chosen)


def measure_images(backend: Backend, dataset: DepthDataset, indices: Sequence[int]) -> list[Measured]:
    """Look up a model's values where the images of a data set have valid depth.

    Args:
        backend: the model.
        dataset: the data set.
        indices: its images.

    Returns:
        The measurements of each image that has any, `MAX_SAMPLES` at the most.

    Raises:
        LeadlineError: if a file is missing or broken.
    """
    scorer = BackendScorer(backend)
    jobs = (partial(_measure_image, scorer, dataset, index) for index in indices)
    return [group for group in ordered_map(jobs, scorer.concurrency) if group.metres.size]


def _measure_image(scorer: BackendScorer, dataset: DepthDataset, index: int) -> Measured:
    truth, estimate = scorer.open_image(dataset, index)
    values = estimate(False).values[0]
    usable = truth.valid & values.isfinite()
    if scorer.output is Output.METRES:
        usable &= values > 0
    some = slice(None, None, max(1, ceil(int(usable.sum()) / MAX_SAMPLES[scorer.output])))
    return Measured(values[usable][some].double().numpy(), truth.depth_m[usable][some].double().numpy())
