"""OpenEXR files of depth: float32 metres in the channel Z, as film and robotics programs expect them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError, brief
from leadline.io.atomic import atomic_file

COMMENTS = "Z is depth along the optical axis in metres; NaN where there is none"
"""What the header says; leadline's files are known by it."""
MAX_FRAME_PIXELS = 200_000_000
"""A picture whose display window has more is refused: a small file may name one of any size."""


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
    # The library stores an array's bytes as they lie in memory, whatever its strides say.
    values = np.ascontiguousarray(np.where(valid, depth_m, np.nan), dtype=np.float32)
    with atomic_file(path) as temporary:
        openexr.File(header, {"Z": values}).write(str(temporary))


def read_exr(path: Path) -> NDArray[Any]:
    """Read the channel of depth, of whichever part holds it, in the frame that the file names.

    Depth is a channel named Z or depth, else one of a layer or part named depth, else Y, else the only channel, else
    colours that are all the same. Letters may be large or small; layers stand before, as in "ViewLayer.Depth.Z".

    Args:
        path: the file.

    Returns:
        The channel's numbers, (H, W) of the display window; NaN where nothing is stored of it.

    Raises:
        LeadlineError: if OpenEXR is not installed, or the file is broken, too large, or none of its channels is depth.
    """
    openexr = require_openexr()
    try:
        with openexr.File(str(path), separate_channels=True) as file:
            depth = _depth_among(path, list(_channels(file)))
            return _in_frame(path, depth.header, depth.pixels)
    except LeadlineError:
        raise
    except Exception as error:  # the library raises plain Exceptions
        raise LeadlineError(f"{path} is no whole EXR file: {brief(error)}") from error


class _Channel(NamedTuple):
    """A channel as it is stored."""

    names: list[str]  # its part's, its layers' and its own, in small letters
    beside: set[str]  # the names of its layer's other channels
    header: dict[str, Any]  # its part's
    pixels: NDArray[Any]


_IS_DEPTH: tuple[Callable[[_Channel], bool], ...] = (
    lambda it: it.names[-1] in ("z", "depth") and "x" not in it.beside,  # a normal has a Z as well
    lambda it: "depth" in it.names and it.names[-1] != "a",
    lambda it: it.names[-1] == "y" and "x" not in it.beside,
)
"""What tells that a channel is depth, best first."""


_OTHERS = {"mist", "denoising depth"}
"""Passes of Blender whose channel is named Z as well: a share of the farthest, and what its denoiser is given."""


def _channels(file: Any) -> Iterator[_Channel]:
    for part in file.parts:
        paths = {name: f"{part.name() or ''}.{name}".lower().split(".") for name in part.channels}
        for name, channel in part.channels.items():
            names = paths[name]
            beside = {other[-1] for other in paths.values() if other[:-1] == names[:-1]}
            yield _Channel(names, beside, part.header, np.array(channel.pixels))


def _depth_among(path: Path, channels: list[_Channel]) -> _Channel:
    candidates = [it for it in channels if _OTHERS.isdisjoint(it.names)]
    for is_depth in _IS_DEPTH:
        found = [it for it in candidates if is_depth(it)]
        if found:
            return min(found, key=lambda it: len(it.names))
    colours = [it for it in candidates if it.names[-1] != "a"]  # beside a lone channel or colours it is a mask
    if colours and all(_alike(it.pixels, colours[0].pixels) for it in colours[1:]):
        return colours[0]
    held = ", ".join(".".join(it.names).lstrip(".") for it in channels)
    raise LeadlineError(f"{path} holds {held or 'no channel'}: wanted depth in a channel named Z")


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _in_frame(path: Path, header: dict[str, Any], pixels: NDArray[Any]) -> NDArray[Any]:
    """A rendered region, the data window, at its place in the frame, the display window."""
    (left, top), _ = (corner.astype(int) for corner in header["dataWindow"])
    (frame_left, frame_top), last = (corner.astype(int) for corner in header["displayWindow"])
    width, height = last - (frame_left, frame_top) + 1
    down, right = top - frame_top, left - frame_left
    if (down, right) == (0, 0) and pixels.shape == (height, width):
        return pixels
    if not 0 < height * width <= MAX_FRAME_PIXELS:
        raise LeadlineError(f"{path} is a frame of {width}×{height} pixels; wanted at most {MAX_FRAME_PIXELS:,}")
    frame = np.full((height, width), np.nan, dtype=np.result_type(pixels.dtype, np.float16))
    rows, columns = (
        slice(max(0, start), max(0, min(size, start + held)))
        for start, size, held in ((down, height, pixels.shape[0]), (right, width, pixels.shape[1]))
    )
    frame[rows, columns] = pixels[rows.start - down : rows.stop - down, columns.start - right : columns.stop - right]
    return frame


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
