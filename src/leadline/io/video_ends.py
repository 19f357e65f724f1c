"""Whether a video file ends within a packet: how one that was cut shows where no header says how long it is."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

_TS_SYNC = 0x47
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
"""How long packets of an MPEG transport stream are, and where in them the synchronisation byte is: Blu-ray and AVCHD
put a time before each, broadcasters a check behind."""
_NUM_SYNCS = 5
_HEAD_BYTES = 16_384
_OGG, _OGG_HEADER_BYTES, _OGG_MOST_BYTES = b"OggS", 27, 65_307

_Y4M_FRAME, _JPEG_END = b"FRAME", b"\xff\xd9"
_DV_BYTES = {False: 120_000, True: 144_000}  # of a frame, by whether it is of 625 lines


def ends_within_packet(path: Path, container: str) -> bool:
    """Whether the last packet of a file is not whole, as far as that can be known.

    Args:
        path: the file.
        container: its format as FFmpeg calls it.
    """
    look = _LOOKS.get(container)
    return look is not None and look(path)


def _transport_stream(path: Path) -> bool:
    with path.open("rb") as file:
        head = np.frombuffer(file.read(_HEAD_BYTES), np.uint8)
    for stride, lead in _TS_PACKETS:
        for first in range(min(stride, len(head))):
            syncs = head[first::stride]
            if len(syncs) >= _NUM_SYNCS and bool((syncs == _TS_SYNC).all()):
                return (path.stat().st_size - first + lead) % stride != 0
    return False


def _ogg(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * _OGG_MOST_BYTES), os.SEEK_SET)
        page = file.read().rpartition(_OGG)[2]
    num_segments = page[_OGG_HEADER_BYTES - 5] if len(page) > _OGG_HEADER_BYTES - 5 else 255
    lengths = page[_OGG_HEADER_BYTES - 4 :][:num_segments]
    return len(page) < _OGG_HEADER_BYTES - 4 + num_segments + sum(lengths)


def _y4m(path: Path) -> bool:
    """All frames are of one length, a line before each."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        first = held.find(_Y4M_FRAME)
        second = held.find(_Y4M_FRAME, first + len(_Y4M_FRAME))
        return first >= 0 and second >= 0 and (len(held) - first) % (second - first) != 0


def _mjpeg(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HEAD_BYTES))
        return not file.read().rstrip(b"\0\r\n").endswith(_JPEG_END)


def _dv(path: Path) -> bool:
    """All frames are of one length, by their kind, which has a multiple of that of the smallest."""
    with path.open("rb") as file:
        is_pal = bool(file.read(4)[-1] & 0x80)
    return path.stat().st_size % _DV_BYTES[is_pal] != 0


_LOOKS: dict[str, Callable[[Path], bool]] = {
    "mpegts": _transport_stream,
    "ogg": _ogg,
    "yuv4mpegpipe": _y4m,
    "mjpeg": _mjpeg,
    "dv": _dv,
}
