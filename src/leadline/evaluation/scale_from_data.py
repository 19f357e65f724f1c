"""A model's values beside the ground truth of labelled images, for `calibrate`."""

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from pathlib import Path

from leadline.backends import Backend
from leadline.data import DepthDataset, open_dataset, select
from leadline.evaluation.backend_scorer import BackendScorer
from leadline.evaluation.training_split import trained_division
from leadline.geometry import Output
from leadline.io import item_error
from leadline.prediction import Measured, ordered_map

MAX_SAMPLES = {Output.METRES: 10_000, Output.DEPTH: 500, Output.DISPARITY: 500}
"""Pixels of an image that are compared, evenly over it: a scale and a shift are fitted to all at once."""


def measure_data(
    backend: Backend, model: str | Path, data: Path, split: str, on_unread: Callable[[str], object] | None = None
) -> list[Measured]:
    """Compare a model with the labelled images of a data set.

    Args:
        backend: the model.
        model: the name that it was opened by.
        data: path of the data set.
        split: which images, see `leadline.data.splits.select`; as the model was trained, where it was trained on them.
        on_unread: as `measure_images`.

    Returns:
        The measurements of each image that has any.

    Raises:
        LeadlineError: as `measure_images`, or if there is no such split.
    """
    dataset = open_dataset(data)
    chosen = select(dataset, split, **trained_division(model, data, dataset, split))
    return measure_images(backend, dataset, chosen, on_unread)


def measure_images(
    backend: Backend,
    dataset: DepthDataset,
    indices: Sequence[int],
    on_unread: Callable[[str], object] | None = None,
) -> list[Measured]:
    """Look up a model's values where the images of a data set have valid depth.

    Args:
        backend: the model.
        dataset: the data set.
        indices: its images.
        on_unread: is told in a line why an image is passed over; None: the first such ends all.

    Returns:
        The measurements of each image that has any, `MAX_SAMPLES` at the most.

    Raises:
        LeadlineError: if a file is missing or broken, and nobody is told.
    """
    scorer = BackendScorer(backend)
    work = _measure_image if on_unread is None else _tried
    groups: list[Measured] = []
    for index, found in zip(
        indices, ordered_map((partial(work, scorer, dataset, it) for it in indices), scorer.concurrency), strict=True
    ):
        if isinstance(found, Measured):
            groups += [found] if found.metres.size else []
        elif on_unread is not None:
            on_unread(item_error(f"picture {dataset.ids[index]}", found))
    return groups


def _tried(scorer: BackendScorer, dataset: DepthDataset, index: int) -> Measured | Exception:
    try:
        return _measure_image(scorer, dataset, index)
    except Exception as error:  # the others are still to be measured
        return error


def _measure_image(scorer: BackendScorer, dataset: DepthDataset, index: int) -> Measured:
    truth, estimate = scorer.open_image(dataset, index)
    values = estimate(False).values[0]
    usable = truth.valid & values.isfinite()
    if scorer.output is Output.METRES:
        usable &= values > 0
    some = slice(None, None, max(1, ceil(int(usable.sum()) / MAX_SAMPLES[scorer.output])))
    return Measured(values[usable][some].double().numpy(), truth.depth_m[usable][some].double().numpy())
