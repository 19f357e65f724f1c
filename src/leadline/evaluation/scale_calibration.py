"""`calibrate`: a model's scale, fitted to known distances or to labelled images, and the model that has it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from leadline.backends import CHECKPOINT_KINDS, ensure_calibrated_overwritable, find_kind, open_backend, save_calibrated
from leadline.errors import LeadlineError
from leadline.geometry import checked
from leadline.io import CameraLike, camera_from_options
from leadline.prediction import (
    MIN_GROUPS,
    Calibration,
    KnownDistance,
    fit_calibration,
    measure_points,
    read_distances,
    with_intrinsics,
)

MAX_FOCALS = 2
"""So many focal lengths of pictures are named."""


@with_intrinsics
@checked
def calibrate(
    model: str | Path,
    out: Path,
    *,
    distances: Path | None = None,
    lengths: Sequence[KnownDistance] = (),
    picture: Path | None = None,
    data: Path | None = None,
    split: str = "all",
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | None = None,
    undistort: bool = False,
    on_unread: Callable[[str], object] | None = None,
) -> Calibration:
    """Fit a scale, or a scale and a shift, to distances or labelled images, and write the model that has them.

    Args:
        model: what `leadline.backends.open_backend` takes. One of metres gets a scale, and is written only if the
            scale helps on what it was not fitted to; one of depth or disparity gets a scale and a shift.
        out: folder of the new model: of a leadline model a checkpoint, of others a small one that refers to the model.
        distances: CSV file of known distances and lengths, see `read_distances`; or else `data`.
        lengths: more of them. Where one is known, one or two measurements are enough, whose scale is kept unchecked.
        picture: of distances that name none.
        data: data set of labelled images.
        split: which of them, see `leadline.data.splits.select`.
        focal_px: of the images of `distances`, as `predict`.
        fov_deg: likewise.
        camera: likewise.
        undistort: likewise.
        on_unread: is told in a line why an image of `data` is passed over; None: the first such ends all.

    Returns:
        The calibration; `helps` tells whether it was written.

    Raises:
        LeadlineError: if the model cannot be opened, a file cannot be read, a point lies outside of its image, there
            are too few measurements, or `out` holds something else than a model.
    """
    source = _writable_checkpoint(model, out)
    given = camera_from_options(focal_px, fov_deg, camera, undistort)
    if (distances is None and not lengths) == (data is None):
        raise LeadlineError("a scale is fitted to a CSV file of distances or to a data set: name one of them")
    if data is not None and given is not None:
        raise LeadlineError("a data set tells its own cameras: give no focal length, field of view or intrinsics")
    backend = open_backend(model)
    fewest = MIN_GROUPS
    if data is None:
        known = [*lengths, *(read_distances(distances, picture) if distances else ())]
        fewest = 1 if any(it.end for it in known) else MIN_GROUPS
        groups = measure_points(backend, known, given)
        num_pictures = len({it.picture for it in known})
        measured = f"{len(known)} distance{'s' * (len(known) > 1)} in {num_pictures} picture{'s' * (num_pictures > 1)}"
        focals = sorted({group.focal for group in groups})
        measured += f", {' and '.join(focals)}" if len(focals) <= MAX_FOCALS else ", each picture's own focal length"
    else:
        from leadline.evaluation.scale_from_data import measure_data  # known distances need no PyTorch

        groups = measure_data(backend, model, data, split, on_unread)
        measured = f"{len(groups)} pictures of {data.resolve().name}"
    found = fit_calibration(groups, measured, backend.output, fewest)
    if found.helps:
        _save(found, model, source, out)
    return found


def _writable_checkpoint(model: str | Path, out: Path) -> Path | None:
    """The folder of a leadline model, None for others; refuses an `out` that must not be overwritten."""
    kind, name = find_kind(model)
    if kind not in CHECKPOINT_KINDS:
        ensure_calibrated_overwritable(out, model)
        return None
    from leadline.models import ensure_checkpoint_overwritable, find_checkpoint

    source = find_checkpoint(name)
    ensure_checkpoint_overwritable(out, source)
    return source


def _save(found: Calibration, model: str | Path, source: Path | None, out: Path) -> None:
    if source is None:
        note = f"{model}, calibrated: {found}."
        save_calibrated(out, model, found.space, found.scale, found.shift, asdict(found), note)
        return
    from leadline.models import save_rescaled

    note = f"Calibrated since; the range and the numbers above are without it: {found}."
    save_rescaled(source, out, found.scale, asdict(found), note)
