"""Predicted depth as files, each of which carries its unit."""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from leadline.errors import LeadlineError, brief
from leadline.geometry import to_millimetres
from leadline.io.arrays import read_npz_arrays
from leadline.io.atomic import SOFTWARE, atomic_file
from leadline.io.images import decode_image
from leadline.io.png import encode_png

logger = logging.getLogger(__name__)

_PNG_UNIT = "millimetre"
_NPZ_UNIT = "metre"
_MAX_MM = 65535
_told_of_far: list[float] = []
_FAST_PNG = 1  # zlib's level: 5 times faster than the default


class DepthMap(NamedTuple):
    """Depth as read from a file."""

    depth_m: NDArray[np.float32]  # metres, (H, W); 0 where invalid
    valid: NDArray[np.bool_]  # (H, W)


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


def as_millimetres(depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """What `to_millimetres` makes of a depth map; says it of the first of a process that reaches too far for that."""
    millimetres = to_millimetres(depth_m, valid)
    far_m = 0.0 if _told_of_far else float(np.max(depth_m, where=valid & (millimetres == 0), initial=0))
    if far_m > 1:  # else it is nearer than half a millimetre
        _told_of_far.append(far_m)
        logger.warning(
            "depth of %.0f m: what is beyond 65.535 m becomes 0, no depth, in 16-bit millimetres (PNG, MKV); "
            "the formats npz, exr and pfm hold it",
            far_m,
        )
    return millimetres


def write_depth_png(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write depth as 16-bit PNG in millimetres, with the unit in its text chunks.

    0 means invalid, and so is what 16 bits cannot hold, which is said once; see `to_millimetres`.

    Args:
        path: the file.
        depth_m: depth in metres, (H, W).
        valid: bool, (H, W).

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    require_map(depth_m, valid)
    encoded = encode_png(as_millimetres(depth_m, valid), {"unit": _PNG_UNIT, "invalid": "0", "software": SOFTWARE})
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
        arrays = read_npz_arrays(path)
        unit = str(arrays["unit"])
        known = (arrays["depth_m"], arrays["valid"], arrays["intrinsics"])
        result = DepthFile(*known, arrays.get("uncertainty_m"))
        require_map(result.depth_m, result.valid, result.uncertainty_m)
    except (ValueError, LookupError) as error:
        reason = brief(error)
        raise LeadlineError(
            f"{path} cannot be read as depth ({reason}): wanted an NPZ file with depth_m, valid, intrinsics, unit"
        ) from error
    if unit != _NPZ_UNIT:
        raise LeadlineError(f"{path} holds depth in {unit}, wanted {_NPZ_UNIT}: convert it first")
    return result
