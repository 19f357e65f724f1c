"""Whether a video file ends within a packet: how one that was cut shows where no header says how long it is."""

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


_LOOKS: dict[str, Callable[[Path], bool]] = {"mpegts": _transport_stream, "ogg": _ogg}
