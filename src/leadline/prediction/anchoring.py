"""A prediction brought to distances that are known in its image: by a smooth field, by one factor, or not at all.

Which of them is decided by what is left out: each point is told from the others alone.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.backends import to_metres
from leadline.errors import LeadlineError
from leadline.geometry import Output, known_camera
from leadline.prediction.anchored import Anchoring, Correction
from leadline.prediction.result import Prediction
from leadline.prediction.scale_calibration import Measured, fit_line, fit_scale_and_shift
from leadline.prediction.scale_field import (
    MAX_POINTS,
    Pooled,
    ScaleField,
    correction,
    enlarged,
    fit_field,
    places_of,
    pool,
    spread_at,
)

Floats = NDArray[np.float64]

LARGEST_ERROR = 0.5
"""What a larger error at a point counts when corrections are compared: a wrong point says nothing about them."""
WORTH_IT, EXACT = 0.95, 1e-4
"""A correction helps that brings the error below this share of what it is without, by more than this."""
FEW, DOUBT = 5, 2.5
"""The error at few points left out is itself uncertain, and larger than with all of them, and a field goes no farther
than they bear out: of metres it may have a share larger by DOUBT over their number, FEW at the least."""
TRUSTED, FAR_OFF = 0.5, 0.25
"""Points of less trust and a larger relative error are taken to be wrong; at smaller errors the field is."""
_FOLDS = 10
_MIDDLE_STEP = 64  # of so many pixels one tells the middle depth
_SPREAD_NODES = 16  # along the longer side, at which the field's spread is worked out


class KnownPoints(NamedTuple):
    """Points of one image whose distance is known."""

    xy: Floats  # columns and rows in pixels of the image as it is in its file, (N, 2)
    metres: Floats  # (N,)
    from_camera: NDArray[np.bool_]  # straight from the camera, else along the optical axis, (N,)


class _Spots(NamedTuple):
    """Known points as pixels of the prediction."""

    rows: NDArray[np.intp]  # (N,)
    columns: NDArray[np.intp]  # (N,)
    metres: Floats  # along the optical axis, (N,)

    def kept(self, which: NDArray[Any]) -> "_Spots":
        """Some of them, by a mask or by their numbers."""
        return _Spots(self.rows[which], self.columns[which], self.metres[which])


def anchor_to_points(
    prediction: Prediction, known: KnownPoints, full_size: tuple[int, int], output: Output = Output.METRES
) -> Prediction:
    """Bring a prediction to distances that are known at some of its pixels.

    Of a model of metres it takes the first that helps at points that are left out: a smooth field of factors, one
    factor, or nothing. Values without a unit become metres by a scale and a shift, and by a field if that does better.
    The expected error becomes that at the points left out.

    Args:
        prediction: its depth is the model's values, whatever they mean.
        known: the points.
        full_size: height and width of the image in its file, to whose pixels the points refer.
        output: what the values mean.

    Returns:
        The prediction in metres; its `anchoring` tells what was done.

    Raises:
        LeadlineError: if no point has a depth in the prediction, no scale fits, or distances are straight from the
            camera and that is unknown or no pinhole.
    """
    spots = _look_up(prediction, known, full_size)
    values = prediction
    if output is not Output.METRES:
        if len(spots.metres) > MAX_POINTS:
            spots = spots.kept(np.random.default_rng(0).choice(len(spots.metres), MAX_POINTS, replace=False))
        prediction = _by_line(values, spots, output)
    depth_m = prediction.depth_m
    spots = spots.kept(depth_m[spots.rows, spots.columns] > 0)  # NaN is not
    usable = prediction.valid & (depth_m > 0)
    middle_m = float(np.median(depth_m[usable][::_MIDDLE_STEP])) if usable.any() else 1.0
    log_depth = np.log(np.where(usable, depth_m / np.float32(middle_m), 1)).astype(np.float32)
    freedom = _freedom(prediction)
    points = _as_points(log_depth, freedom, spots, middle_m)
    field = fit_field(points)
    told = _told_from_metres(points, field) if output is Output.METRES else _told_from_values(values, spots, output)
    anchoring = _choose(told, points, field, Correction.FACTOR if output is Output.METRES else Correction.LINE)
    return _corrected(prediction, anchoring, points, field, log_depth, freedom, spots)


def _look_up(prediction: Prediction, known: KnownPoints, full_size: tuple[int, int]) -> _Spots:
    """The points that have a value in the prediction; of few, those at one pixel are one: each bears out the others."""
    size = np.array(prediction.valid.shape)[::-1]
    places = (known.xy + 0.5) * (size / full_size[::-1]) - 0.5  # outer edges stay outer edges
    metres, from_camera = known.metres.astype(np.float64), known.from_camera
    if prediction.camera is not None and prediction.camera.removed is not None:
        places = prediction.camera.since_without_lens(places)
        shown = ((places > -0.5) & (places < size - 0.5)).all(1)
        places, metres, from_camera = places[shown], metres[shown], from_camera[shown]
    columns, rows = np.rint(places).astype(np.intp).clip(0, size - 1).T
    if from_camera.any():
        matrix = known_camera(prediction.pinhole).astype(np.float64)
        rays = np.linalg.solve(matrix, np.stack([*places.T, np.ones(len(places))]))
        metres = np.where(from_camera, metres / np.linalg.norm(rays, axis=0), metres)
    usable = prediction.valid[rows, columns]
    if not usable.any():
        raise LeadlineError(
            f"none of the {len(known.metres)} known points has a depth in the prediction: name points of things that "
            "it shows"
        )
    spots = _Spots(rows, columns, metres).kept(usable)
    return _merged(spots, size[0]) if len(spots.metres) <= MAX_POINTS else spots


def _merged(spots: _Spots, width: int) -> _Spots:
    """One point a pixel, with the median distance."""
    pixels, which = np.unique(spots.rows * width + spots.columns, return_inverse=True)
    metres = np.array([np.median(spots.metres[which == place]) for place in range(len(pixels))])
    return _Spots(*np.divmod(pixels, width), metres)


def _by_line(prediction: Prediction, spots: _Spots, output: Output) -> Prediction:
    """Metres of values without a unit, by the scale and the shift that fit all points."""
    values = prediction.depth_m[spots.rows, spots.columns].astype(np.float64)
    groups = [Measured(values[[place]], spots.metres[[place]]) for place in range(len(values))]
    line = fit_scale_and_shift(groups, "known points", output)
    depth_m = to_metres((line.scale * prediction.depth_m + line.shift).astype(np.float32), output)
    return replace(prediction, depth_m=depth_m, valid=prediction.valid & np.isfinite(depth_m), uncertainty_m=None)


def _freedom(prediction: Prediction) -> NDArray[np.float32]:
    """How far the field may go at each pixel: the expected error as a multiple of the image's mean."""
    freedom = np.ones(prediction.valid.shape, np.float32)
    if prediction.uncertainty_m is None:
        return freedom
    usable = prediction.valid & (prediction.depth_m > 0) & (prediction.uncertainty_m > 0)
    relative = prediction.uncertainty_m[usable] / prediction.depth_m[usable]
    freedom[usable] = relative / relative.mean() if relative.size else 1
    return freedom


def _as_points(log_depth: NDArray[np.float32], freedom: NDArray[np.float32], spots: _Spots, middle_m: float) -> Pooled:
    predicted = log_depth[spots.rows, spots.columns].astype(np.float64)
    places = places_of(spots.columns, spots.rows, predicted, log_depth.shape, freedom[spots.rows, spots.columns])
    return pool(places, np.log(spots.metres / middle_m) - predicted)


def _told_from_metres(points: Pooled, field: ScaleField) -> dict[Correction, Floats]:
    """What each correction makes of each point when it is left out: relative error, signed, of what is predicted."""
    if len(points.residuals) < 2:
        return {}
    logs = {
        Correction.NONE: np.zeros(len(points.residuals)),
        Correction.FACTOR: _median_of_others(points.residuals),
        Correction.FIELD: field.left_out,
    }
    return {kind: np.expm1(it - points.residuals) for kind, it in logs.items()}


def _told_from_values(prediction: Prediction, spots: _Spots, output: Output) -> dict[Correction, Floats]:
    """The same of values without a unit, for a tenth of the points at a time."""
    num = len(spots.metres)
    if num < 3:
        return {}
    values = prediction.depth_m[spots.rows, spots.columns].astype(np.float64)
    told = {Correction.LINE: np.empty(num), Correction.FIELD: np.empty(num)}
    for fold in range(min(num, _FOLDS)):
        out = np.arange(num) % _FOLDS == fold
        scale, shift = fit_line([Measured(values[~out], spots.metres[~out])], output)
        log_depth = np.log(to_metres((scale * values + shift).astype(np.float32), output)).astype(np.float64)
        from_middle = log_depth - np.nanmedian(log_depth)
        places = places_of(spots.columns, spots.rows, from_middle, prediction.valid.shape)
        residuals = np.log(spots.metres) - log_depth
        kept = ~out & np.isfinite(residuals)
        field = fit_field(Pooled(places[kept], residuals[kept]))
        told[Correction.LINE][out] = np.expm1(-residuals[out])
        told[Correction.FIELD][out] = np.expm1(field.at(places[out]) - residuals[out])
    return {kind: np.nan_to_num(errors, nan=LARGEST_ERROR) for kind, errors in told.items()}


def _median_of_others(values: Floats) -> Floats:
    """For each value the median of all others, (N,)."""
    order = np.sort(values)
    rank = np.argsort(np.argsort(values))
    middle = [(len(values) - 2) // 2, (len(values) - 1) // 2]
    medians: Floats = np.mean([order[place + (place >= rank)] for place in middle], axis=0)
    return medians


def _choose(told: dict[Correction, Floats], points: Pooled, field: ScaleField, unchecked: Correction) -> Anchoring:
    """The first correction that helps at the points left out, a field before a factor; `unchecked` if none could be."""
    num = len(points.residuals)
    if not told:
        return Anchoring(correction=unchecked, num_points=num)
    errors = {kind: np.abs(it) for kind, it in told.items()}
    right = (field.trust >= TRUSTED) | (errors[Correction.FIELD] <= FAR_OFF)
    right |= not right.any()
    capped = {kind: float(np.minimum(it[right], LARGEST_ERROR).mean()) for kind, it in errors.items()}
    # The field contains the factor and does better wherever either does, so that it is asked first.
    simplest, *more = capped
    shares = dict.fromkeys(more, WORTH_IT)
    if simplest is Correction.NONE:
        shares[Correction.FIELD] += DOUBT / max(num, FEW)
    helps = (kind for kind in reversed(more) if capped[kind] < shares[kind] * capped[simplest] - EXACT)
    chosen = next(helps, simplest)
    before = errors.get(Correction.NONE)
    return Anchoring(
        correction=chosen,
        num_points=num,
        num_wrong=int((~right).sum()),
        error_before=None if before is None else float(before[right].mean()),
        error_after=float(errors[chosen][right].mean()),
    )


def _corrected(
    prediction: Prediction,
    anchoring: Anchoring,
    points: Pooled,
    field: ScaleField,
    log_depth: NDArray[np.float32],
    freedom: NDArray[np.float32],
    spots: _Spots,
) -> Prediction:
    """The prediction with a correction, and with the error that its check shows."""
    depth_m, relative = prediction.depth_m, np.ones(log_depth.shape, np.float32)
    if prediction.uncertainty_m is not None:
        relative = prediction.uncertainty_m / depth_m
    at_points = relative[spots.rows, spots.columns].mean()
    if anchoring.correction is Correction.FACTOR:
        depth_m = depth_m * np.float32(np.exp(np.median(points.residuals)))
    elif anchoring.correction is Correction.FIELD:
        depth_m = depth_m * np.exp(correction(field, log_depth, freedom))
        relative = relative * _spread(field, log_depth, freedom)
        at_points = at_points * field.spread.mean()
    if anchoring.error_after is not None:
        relative = relative * np.float32(anchoring.error_after / at_points)
    elif prediction.uncertainty_m is None:
        return replace(prediction, depth_m=depth_m, anchoring=anchoring)
    return replace(prediction, depth_m=depth_m, uncertainty_m=depth_m * relative, anchoring=anchoring)


def _spread(field: ScaleField, log_depth: NDArray[np.float32], freedom: NDArray[np.float32]) -> NDArray[np.float32]:
    """The field's spread at every pixel, worked out at few."""
    nums = [min(side, max(2, round(_SPREAD_NODES * side / max(log_depth.shape)))) for side in log_depth.shape]
    rows, columns = (np.rint(np.linspace(0, side - 1, num)) for side, num in zip(log_depth.shape, nums, strict=True))
    y, x = (it.ravel() for it in np.meshgrid(rows, columns, indexing="ij"))
    some = y.astype(np.intp), x.astype(np.intp)
    places = places_of(x, y, log_depth[some].astype(np.float64), log_depth.shape, freedom[some])
    spread = spread_at(field, places)
    return enlarged(spread.reshape(nums).astype(np.float32), log_depth.shape)
