"""The scale, or scale and shift, that make a model's values right for a camera or a place.

A model of metres gets a scale; one of depth or disparity without a unit gets a scale and a shift in its own space.
Either is judged by what it was not fitted to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import Backend
from leadline.errors import LeadlineError
from leadline.geometry import Output
from leadline.io import GivenCamera, read_image
from leadline.prediction.anchored import unit_doubt
from leadline.prediction.known_distances import KnownDistance
from leadline.prediction.measurement import depth_at, distance_between, place_in, ray
from leadline.prediction.prediction import MAX_PIXELS, predict_image
from leadline.prediction.result import Prediction

MIN_GROUPS = 3
"""Fewer measurements fit any scale, and leave nothing to check it on."""
MIN_MEASUREMENTS = 2
"""Fewer fit any scale and shift."""
MAX_FOLDS = 20
"""At most so many parts are left out one after the other."""
MIN_DISPARITY = 1e-3
"""A smaller disparity means "beyond everything": 1 km."""
_ROUNDS = 30
_SMALL_ERROR = 1e-3  # relative errors below it weigh alike

Floats = NDArray[np.float64]


class Measured(NamedTuple):
    """What is left out together: a point, or the points of an image."""

    values: Floats  # of the model, (N,)
    metres: Floats  # measured, (N,)
    focal: str = ""  # of the image, in words, and where it is from


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A scale and a shift, and what they do where they were not fitted."""

    scale: float
    """What to multiply the model's values by."""
    shift: float = 0.0
    """What to add then."""
    space: Output = Output.METRES
    """What the model's values are, and so what is scaled and shifted: of disparity it gives 1/metres."""
    measured: str
    """What they were fitted to, in words."""
    error_before: float | None = None
    """Median absolute relative error of the model as it is; None for values without a unit."""
    error_after: float | None = None
    """The same with scale and shift, of measurements that each was fitted without; None if there were too few."""

    @property
    def helps(self) -> bool:
        """Whether the model is better with than without; values without a unit always are."""
        return self.error_before is None or (self.error_after is not None and self.error_after < self.error_before)

    def __str__(self) -> str:
        """One line: scale and shift, and whether they are worth keeping."""
        fitted = f"scale {self.scale:.3f}"
        if self.space is not Output.METRES:
            fitted = f"scale {self.scale:.4g} and shift {self.shift:.4g} of its {self.space}"
        doubt = unit_doubt(self.scale) if self.space is Output.METRES else ""
        after = "not checked, as nothing could be left out"
        if self.error_after is not None:
            after = f"median error on what was left out {self.error_after:.1%}"
        before = "" if self.error_before is None else f", without it {self.error_before:.1%}"
        return f"{fitted} {'' if self.helps else 'not '}kept: {after}{before} ({self.measured}){doubt}"


def fit_calibration(
    groups: Sequence[Measured], measured: str, space: Output = Output.METRES, fewest: int = MIN_GROUPS
) -> Calibration:
    """Fit a scale to metres, or a scale and a shift to depth or disparity; see `fit_scale`, `fit_scale_and_shift`."""
    if space is Output.METRES:
        return fit_scale([np.log(group.metres / group.values) for group in groups], measured, fewest)
    return fit_scale_and_shift(groups, measured, space)


def fit_scale(groups: Sequence[Floats], measured: str, fewest: int = MIN_GROUPS) -> Calibration:
    """Fit a scale and try it on what it was not fitted to, leaving out one group after the other.

    The scale is the median ratio of measured to predicted metres, each group counting once, so that a few wrong
    measurements, mirrors or windows do not move it.

    Args:
        groups: ln(measured / predicted), none of them empty.
        measured: what they are of, in words.
        fewest: groups that are enough. Of fewer than `MIN_GROUPS` nothing is left out, and their scale is kept
            unchecked: for what somebody wants to be right, such as a length.

    Raises:
        LeadlineError: if there are fewer groups.
    """
    if len(groups) < fewest:
        raise LeadlineError(f"a scale needs at least {fewest} measurements, got {len(groups)}: measure more")
    centres = np.array([np.median(ratios) for ratios in groups])
    if len(groups) < MIN_GROUPS:
        return Calibration(scale=float(np.exp(np.median(centres))), measured=measured)
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


def fit_scale_and_shift(groups: Sequence[Measured], measured: str, space: Output) -> Calibration:
    """Fit a scale and a shift in the model's own space, and try them on what they were not fitted to.

    They make the sum of absolute relative errors least, each group counting once, so that a few wrong measurements
    do not move them. They hold for images like those measured: such a model promises no common scale.

    Args:
        groups: the measurements, none of them empty.
        measured: what they are of, in words.
        space: depth or disparity.

    Raises:
        LeadlineError: if there are fewer than `MIN_MEASUREMENTS`, all at the same value of the model, or its values
            fall where the measured ones rise.
    """
    values = np.concatenate([group.values for group in groups]) if groups else np.empty(0)
    if len(values) < MIN_MEASUREMENTS or np.ptp(values) == 0:
        raise LeadlineError(
            f"a scale and a shift need at least {MIN_MEASUREMENTS} measurements at different values of the model, "
            f"got {len(values)}: measure nearer and farther points"
        )
    scale, shift = fit_line(groups, space)
    if scale <= 0:
        raise LeadlineError(
            f"the model's {space} falls where the measured one rises, so that no scale fits: check the points"
        )
    folds = [list(range(len(groups)))[start::MAX_FOLDS] for start in range(min(len(groups), MAX_FOLDS))]
    errors: list[float] = []
    for fold in folds:
        kept = [group for index, group in enumerate(groups) if index not in fold]
        if sum(len(group.values) for group in kept) >= MIN_MEASUREMENTS:
            errors += _errors([groups[index] for index in fold], *fit_line(kept, space), space)
    error_after = float(np.median(errors)) if errors else None
    return Calibration(scale=scale, shift=shift, space=space, measured=measured, error_after=error_after)


def fit_line(groups: Sequence[Measured], space: Output) -> tuple[float, float]:
    """Scale and shift of least absolute relative error, by least squares with new weights in each round."""
    values, metres = (np.concatenate([group[column] for group in groups]) for column in (0, 1))
    share = np.concatenate([np.full(len(group.values), 1 / len(group.values)) for group in groups])
    target = 1 / metres if space is Output.DISPARITY else metres
    middle, spread = values.mean(), values.std() or 1.0
    design = np.stack([(values - middle) / spread, np.ones_like(values)], axis=1) / target[:, None]
    weight = share
    for _ in range(_ROUNDS):
        weighted = design * weight[:, None]
        slope, level = np.linalg.lstsq(weighted.T @ design, weighted.sum(0), rcond=None)[0]
        weight = share / np.maximum(np.abs(design @ (slope, level) - 1), _SMALL_ERROR)
    return float(slope / spread), float(level - slope * middle / spread)


def _errors(groups: Sequence[Measured], scale: float, shift: float, space: Output) -> list[float]:
    """Median absolute relative error of each group's depth."""
    depths_m = [scale * group.values + shift for group in groups]
    if space is Output.DISPARITY:
        depths_m = [1 / np.maximum(disparity, MIN_DISPARITY) for disparity in depths_m]
    pairs = zip(depths_m, groups, strict=True)
    return [float(np.median(np.abs(depth_m / group.metres - 1))) for depth_m, group in pairs]


def measure_points(
    backend: Backend, known: Sequence[KnownDistance], given: GivenCamera | None = None
) -> list[Measured]:
    """Look up a model's values where distances are known, or its lengths where those are.

    Points of one image share its errors, so that they are left out together where there are enough images.

    Args:
        backend: the model.
        known: the distances.
        given: the camera of all images; else each image's own, as `leadline.predict` has it.

    Returns:
        The measurements of each image; of each point where there are fewer than `MIN_GROUPS` images. Metres are
        along the optical axis.

    Raises:
        LeadlineError: if an image cannot be read, or a point lies outside of it or has no depth.
    """
    by_picture: dict[Path, list[KnownDistance]] = {}
    for it in known:
        by_picture.setdefault(it.picture, []).append(it)
    groups = []
    for path, here in by_picture.items():
        picture = read_image(path, MAX_PIXELS)
        prediction = predict_image(picture, backend, given)  # its depth is the model's values, whatever they mean
        try:
            pairs = [_measure_one(prediction, it, picture.full_size, backend.output) for it in here]
        except LeadlineError as error:
            raise LeadlineError(f"{path}: {error}") from error
        values, metres = np.array(pairs).T
        groups.append(Measured(values, metres, prediction.focal))
    if len(groups) >= MIN_GROUPS:
        return groups
    return [
        Measured(group.values[[place]], group.metres[[place]], group.focal)
        for group in groups
        for place in range(len(group.values))
    ]


def _measure_one(
    prediction: Prediction, known: KnownDistance, full_size: tuple[int, int], output: Output
) -> tuple[float, float]:
    """What the model says of a point or a length, and how long it is."""
    if known.end is None:
        return _measure_point(prediction, known, full_size, output)
    if output is not Output.METRES:
        raise LeadlineError(f"lengths give a model of metres its scale, got one of {output}: name points instead")
    ends = [place_in(prediction, end, full_size) for end in (known.point, known.end)]
    metres = distance_between(prediction, *ends).metres
    if metres <= 0:
        raise LeadlineError(f"both ends of a length are at {ends[0][0]:g},{ends[0][1]:g}: name two points")
    return metres, known.metres


def _measure_point(
    prediction: Prediction, known: KnownDistance, full_size: tuple[int, int], output: Output
) -> tuple[float, float]:
    """The model's value at a point, and its depth along the optical axis in metres."""
    place = place_in(prediction, known.point, full_size)
    value = depth_at(prediction, place).metres
    if output is Output.METRES and value <= 0:
        x, y = known.point
        raise LeadlineError(f"the model predicts {value:g} m at {x:g},{y:g}: measure another point")
    # A point is farther from the camera than along its axis by the length of its ray.
    lengthening = float(np.linalg.norm(ray(prediction, place))) if known.from_camera else 1.0
    return value, known.metres / lengthening
