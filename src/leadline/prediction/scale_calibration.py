"""One factor that puts a model's metres right for a camera or a place, kept only if it helps on what was left out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.backends import NativePredictor, TorchBackend
from leadline.data import DepthDataset, collate, open_dataset, select
from leadline.errors import LeadlineError
from leadline.evaluation import trained_division
from leadline.io import CameraLike, GivenCamera, camera_from_options, read_image
from leadline.models import (
    DepthModel,
    ensure_checkpoint_overwritable,
    find_checkpoint,
    load_checkpoint,
    pick_device,
    save_rescaled,
)
from leadline.prediction.known_distances import KnownDistance, read_distances
from leadline.prediction.measurement import at_size, depth_at, ray, require_inside
from leadline.prediction.prediction import MAX_PIXELS, predict_image
from leadline.prediction.result import Prediction

MIN_DISTANCES = 3
"""Fewer measurements fit any scale, and leave nothing to check it on."""
MAX_SAMPLES = 10_000
"""Pixels of a labelled picture that are looked at, evenly over it."""

LogRatios = NDArray[np.float64]
"""ln(true / predicted) of what is left out together: a point, or a picture."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A scale, and what it does where it was not fitted."""

    scale: float
    """What to multiply the model's metres by."""
    measured: str
    """What it was fitted to, in words."""
    error_before: float
    """Median absolute relative error of the model as it is."""
    error_after: float
    """The same with a scale, of measurements that each scale was fitted without."""

    @property
    def helps(self) -> bool:
        """Whether the error on what was left out is less than without a scale."""
        return self.error_after < self.error_before

    def __str__(self) -> str:
        """One line: the scale, and whether it is worth keeping."""
        left_out = f"median error on what was left out {self.error_after:.1%}, without it {self.error_before:.1%}"
        return f"scale {self.scale:.3f} {'' if self.helps else 'not '}kept: {left_out} ({self.measured})"


def fit_scale(groups: Sequence[LogRatios], measured: str) -> Calibration:
    """Fit a scale and try it on what it was not fitted to, leaving out one group after the other.

    The scale is the median ratio of truth to prediction, each group counting once, so that a few wrong
    measurements, mirrors or windows do not move it.

    Args:
        groups: the ratios, none of them empty.
        measured: what they are of, in words.

    Raises:
        LeadlineError: if there are fewer than `MIN_DISTANCES` groups.
    """
    if len(groups) < MIN_DISTANCES:
        raise LeadlineError(f"a scale needs at least {MIN_DISTANCES} measurements, got {len(groups)}: measure more")
    centres = np.array([np.median(ratios) for ratios in groups])
    others = [np.median(np.delete(centres, index)) for index in range(len(groups))]
    # |prediction - truth| / truth, the prediction times a scale whose logarithm is `shift`.
    before, after = (
        [np.median(np.abs(np.expm1(shift - ratios))) for shift, ratios in zip(shifts, groups, strict=True)]
        for shifts in (np.zeros(len(groups)), others)
    )
    return Calibration(
        scale=float(np.exp(np.median(centres))),
        measured=measured,
        error_before=float(np.median(before)),
        error_after=float(np.median(after)),
    )


def calibrate(
    model: str | Path,
    out: Path,
    *,
    distances: Path | None = None,
    picture: Path | None = None,
    data: Path | None = None,
    split: str = "all",
    focal_px: float | None = None,
    fov_deg: float | None = None,
    intrinsics: CameraLike | None = None,
) -> Calibration:
    """Fit a scale to distances or to labelled pictures, and write the rescaled model if the scale helps.

    Args:
        model: what `load_model` takes.
        out: folder of the new checkpoint; nothing is written unless the scale helps.
        distances: CSV file of known distances, see `read_distances`; or else `data`.
        picture: of distances that name none.
        data: data set of labelled pictures.
        split: which of them, see `leadline.data.splits.select`.
        focal_px: of the pictures of `distances`, as `predict`.
        fov_deg: likewise.
        intrinsics: likewise.

    Returns:
        The calibration; `helps` tells whether it was written.

    Raises:
        LeadlineError: if a file cannot be read, a point lies outside of its picture, there are too few measurements, or
            `out` holds something else than a checkpoint.
    """
    source = find_checkpoint(model)
    ensure_checkpoint_overwritable(out, source)
    given = camera_from_options(focal_px, fov_deg, intrinsics)
    if distances is not None and data is None:
        known = read_distances(distances, picture)
        groups = ratios_of_distances(_loaded(source), known, given)
        num_pictures = len({it.picture for it in known})
        measured = f"{len(known)} distances in {num_pictures} picture{'s' * (num_pictures > 1)}"
    elif data is not None and distances is None:
        if given is not None:
            raise LeadlineError("a data set tells its own cameras: give no focal length, field of view or intrinsics")
        dataset = open_dataset(data)
        chosen = select(dataset, split, **trained_division(model, data, dataset, split))
        groups = ratios_of_pictures(_loaded(source), dataset, chosen)
        measured = f"{len(groups)} pictures of {data.resolve().name}"
    else:
        raise LeadlineError("a scale is fitted to a CSV file of distances or to a data set: name one of them")
    found = fit_scale(groups, measured)
    if found.helps:
        note = f"Calibrated since; the range and the numbers above are without it: {found}."
        save_rescaled(source, out, found.scale, asdict(found), note)
    return found


def ratios_of_distances(
    model: DepthModel, known: Sequence[KnownDistance], given: GivenCamera | None = None
) -> list[LogRatios]:
    """Compare distances with what the model predicts there.

    Points of one picture share its errors, so that they are left out together where there are enough pictures.

    Args:
        model: the model, on its device.
        known: the distances.
        given: the camera of all pictures; else each picture's own, as `leadline.predict` has it.

    Returns:
        The ratios of each picture; of each point where there are fewer than `MIN_DISTANCES` pictures.

    Raises:
        LeadlineError: if a picture cannot be read, or a point lies outside of it or has no depth.
    """
    by_picture: dict[Path, list[KnownDistance]] = {}
    for it in known:
        by_picture.setdefault(it.picture, []).append(it)
    groups = []
    for path, here in by_picture.items():
        shot = read_image(path, MAX_PIXELS)
        prediction = predict_image(shot, TorchBackend(model, "model"), given)
        try:
            groups.append(np.array([_log_ratio(prediction, it, shot.full_size) for it in here]))
        except LeadlineError as error:
            raise LeadlineError(f"{path}: {error}") from error
    return groups if len(groups) >= MIN_DISTANCES else [ratio[None] for ratios in groups for ratio in ratios]


def ratios_of_pictures(model: DepthModel, dataset: DepthDataset, indices: Sequence[int]) -> list[LogRatios]:
    """Compare the depth of labelled pictures with what the model predicts.

    Args:
        model: the model, on its device.
        dataset: the data set.
        indices: its pictures.

    Returns:
        The ratios of each picture that has valid depth, of `MAX_SAMPLES` pixels at the most.

    Raises:
        LeadlineError: if a file is missing or broken.
    """
    predictor = NativePredictor(model, "")
    groups = []
    for index in indices:
        batch = collate([dataset[index]])
        answer = predictor(batch, False)
        predicted_m, true_m = (maps[batch.valid].double().numpy() for maps in (answer.values, batch.depth_m))
        if true_m.size:
            some = slice(None, None, ceil(true_m.size / MAX_SAMPLES))
            groups.append(np.log(true_m[some] / predicted_m[some]))
    return groups


def _log_ratio(prediction: Prediction, known: KnownDistance, full_size: tuple[int, int]) -> float:
    require_inside(known.point, full_size)
    place = at_size(known.point, full_size, prediction.valid.shape)
    # A point is farther from the camera than along its axis by the length of its ray.
    lengthening = float(np.linalg.norm(ray(prediction, place))) if known.from_camera else 1.0
    return log(known.metres / (depth_at(prediction, place).metres * lengthening))


def _loaded(source: Path) -> DepthModel:
    return load_checkpoint(source).to(pick_device())
