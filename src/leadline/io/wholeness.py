"""Whether a result that an earlier run has left is whole, told from its beginning and its end."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from leadline.io.exr import read_exr
from leadline.io.pfm import read_pfm
from leadline.io.raw_depth import read_colmap
from leadline.io.video import pyav

_PNG_SIGNATURE, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
_GLB_MAGIC = 0x46546C67
_PLY_BYTES = {"float": 4, "uchar": 1}


def is_whole(path: Path) -> bool:
    """Whether a result is there and can be used; of large ones the beginning and the end are looked at.

    Args:
        path: a file of a format that `predict` writes; of another ending, that it is there and not empty is enough.
    """
    try:
        with path.open("rb") as file:
            check = _CHECKS.get(path.suffix.lower())
            return file.read(1) != b"" and (check is None or check(file, path))
    except Exception:  # of the readers of damaged files
        return False


def is_current(path: Path, source: Path) -> bool:
    """Whether a result is whole and no older than the file that it was made of.

    Args:
        path: the result.
        source: the image or video.
    """
    try:
        return is_whole(path) and path.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except OSError:  # the source is to be told as missing
        return False


def _is_whole_png(file: BinaryIO, path: Path) -> bool:
    file.seek(0)
    begins = file.read(len(_PNG_SIGNATURE)) == _PNG_SIGNATURE
    file.seek(-len(_PNG_END), 2)
    return begins and file.read() == _PNG_END


def _is_whole_npz(file: BinaryIO, path: Path) -> bool:
    """The list of an archive stands at its end, and its members lie before it."""
    with zipfile.ZipFile(file) as packed:
        return bool(packed.namelist()) and all(packed.open(name).read(6) == b"\x93NUMPY" for name in packed.namelist())


def _is_read_by(read: Callable[[Path], NDArray[Any]]) -> Callable[[BinaryIO, Path], bool]:
    """A check by a reader that refuses what is cut short."""
    return lambda file, path: bool(read(path).size)


def _is_whole_glb(file: BinaryIO, path: Path) -> bool:
    file.seek(0)
    magic, _, length = struct.unpack("<III", file.read(12))
    return bool(magic == _GLB_MAGIC and file.seek(0, 2) == length)


def _is_whole_ply(file: BinaryIO, path: Path) -> bool:
    """The header tells how many vertices follow, and of which numbers."""
    file.seek(0)
    num_vertices, num_bytes = 0, 0
    for line in iter(file.readline, b""):
        words = line.decode("ascii").split()
        if words[:2] == ["element", "vertex"]:
            num_vertices = int(words[2])
        elif words[:1] == ["property"]:
            num_bytes += _PLY_BYTES[words[1]]
        elif words == ["end_header"]:
            wanted = file.tell() + num_vertices * num_bytes
            return file.seek(0, 2) == wanted
    return False


def _is_whole_clip(file: BinaryIO, path: Path) -> bool:
    """The last packet ends where the container says that the clip does."""
    av = pyav()
    with av.open(f"file:{path}") as clip:
        ends_s = [
            float((packet.pts + (packet.duration or 0)) * packet.time_base)
            for packet in clip.demux(clip.streams.video[0])
            if packet.pts is not None
        ]
        length_s = (clip.duration or 0) / av.time_base
        frame_s = 1 / float(clip.streams.video[0].average_rate or 25)
        return bool(ends_s and max(ends_s) >= length_s - 2 * frame_s - 0.1)


_CHECKS: dict[str, Callable[[BinaryIO, Path], bool]] = {
    ".png": _is_whole_png,
    ".npz": _is_whole_npz,
    ".exr": _is_read_by(read_exr),
    ".pfm": _is_read_by(read_pfm),
    ".bin": _is_read_by(read_colmap),
    ".glb": _is_whole_glb,
    ".ply": _is_whole_ply,
    ".mp4": _is_whole_clip,
    ".mkv": _is_whole_clip,
}
