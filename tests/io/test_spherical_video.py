"""Boxes and elements by hand, as Google's and Matroska's specifications have them."""

import struct
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest

from leadline.geometry.lens import LensModel
from leadline.io.spherical_video import lens_of_video
from leadline.io.video import ClipReader

MOV, MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"
XML = (
    b"<rdf:SphericalVideo><GSpherical:Spherical>true</GSpherical:Spherical>"
    b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType></rdf:SphericalVideo>"
)
UUID = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def long_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 1) + kind + struct.pack(">Q", 16 + len(body)) + body


V1 = box(b"moov", box(b"trak", box(b"uuid", UUID + XML)))
V2 = box(b"moov", box(b"trak", box(b"sv3d", box(b"proj", box(b"equi", bytes(20))))))
PROJECTION = b"\x1a\x45\xdf\xa3" + bytes(40) + b"\x76\x70\x84\x76\x71\x81"
CLUSTER = b"\x1f\x43\xb6\x75"


@pytest.mark.parametrize(
    ("data", "container", "known"),
    [
        (box(b"ftyp", b"isom") + V1, MOV, True),
        (box(b"ftyp", b"isom") + long_box(b"mdat", bytes(99)) + V2, MOV, True),
        (box(b"ftyp", b"isom") + box(b"mdat", b"sv3d" + XML) + box(b"moov", bytes(9)), MOV, False),
        (box(b"ftyp", b"isom") + struct.pack(">I", 1) + b"mdat" + b"\xff" * 8, MOV, False),
        (b"", MOV, False),
        (PROJECTION + b"\x01" + CLUSTER, MATROSKA, True),
        (PROJECTION + b"\x00" + CLUSTER, MATROSKA, False),
        (CLUSTER + PROJECTION + b"\x01", MATROSKA, False),
        (V1, "avi", False),
    ],
)
def test_a_panorama_is_told_by_its_header_alone(tmp_path: Path, data: bytes, container: str, known: bool) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)

    lens = lens_of_video(path, container)

    assert (lens is not None) is known
    assert lens is None or lens.model is LensModel.PANORAMA


@pytest.mark.parametrize("is_panorama", [True, False])
def test_a_clip_of_a_panorama_says_so(tmp_path: Path, is_panorama: bool) -> None:
    """The box is put at the end of the track of a clip that FFmpeg wrote, whose index lies behind its frames."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        film = out.add_stream("mpeg4", rate=30)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        for packet in film.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")):
            out.mux(packet)
        out.mux(film.encode())
    data = path.read_bytes()
    movie = data.index(b"moov") - 4
    path.write_bytes(
        data[:movie] + box(b"moov", data[movie + 8 :] + (box(b"uuid", UUID + XML) if is_panorama else b""))
    )

    with ExitStack() as stack:
        reader = ClipReader(path, stack)
        assert len(list(reader.shots())) == 1

    said = ["it is no pinhole's (equirectangular panorama): depths are off, most at the edges"]
    assert reader.notes == (said if is_panorama else [])
