"""PFM files of depth: float32 numbers after a header of three lines, as MiDaS and stereo programs write them."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.atomic import atomic_file
from leadline.io.depth_files import require_map

LITTLE_ENDIAN = "-1.00000000e+00"
"""The header's third line: a scale, which is negative where the lowest byte stands first. The format has no room for a
comment; leadline's files are known by this way of writing it."""
_GAP = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(
    rb"P([fF])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"([-+]?[\d.]+(?:[eE][-+]?\d+)?)\r?\s"
)


def write_pfm(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write depth in metres, the lowest row first, as the format wants it.

    Args:
        path: the file.
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W); the rest becomes NaN.

    Raises:
        ValueError: if the shapes are others.
        OSError: if the file cannot be written; nothing of it stays.
    """
    require_map(depth_m, valid)
    height, width = depth_m.shape
    values = np.where(valid, depth_m, np.nan)[::-1].astype("<f4")
    with atomic_file(path) as temporary:
        temporary.write_bytes(f"Pf\n{width} {height}\n{LITTLE_ENDIAN}\n".encode() + values.tobytes())


def read_pfm(path: Path) -> NDArray[np.float32]:
    """Read the numbers as they are stored; of the scale in the header only the sign counts, which is the byte order.

    Args:
        path: the file.

    Returns:
        The numbers, (H, W), the uppermost row first.

    Raises:
        LeadlineError: if the file is missing or damaged, or holds colours that differ.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LeadlineError(f"{path} cannot be read: {error.strerror}") from error
    header = _HEADER.match(content)
    if header is None:
        raise LeadlineError(f"{path} is no PFM file: wanted Pf, width, height and scale in its header")
    colours, width, height = header[1] == b"F", int(header[2]), int(header[3])
    count = width * height * (3 if colours else 1)
    if len(content) - header.end() < 4 * count:
        raise LeadlineError(f"{path} is cut short: {width}×{height} numbers do not fit into it")
    values = np.frombuffer(content, "<f4" if header[4].startswith(b"-") else ">f4", count, header.end())
    if colours:
        red, green, blue = np.moveaxis(values.reshape(-1, 3), -1, 0)
        if not (np.array_equal(red, green, equal_nan=True) and np.array_equal(red, blue, equal_nan=True)):
            raise LeadlineError(f"{path} holds colours (PF): wanted depth, which has one channel (Pf)")
        values = red
    return values.reshape(height, width)[::-1].astype(np.float32)
