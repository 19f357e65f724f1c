"""Depth of data sets and of other programs, in every kind of file that it comes in: one table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from leadline.errors import LeadlineError, brief
from leadline.io.arrays import read_npy, read_npz_arrays
from leadline.io.exr import read_exr
from leadline.io.images import decode_image
from leadline.io.pfm import read_pfm
from leadline.io.raw_depth import read_colmap, read_hdf5, read_pgm, read_sintel
from leadline.io.tiff import read_float_tiff

FAR_CODES = {65535: "the largest number of 16 bits", 65504: "the largest number of 16-bit floats", 1e10: "Blender's"}
"""Values by which depth files say that there is nothing; as depth they would outweigh all others."""
FARTHEST_M = 1000.0
"""No depth camera or room is deeper."""
_METRE = "metre"
_DEPTH_NAMES = ("depth_m", "depth")
_MASK_NAMES = ("valid", "mask", "valid_mask")
_UNCERTAINTY_NAMES = ("uncertainty_m", "uncertainty")


class StoredDepth(NamedTuple):
    """The numbers of a depth file as they are stored: their unit is for the caller to know."""

    values: NDArray[Any]  # (H, W)
    valid: NDArray[np.bool_] | None = None  # where the file has a mask of its own, (H, W)
    uncertainty_m: NDArray[Any] | None = None  # where the file has one, (H, W)

    @property
    def known(self) -> NDArray[Any]:
        """The numbers without those that the file's own mask rules out: NaN, or 0 among whole numbers, instead."""
        nothing = np.nan if self.values.dtype.kind == "f" else 0
        return self.values if self.valid is None else np.where(self.valid, self.values, self.values.dtype.type(nothing))


def read_stored_depth(path: Path) -> StoredDepth:
    """Read a depth file of any of the `DEPTH_READERS`, by its ending; one of another ending is read as an image.

    Args:
        path: the file.

    Returns:
        Its numbers as they are stored, with one channel.

    Raises:
        LeadlineError: if the file is missing, broken or holds more than one map.
    """
    stored = DEPTH_READERS.get(path.suffix.lower(), _read_picture)(path)
    stored = stored._replace(values=_one_channel(stored.values))
    for values in (stored.values,) if stored.uncertainty_m is None else (stored.values, stored.uncertainty_m):
        if values.dtype.kind not in "uif":
            raise LeadlineError(f"{path} must have one channel of numbers, got {values.dtype} {values.shape}")
        if values.ndim != 2:
            raise LeadlineError(f"{path} must have one channel, got shape {values.shape}; store depth, not its colours")
        if not values.size:
            raise LeadlineError(f"{path} holds no pixel, its shape is {values.shape}: save it again")
    return stored


def _one_channel(values: NDArray[Any]) -> NDArray[Any]:
    """(H, W) of (H, W, 1), or of (1, H, W) and (1, 1, H, W), as networks answer; anything else as it is."""
    if values.ndim == 3 and values.shape[-1] == 1:
        return values[..., 0]
    return values.reshape(values.shape[-2:]) if values.ndim > 2 and set(values.shape[:-2]) == {1} else values


def _read_arrays(path: Path) -> StoredDepth:
    """`depth_m` or `depth` (or the only array) and, where they are there, a mask and the uncertainty.

    Raises:
        LeadlineError: if the file is broken, says that its unit is another than metres, or its mask is of another shape
            than its depth.
    """
    try:
        arrays = read_npz_arrays(path)
        values = _one_channel(arrays[_depth_among(list(arrays))])
        uncertainty = next((_one_channel(arrays[name]) for name in _UNCERTAINTY_NAMES if name in arrays), None)
    except LeadlineError as error:
        raise LeadlineError(f"{path} is no whole .npz file with an array depth_m or depth: {brief(error)}") from error
    unit = str(arrays.get("unit", _METRE))
    if unit != _METRE:
        raise LeadlineError(f"{path} holds depth in {unit}, wanted {_METRE}: convert it first")
    mask = next((name for name in _MASK_NAMES if name in arrays), None)
    if mask is None:
        return StoredDepth(values, None, uncertainty)
    valid = _one_channel(arrays[mask])
    if valid.shape != values.shape or valid.dtype.kind not in "buif":
        raise LeadlineError(
            f"{path}: {mask} must be a mask of {values.shape} as its depth is, got {valid.dtype} {valid.shape}: "
            "save it so, or under another name if it is no mask of valid depth"
        )
    return StoredDepth(values, valid != 0, uncertainty)


def _depth_among(names: Sequence[str]) -> str:
    told = next((name for name in _DEPTH_NAMES if name in names), None)
    others = [name for name in names if name not in (*_UNCERTAINTY_NAMES, *_MASK_NAMES, "unit")]
    if told is None and len(others) != 1:
        raise LeadlineError(f"it holds {', '.join(names) or 'nothing'}")
    return told or others[0]


def _read_picture(path: Path) -> StoredDepth:
    try:
        picture = decode_image(path)
    except LeadlineError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            raise LeadlineError(
                f"{path} is no depth map that can be read: wanted PNG or TIFF with one channel, or "
                f"{', '.join(ending for ending in DEPTH_READERS if ending not in _PICTURES)}"
            ) from error
        raise
    if picture.mode in ("P", "1"):
        raise LeadlineError(
            f"{path} holds places in a list of colours, wanted numbers: save depth as grey of 8 or 16 bits"
        )
    return StoredDepth(np.asarray(picture))


def _read_tiff(path: Path) -> StoredDepth:
    values = read_float_tiff(path) if path.is_file() else None
    return _read_picture(path) if values is None else StoredDepth(values)


def _numbers_alone(read: Callable[[Path], NDArray[Any]]) -> Callable[[Path], StoredDepth]:
    return lambda path: StoredDepth(read(path))


_PICTURES = (".png", ".tif", ".tiff")

DEPTH_READERS: dict[str, Callable[[Path], StoredDepth]] = {
    ".npz": _read_arrays,
    ".npy": _numbers_alone(read_npy),
    ".exr": _numbers_alone(read_exr),
    ".pfm": _numbers_alone(read_pfm),
    ".png": _read_picture,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".pgm": _numbers_alone(read_pgm),
    ".dpt": _numbers_alone(read_sintel),
    ".bin": _numbers_alone(read_colmap),
    ".hdf5": _numbers_alone(read_hdf5),
    ".h5": _numbers_alone(read_hdf5),
}
"""What depth may be stored in, by a file's ending; all commands that read depth look here."""
