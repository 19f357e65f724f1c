"""Depth in other programs' plain files: a few words of header, then numbers. Each reader gives them as they are stored.

Sources: COLMAP's documentation of its dense maps (format.rst, 2025) and `read_array` of its scripts; the SDK of MPI
Sintel's depth (`sintel_io.py`, 2015); Netpbm's page on PGM (2016); Hypersim's readme (2024); BlenderProc's writer
(`depth` beside `colors` and others).
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.atomic import atomic_file

_SINTEL_TAG = 202021.25
_PGM_HEADER = re.compile(rb"(P[25])\s(?:\s|#[^\n]*\n)*(\d+)\s(?:\s|#[^\n]*\n)*(\d+)\s(?:\s|#[^\n]*\n)*(\d+)\s")
_HDF5_NAMES = ("dataset", "depth")
_COLMAP_HEADER = re.compile(rb"(\d{1,8})&(\d{1,8})&(\d{1,8})&")


def read_colmap(path: Path) -> NDArray[Any]:
    """Read a dense map of COLMAP (`stereo/depth_maps/NAME.geometric.bin`).

    Its numbers are in the unit of the reconstruction, which is metres only if that was scaled; 0 means none.

    Args:
        path: the file: "WIDTH&HEIGHT&1&" in ASCII, then float32 row by row.

    Returns:
        float32 (H, W).

    Raises:
        LeadlineError: if the file is missing, cut short or none of COLMAP's.
    """
    data = _bytes(path)
    header = _COLMAP_HEADER.match(data)
    if header is None:
        raise LeadlineError(f"{path} is no dense map of COLMAP: wanted a file that begins with WIDTH&HEIGHT&1&")
    width, height, channels = map(int, header.groups())
    if channels != 1:
        raise LeadlineError(f"{path} holds {channels} channels, wanted depth with one: a map of normals has three")
    return _map(path, data[header.end() :], np.dtype("<f4"), height, width)


def write_colmap(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write a dense map of COLMAP, as its `stereo_fusion` and `read_colmap` read it; 0 where there is no depth.

    The zeros before the numbers of the header tell leadline's files from COLMAP's.

    Raises:
        OSError: if the file cannot be written; nothing of it stays.
    """
    height, width = depth_m.shape
    values = np.where(valid & np.isfinite(depth_m), depth_m, 0).astype("<f4", order="C")
    with atomic_file(path) as temporary:
        temporary.write_bytes(f"{width:08}&{height:08}&{1:08}&".encode() + values.tobytes())


def read_sintel(path: Path) -> NDArray[Any]:
    """Read a .dpt file of MPI Sintel: float32 202021.25, int32 width and height, float32 row by row.

    Returns:
        float32 (H, W), in metres along the optical axis.

    Raises:
        LeadlineError: if the file is missing, cut short or none of Sintel's.
    """
    data = _bytes(path)
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(_SINTEL_TAG):
        raise LeadlineError(f"{path} is no depth map of Sintel: wanted a file that begins with the number 202021.25")
    width, height = np.frombuffer(data, "<i4", 2, 4).tolist()
    return _map(path, data[12:], np.dtype("<f4"), height, width)


def read_pgm(path: Path) -> NDArray[Any]:
    """Read a PGM's numbers as they are stored; maxval says how many bytes they have and stretches nothing.

    Returns:
        uint8 or uint16 (H, W).

    Raises:
        LeadlineError: if the file is missing, cut short or no PGM.
    """
    data = _bytes(path)
    header = _PGM_HEADER.match(data)
    if header is None:
        raise LeadlineError(f"{path} is no PGM: wanted a file that begins with P5 or P2, width, height and maxval")
    width, height, most = map(int, header.groups()[1:])
    if not 0 < most < 65536:
        raise LeadlineError(f"{path} has a maxval of {most}, wanted 1 to 65535: write it again")
    dtype, body = np.dtype(np.uint8 if most < 256 else ">u2"), data[header.end() :]
    if header[1] == b"P2":
        try:
            body = np.array(body.split()[: width * height], dtype=np.int64).astype(dtype).tobytes()
        except ValueError as error:
            raise LeadlineError(f"{path} holds something else than numbers ({error}): write it again") from error
    return _map(path, body, dtype, height, width)


def read_hdf5(path: Path) -> NDArray[Any]:
    """Read the array `dataset` of an HDF5 file, as Hypersim has it, or `depth`, as BlenderProc, or its only array.

    Raises:
        LeadlineError: if the file is missing, broken, or it is not clear which array is meant.
    """
    import h5py  # which is of the extra "torch", as data sets are

    try:
        with h5py.File(path) as file:
            arrays = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
            name = next((name for name in _HDF5_NAMES if name in arrays), next(iter(arrays), ""))
            if not arrays or (name not in _HDF5_NAMES and len(arrays) > 1):
                raise LeadlineError(
                    f"{path} holds {', '.join(arrays) or 'no array'}, wanted one named {' or '.join(_HDF5_NAMES)}"
                )
            return np.asarray(arrays[name])
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise LeadlineError(f"{path} is missing or no whole HDF5 file: {reason}") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LeadlineError(f"{path} cannot be read ({error.strerror}): check the path") from error


def _map(path: Path, body: bytes, dtype: np.dtype, height: int, width: int) -> NDArray[Any]:
    wanted = max(height, 0) * max(width, 0) * dtype.itemsize
    if not wanted or len(body) < wanted:
        raise LeadlineError(f"{path} is cut short: wanted {wanted} bytes of {width}×{height} numbers, got {len(body)}")
    values = np.frombuffer(body, dtype, height * width).reshape(height, width)
    return values.astype(dtype.newbyteorder("="))
