"""OpenEXR files of depth: float32 metres in the channel Z, as film and robotics programs expect them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.atomic import atomic_file
from leadline.io.text_files import brief

COMMENTS = "Z is depth along the optical axis in metres; NaN where there is none"
"""What the header says; leadline's files are known by it."""


def write_exr(path: Path, depth_m: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Write depth in metres; the header says so.

    Args:
        path: the file.
        depth_m: metres along the optical axis, (H, W).
        valid: bool, (H, W); the rest becomes NaN.

    Raises:
        LeadlineError: if OpenEXR is not installed.
        OSError: if the file cannot be written; nothing of it stays.
    """
    openexr = require_openexr()
    header = {
        "type": openexr.scanlineimage,
        "compression": openexr.ZIP_COMPRESSION,
        "unit": "metre",
        "comments": COMMENTS,
    }
    values = np.where(valid, depth_m, np.nan).astype(np.float32)
    with atomic_file(path) as temporary:
        openexr.File(header, {"Z": values}).write(str(temporary))


def read_exr(path: Path) -> NDArray[Any]:
    """Read one channel: Z, else Y, else the first.

    Args:
        path: the file.

    Returns:
        The channel's numbers, (H, W).

    Raises:
        LeadlineError: if OpenEXR is not installed, or the file is broken or holds no channel.
    """
    openexr = require_openexr()
    try:
        with openexr.File(str(path)) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # the library raises plain Exceptions
        raise LeadlineError(f"{path} is no whole EXR file: {brief(error)}") from error
    for name in ("Z", "Y", *channels):
        if name in channels:
            return channels[name]
    raise LeadlineError(f"{path} holds no channel; wanted one named Z")


def require_openexr() -> Any:
    """The library that reads and writes OpenEXR.

    Raises:
        LeadlineError: if it is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise LeadlineError('.exr files need OpenEXR: pip install "leadline[exr]"') from error
    return OpenEXR
