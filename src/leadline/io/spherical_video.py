"""Whether a video file says that its frames are a panorama: Google's Spherical Video V1 and V2, Matroska's Projection.

PyAV does not show what FFmpeg reads of it.
"""

import re
from pathlib import Path
from typing import BinaryIO

from leadline.geometry import Lens, LensModel
from leadline.io.exif import lens_from_xmp

_MOST_HEADER_BYTES = 64 << 20
_MATROSKA_HEAD_BYTES = 64 << 10
_MATROSKA_CLUSTER = b"\x1f\x43\xb6\x75"
_MATROSKA_PROJECTION = re.compile(rb"\x76\x71\x81[\x01-\x03]", re.DOTALL)
"""ProjectionType, of one byte: equirectangular, cube map or mesh; 0 is a plain picture."""
_V2_BOX = b"sv3d"


def lens_of_video(path: Path, container: str) -> Lens | None:
    """The lens of a video file that calls itself a panorama; None of any other.

    Args:
        path: the file.
        container: its format as FFmpeg calls it.
    """
    look = next((look for name, look in _LOOKS.items() if name in container.split(",")), None)
    if look is None:
        return None
    with path.open("rb") as file:
        return look(file)


def _iso_media(file: BinaryIO) -> Lens | None:
    header = _movie_box(file)
    return _PANORAMA if _V2_BOX in header else lens_from_xmp(header)


def _movie_box(file: BinaryIO) -> bytes:
    """What is in the box `moov`; empty where there is none."""
    end = file.seek(0, 2)
    file.seek(0)
    while len(head := file.read(8)) == 8:
        size, kind = int.from_bytes(head[:4]), head[4:]
        length = size - 8
        if size == 1:  # which stands for a length of 64 bits
            length = int.from_bytes(file.read(8)) - 16
        if kind == b"moov":
            return file.read(max(0, min(length, _MOST_HEADER_BYTES)))
        if not 0 <= length <= end - file.tell():
            return b""
        file.seek(length, 1)
    return b""


def _matroska(file: BinaryIO) -> Lens | None:
    head = file.read(_MATROSKA_HEAD_BYTES).partition(_MATROSKA_CLUSTER)[0]
    return _PANORAMA if _MATROSKA_PROJECTION.search(head) else None


_PANORAMA = Lens(LensModel.PANORAMA, name="360° panorama")
_LOOKS = {"mov": _iso_media, "matroska": _matroska}
