"""Calibrated models: a small folder that refers to a model and holds what makes metres of its values."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from leadline._version import __version__
from leadline.backends.base import Backend, Estimate, Image
from leadline.backends.hub import without_hub
from leadline.backends.table import CALIBRATION, KINDS, bundled_name, find_kind, open_backend
from leadline.errors import LeadlineError
from leadline.geometry import Camera, Output
from leadline.io import as_record, atomic_folder, format_json, read_json, require_only, require_target

CARD = "README.md"

FARTHEST_M = 1000.0
"""What a disparity means that is at most its inverse, negative ones included: beyond everything, as the sky."""


class Calibration(BaseModel):
    """What `calibrated.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal[1] = 1
    leadline: str = __version__
    """The version that wrote it."""
    model: Annotated[str, Field(min_length=1)]
    """What is calibrated, as `open_backend` takes it; a relative path starts at the folder of this file."""
    space: Output
    """What the model's values mean, in which scale and shift are: metres and depth become scale·value + shift,
    disparity 1 / (scale·value + shift)."""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shift: FiniteFloat = 0.0
    how: list[dict[str, Any]] = []
    """How it came about, a record for each calibration."""

    @model_validator(mode="after")
    def _metres_are_scaled_only(self) -> "Calibration":
        if self.space is Output.METRES and self.shift != 0:
            raise ValueError(f"metres are scaled, not shifted: wanted shift 0, got {self.shift}")
        return self


class CalibratedBackend:
    """A model whose values are made metres of, see `Calibration`; see `leadline.backends.base.Backend`.

    Metres follow the focal length as the model's own do: those of a model that predicts metres, but not those of one
    without a unit, whose calibration holds for the camera and the kind of place that it was fitted with.

    Attributes:
        name: the folder.
        calibration: what its file holds.
        working_size: of the model, and so the others.
    """

    output = Output.METRES

    def __init__(self, name: str, calibration: Calibration, model: Backend) -> None:
        """Join an open model with its calibration; see `open_calibrated`."""
        self.name, self.calibration, self._model = name, calibration, model
        self.working_size, self.concurrency = model.working_size, model.concurrency
        self.device, self.runtime = model.device, model.runtime

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """As the model has it."""
        return self._model.assumed_camera(height, width)

    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Metres; NaN where a depth is not positive, `FARTHEST_M` where a disparity is next to nothing."""
        values, error_maps = self._model.estimate(images, cameras)
        scale, shift = np.float32(self.calibration.scale), np.float32(self.calibration.shift)
        metres = to_metres(scale * values + shift, self.calibration.space)
        # An error of values that are shifted, or inverted, is no share of a depth.
        return Estimate(metres, error_maps if self.calibration.space is Output.METRES else None)


def to_metres(values: NDArray[np.float32], space: Output) -> NDArray[np.float32]:
    """Metres of calibrated values, positive and finite or NaN."""
    metres = values if space is not Output.DISPARITY else np.reciprocal(np.maximum(values, np.float32(1 / FARTHEST_M)))
    return np.where(np.isfinite(metres) & (metres > 0), metres, np.float32(np.nan))


def open_calibrated(name: str | Path, num_images: float = 1) -> CalibratedBackend:
    """Open a folder that `save_calibrated` wrote, and the model that it refers to, neither from the network.

    Args:
        name: the folder.
        num_images: as `open_backend`.

    Raises:
        LeadlineError: if its file is missing or makes no sense, the model is missing, calibrated itself, or predicts
            something else than it did.
    """
    folder = Path(name)
    calibration = read_calibration(folder)
    inner = located(calibration.model, folder)
    try:
        if find_kind(inner)[0] == "calibrated":
            raise LeadlineError("it is calibrated itself, wanted the model that it refers to")
        with without_hub():
            model = open_backend(inner, num_images)
    except LeadlineError as error:
        is_hub = find_kind(inner)[0] == "hf" and not Path(find_kind(inner)[1]).exists()
        remedy = f"; it is opened without the network: predict once with --model {inner} to get it" if is_hub else ""
        raise LeadlineError(f"{folder / CALIBRATION} refers to {calibration.model!r}: {error}{remedy}") from error
    if model.output is not calibration.space:
        raise LeadlineError(
            f"{folder / CALIBRATION} is for a model that predicts {calibration.space}, but {calibration.model!r} "
            f"predicts {model.output}: calibrate it again"
        )
    return CalibratedBackend(str(name), calibration, model)


def read_calibration(folder: Path) -> Calibration:
    """Read what a calibrated model's folder holds.

    Raises:
        LeadlineError: if its file is missing or makes no sense.
    """
    file = folder / CALIBRATION
    try:
        values = read_json(file)
    except OSError as error:
        raise LeadlineError(f"no calibrated model at {folder}: wanted a folder with {CALIBRATION}") from error
    if not isinstance(values, dict):
        raise LeadlineError(f"{file} must hold the fields of a calibration, got a {type(values).__name__}")
    return as_record(Calibration, values, str(file))


def save_calibrated(
    folder: Path, model: str | Path, space: Output, scale: float, shift: float, how: dict[str, Any], note: str
) -> None:
    """Write a calibrated model, which refers to the model by its name or its absolute path.

    A calibration of a calibrated model refers to the model within, by the product of both.

    Args:
        folder: where to; see `ensure_calibrated_overwritable`. It is replaced when the new one is whole.
        model: as `open_backend`.
        space: what the model's values mean: its `output`.
        scale: positive; see `Calibration.space`.
        shift: 0 for metres.
        how: how they came about; JSON values.
        note: the same in words, for the model card.

    Raises:
        LeadlineError: if scale and shift are no calibration, or the folder holds something else.
        OSError: if the folder cannot be written.
    """
    ensure_calibrated_overwritable(folder, model)
    fitted = {"model": located(model, Path()), "space": space, "scale": scale, "shift": shift, "how": [how]}
    calibration = as_record(Calibration, fitted, "the calibration")
    kind, place = find_kind(model)
    if kind == "calibrated":
        calibration = _combined(read_calibration(Path(place)), calibration, Path(place))
    card = f"# {folder.resolve().name}: {calibration.model}, calibrated\n\n{note}\n\n{_formula(calibration)}\n"
    with atomic_folder(folder) as temporary:
        (temporary / CALIBRATION).write_text(format_json(calibration.model_dump(mode="json")), encoding="utf-8")
        (temporary / CARD).write_text(card, encoding="utf-8")


def ensure_calibrated_overwritable(folder: Path, model: str | Path) -> None:
    """Refuse to write a calibrated model where something else is, or onto the one that is calibrated.

    Raises:
        LeadlineError: if the folder may not be written, is the model's own, or holds anything but a calibrated model.
    """
    require_target(folder, folder=True)
    if folder.resolve() == Path(find_kind(model)[1]).resolve():
        raise LeadlineError(f"{folder} is the model itself, which is kept as it is: name another folder")
    require_only(folder, (CALIBRATION, CARD))
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CALIBRATION).is_file():
        raise LeadlineError(f"{folder} holds something else than a calibrated model: name a new or an empty folder")


def _combined(first: Calibration, second: Calibration, folder: Path) -> Calibration:
    """The calibration of the model within that has the effect of both; `second` scales the metres of `first`."""
    times = 1 / second.scale if first.space is Output.DISPARITY else second.scale
    update = {
        "model": located(first.model, folder),
        "scale": first.scale * times,
        "shift": first.shift * times,
        "how": [*first.how, *second.how],
        "leadline": __version__,
    }
    return first.model_copy(update=update)


def _formula(calibration: Calibration) -> str:
    line = f"{calibration.scale:.6g} × {calibration.space}"
    if calibration.shift:
        line += f" {'+' if calibration.shift > 0 else '-'} {abs(calibration.shift):.6g}"
    return f"Metres are {f'1 / ({line})' if calibration.space is Output.DISPARITY else line}."


def located(model: str | Path, folder: Path) -> str:
    """A model as it can be opened from anywhere, its path, if it has one, absolute; relative ones start at `folder`."""
    text = str(model)
    prefix, colon, name = text.partition(":")
    if not colon or prefix not in KINDS:
        prefix, colon, name = "", "", text
    place, mark, said = name.rpartition("#")
    if not mark or (folder / name).exists():
        place, mark, said = name, "", ""
    if prefix in ("", "leadline") and (bundled := bundled_name(place)) is not None:
        return bundled
    if not (folder / place).exists():
        return text
    return f"{prefix}{colon}{os.path.abspath(folder / place)}{mark}{said}"
