"""Depth as files: predicted depth, which carries its unit, and everything that depth of a data set may come in."""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from leadline.errors import LeadlineError
from leadline.geometry import to_millimetres
from leadline.io.atomic import SOFTWARE, atomic_file
from leadline.io.exr import read_exr
from leadline.io.images import decode_image
from leadline.io.png import encode_png
from leadline.io.raw_depth import read_colmap, read_hdf5, read_pgm, read_sintel
from leadline.io.tiff import read_float_tiff

_PNG_UNIT = "millimetre"
_NPZ_UNIT = "metre"
_MAX_MM = 65535
_FAST_PNG = 1  # zlib's level: 5 times faster than the default
_UNCERTAINTY_NAMES = ("uncertainty_m", "uncertainty")
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


class DepthMap(NamedTuple):
    """Depth as read from a file."""

    depth_m: NDArray[np.float32]  # metres, (H, W); 0 where invalid
    valid: NDArray[np.bool_]  # (H, W)


class StoredDepth(NamedTuple):
    """The numbers of a depth file as they are stored: their unit is for the caller to know."""

    values: NDArray[Any]  # (H, W)
    valid: NDArray[np.bool_] | None = None  # where the file has a mask of its own, (H, W)
    uncertainty_m: NDArray[Any] | None = None  # where the file has one, (H, W)


class DepthFile(NamedTuple):
    """Depth and camera as read from an NPZ file."""

    depth_m: NDArray[np.float32]  # metres, (H, W)
    valid: NDArray[np.bool_]  # (H, W)
    intrinsics: NDArray[np.float32]  # pinhole matrix in pixels, (3, 3); NaN where unknown
    uncertainty_m: NDArray[np.float32] | None = None  # expected absolute error in metres, (H, W); None if not known


def require_map(
    depth_m: NDArray[np.float32], valid: NDArray[np.bool_], uncertainty_m: NDArray[np.float32] | None = None
) -> None:
    """Refuse what is not one depth map with its mask.

    Raises:
        ValueError: if shapes differ, or the mask is not bool.
    """
    if depth_m.ndim != 2 or depth_m.shape != valid.shape or valid.dtype != np.bool_:
        raise ValueError(
            f"wanted depth (H, W) with a bool mask (H, W), "
            f"got {depth_m.shape} and {valid.dtype} {valid.shape}: write one depth map a file"
        )
    if uncertainty_m is not None and uncertainty_m.shape != depth_m.shape:
        raise ValueError(f"wanted uncertainty {depth_m.shape} as its depth, got {uncertainty_m.shape}")


def save_png(path: Path, picture: Image.Image) -> None:
    """Write a PNG that says which program made it."""
    text = PngInfo()
    text.add_text("software", SOFTWARE)
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=_FAST_PNG, pnginfo=text)


def write_depth_png(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write depth as 16-bit PNG in millimetres, with the unit in its text chunks.

    0 means invalid, and so is what 16 bits cannot hold; see `to_millimetres`.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    require_map(depth_m, valid)
    encoded = encode_png(to_millimetres(depth_m, valid), {"unit": _PNG_UNIT, "invalid": "0", "software": SOFTWARE})
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded)


def write_normals_png(path: Path, normals: NDArray[np.float32]) -> None:
    """Write unit normals as 16-bit RGB PNG: 0 to 65535 for -1 to 1 of x right, y down, z forward; black where none is.

    Args:
        path: the file.
        normals: in camera space, (H, W, 3), 0 where there is none.

    Raises:
        OSError: if the file cannot be written; nothing of it stays.
    """
    known = (normals != 0).any(-1, keepdims=True)
    values = np.where(known, np.rint((normals + 1) * 32767.5).clip(1, 65535), 0).astype(np.uint16)
    text = {"axes": "camera: x right, y down, z forward; towards the camera", "values": "(normal + 1) * 32767.5"}
    encoded = encode_png(values, {**text, "invalid": "0 0 0", "software": SOFTWARE})
    with atomic_file(path) as temporary:
        temporary.write_bytes(encoded)


def read_depth_png(path: Path) -> DepthMap:
    """Read a depth PNG in millimetres, as `write_depth_png` writes it.

    Args:
        path: the file; 16-bit grey, 0 where invalid. One that names no unit is taken for millimetres.

    Returns:
        Depth in metres and where it is valid.

    Raises:
        LeadlineError: if the file cannot be read, is not 16-bit grey, or names another unit.
    """
    picture = decode_image(path)
    unit = picture.info.get("unit", _PNG_UNIT)
    if not picture.mode.startswith("I"):
        raise LeadlineError(f"{path} is no depth map: wanted a 16-bit grey PNG, got mode {picture.mode}")
    if unit != _PNG_UNIT:
        raise LeadlineError(f"{path} holds depth in {unit}, wanted {_PNG_UNIT}: convert it first")
    millimetres = np.asarray(picture).astype(np.float32)
    return DepthMap(millimetres / np.float32(1000), millimetres > 0)


def write_npz(
    path: Path,
    depth_m: NDArray[np.float32],
    valid: NDArray[np.bool_],
    intrinsics: NDArray[np.float32] | None,
    uncertainty_m: NDArray[np.float32] | None = None,
) -> None:
    """Write depth in full precision with its mask and camera.

    The arrays are `depth_m` (float32, H x W), `valid` (bool, H x W), `intrinsics` (float32, 3 x 3), `unit` (the
    text "metre") and, where it is known, `uncertainty_m` (float32, H x W). They are not compressed: that takes ten
    times as long and saves half.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).
        intrinsics: pinhole matrix in pixels, (3, 3); None or NaN where unknown.
        uncertainty_m: expected absolute error in metres, (H, W); None where it is not known.

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    require_map(depth_m, valid, uncertainty_m)
    camera = np.full((3, 3), np.nan) if intrinsics is None else intrinsics
    if camera.shape != (3, 3):
        raise ValueError(f"wanted intrinsics of (3, 3), got {camera.shape}: write one depth map a file")
    arrays = {"depth_m": depth_m, "intrinsics": camera, "uncertainty_m": uncertainty_m}
    floats = {name: values.astype(np.float32, copy=False) for name, values in arrays.items() if values is not None}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, valid=valid, unit=np.array(_NPZ_UNIT), **floats)  # type: ignore[arg-type]


def read_npz(path: Path) -> DepthFile:
    """Read what `write_npz` writes, without unpickling anything.

    Args:
        path: the file.

    Returns:
        Depth in metres, its mask, its camera and, where the file holds it, its uncertainty.

    Raises:
        LeadlineError: if the file is missing, damaged, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            unit = str(arrays["unit"])
            known = (arrays["depth_m"], arrays["valid"], arrays["intrinsics"])
            result = DepthFile(*known, arrays.get("uncertainty_m"))
            require_map(result.depth_m, result.valid, result.uncertainty_m)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise LeadlineError(
            f"{path} cannot be read as depth ({reason}): wanted an NPZ file with depth_m, valid, intrinsics, unit"
        ) from error
    if unit != _NPZ_UNIT:
        raise LeadlineError(f"{path} holds depth in {unit}, wanted {_NPZ_UNIT}: convert it first")
    return result


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
    if stored.values.ndim == 3 and stored.values.shape[-1] == 1:
        stored = stored._replace(values=stored.values[..., 0])
    for values in (stored.values,) if stored.uncertainty_m is None else (stored.values, stored.uncertainty_m):
        if values.dtype.kind not in "uif":
            raise LeadlineError(f"{path} must have one channel of numbers, got {values.dtype} {values.shape}")
        if values.ndim != 2:
            raise LeadlineError(f"{path} must have one channel, got shape {values.shape}; store depth, not its colours")
    return stored


def _read_arrays(path: Path) -> StoredDepth:
    """`depth_m` (or the only array) and, where they are there, a mask `valid` and the uncertainty."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = arrays[_depth_among(arrays.files)]
            valid = arrays.get("valid")
            masks = valid is not None and valid.dtype == np.bool_ and valid.shape == values.shape
            uncertainty = next((arrays[name] for name in _UNCERTAINTY_NAMES if name in arrays), None)
    except (*_DAMAGE, AttributeError, TypeError) as error:
        raise LeadlineError(f"{path} is no whole .npz file with an array depth_m: {error}") from error
    return StoredDepth(values, valid if masks else None, uncertainty)


def _depth_among(names: Sequence[str]) -> str:
    others = [name for name in names if name not in (*_UNCERTAINTY_NAMES, "valid")]
    if "depth_m" not in names and len(others) != 1:
        raise KeyError(f"it holds {', '.join(names) or 'nothing'}")
    return "depth_m" if "depth_m" in names else others[0]


def _read_array(path: Path) -> StoredDepth:
    try:
        values = np.load(path, allow_pickle=False)
    except _DAMAGE as error:
        raise LeadlineError(f"{path} is missing or no .npy array: {error}") from error
    if not isinstance(values, np.ndarray):
        raise LeadlineError(f"{path} must be one .npy array of numbers; save it with numpy.save")
    return StoredDepth(values)


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
    ".npy": _read_array,
    ".exr": _numbers_alone(read_exr),
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
