import struct
from pathlib import Path

import capture_files as files
import numpy as np
import pytest
from layout_files import refusal

from leadline.io.pcd import read_pcd, read_pcd_header, unpack_lzf

HEAD = b"""VERSION .7
FIELDS x y z rgb
SIZE 4 4 4 4
TYPE F F F F
COUNT 1 1 1 1
WIDTH 2
HEIGHT 2
VIEWPOINT 0 0 0 1 0 0 0
POINTS 4
DATA ascii
"""


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_columns_are_what_was_written(tmp_path: Path, data: str) -> None:
    columns = files.cloud(files.metres(), files.colours(files.ROWS, files.COLUMNS))
    read = read_pcd(files.write_pcd(tmp_path / "a.pcd", columns, data), ("rgb", "z", "x"))
    assert list(read) == ["rgb", "z", "x"] and np.array_equal(read["rgb"].view("<u4"), columns["rgb"].view("<u4"))
    for name in ("x", "z"):
        np.testing.assert_allclose(read[name], columns[name], rtol=1e-6 if data == "ascii" else 0, equal_nan=True)


def test_padding_takes_room_in_records_and_none_where_points_are_compressed(tmp_path: Path) -> None:
    fields = {"x": "<f4", "_": "12u1", "label": "<u2"}
    values = np.array([(1.5, [9] * 12, 7), (2.5, [9] * 12, 8)], list(fields.items()))
    compressed = values["x"].tobytes() + values["label"].tobytes()
    packed = bytes([len(compressed) - 1]) + compressed  # one run of bytes as they are
    body = {"binary": values.tobytes(), "binary_compressed": struct.pack("<II", len(packed), len(compressed)) + packed}
    for data, content in body.items():
        path = written(tmp_path / f"{data}.pcd", files.pcd_header(fields, (2, 1), data) + content)
        read = read_pcd(path, ("x", "label"))
        assert read["x"].tolist() == [[1.5], [2.5]] and read["label"].tolist() == [[7], [8]]


def test_the_header_of_old_files_leaves_out_what_is_usual(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pcd", b"# a comment\r\nCOLUMNS x y z\r\nWIDTH 3\r\nHEIGHT 2\r\nDATA ascii\r\n")
    header = read_pcd_header(path)
    assert [(field.name, field.dtype, field.num_values) for field in header.fields] == [
        (name, np.dtype("<f4"), 1) for name in "xyz"
    ]
    assert (header.width, header.height, header.viewpoint) == (3, 2, (0, 0, 0, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("words", "packed"),
    [
        ("4210752 255 16777215 1", [0x404040, 0xFF, 0xFFFFFF, 1]),  # as the library writes them today, though TYPE is F
        ("5.9005203e-39 0 2.3509886e-38 1.4012985e-45", [0x404040, 0, 0xFFFFFF, 1]),  # their bits as a float
        ("-1.7014118e+38 -1.70235699e+38 0 nan", [0xFF000000, 0xFF001234, 0, 0x7FC00000]),  # opaque, nan where half red
        ("4.2108e+06 0 0 0", [4210800, 0, 0, 0]),  # of the library's own example
    ],
)
def test_colours_in_text_are_whole_numbers_or_floats_of_their_bits(
    tmp_path: Path, words: str, packed: list[int]
) -> None:
    lines = "\n".join(f"0 0 1 {word}" for word in words.split())
    read = read_pcd(written(tmp_path / "a.pcd", HEAD + lines.encode()), ("rgb",))["rgb"]
    assert read.view("<u4").ravel().tolist() == packed


@pytest.mark.parametrize(
    ("packed", "unpacked"),
    [
        (b"\x02abc", b"abc"),  # three bytes as they are
        (b"\x02abc\x20\x02", b"abcabc"),  # 1 + 2 bytes from 2 + 1 before
        (b"\x00a\x20\x00", b"aaaa"),  # which may overlap
        (b"\x00a\xe0\x05\x00", b"a" * 15),  # 7 + 5 + 2 bytes
        (b"\x1f" + bytes(range(32)) + b"\x20\x1f", bytes([*range(32), 0, 1, 2])),
    ],
)
def test_lzf_is_unpacked(packed: bytes, unpacked: bytes) -> None:
    assert unpack_lzf(packed, len(unpacked)) == unpacked


@pytest.mark.parametrize(
    ("packed", "size"),
    [(b"\x02abc", 2), (b"\x02abc", 4), (b"\x02ab", 3), (b"\x20\x02", 3), (b"\x02abc\x20", 6), (b"", 1), (b"\x1f", 32)],
)
def test_lzf_that_is_damaged_or_of_another_length_is_refused(packed: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="its compressed points"):
        unpack_lzf(packed, size)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"DATA ascii", b"", "it has no line DATA"),
        (b"ascii", b"zip", "DATA is 'zip', wanted ascii, binary, binary_compressed"),
        (b"WIDTH 2", b"WIDTH", "'' is no number of points"),
        (b"WIDTH 2", b"WIDTH -2", "'-2' is no number of points"),
        (b"WIDTH 2", b"WIDTH 99999999999999999999", "is no number of points"),
        (b"WIDTH 2", b"WIDTH 900000000", "900000000×2 points, wanted 50,000,000 at the most"),
        (b"POINTS 4", b"POINTS 5", "5 POINTS, wanted 2×2"),
        (b"SIZE 4 4 4 4", b"SIZE 4 4 4", "SIZE has 3 words, wanted 4 as FIELDS"),
        (b"SIZE 4 4 4 4", b"SIZE 4 4 4 3", "TYPE and SIZE F3"),
        (b"COUNT 1 1 1 1", b"COUNT 1 1 1 0", "'0' is no number of points"),
        (b"0 0 0 1 0 0 0", b"0 0 0", "VIEWPOINT has 3 numbers, wanted 7"),
        (b"0 0 0 1 0 0 0", b"a 0 0 1 0 0 0", "could not convert"),
        (b"FIELDS x", b"FIELDS q", "it has q y z rgb, wanted x"),
        (b"ascii", b"binary", "it is cut short: 56 bytes after the header, wanted 64"),
        (b"ascii", b"binary_compressed", "bytes of points, wanted 64"),
        (b"COUNT 1 1 1 1", b"COUNT 1 1 1 9", "it has x y z, wanted rgb"),
        (b"0.0 0.0 1.0 4\n", b"", "3 lines of points, wanted 4"),
        (b"0 4\n", b"0 four\n", "could not convert"),
    ],
)
def test_headers_that_lie_are_one_line(tmp_path: Path, before: bytes, after: bytes, reason: str) -> None:
    whole = HEAD + 3 * b"0.0 0.0 1.0 0\n" + b"0.0 0.0 1.0 4\n"
    assert before in whole
    path = written(tmp_path / "a.pcd", whole.replace(before, after, 1))
    said = refusal(lambda: read_pcd(path, ("x", "rgb")))
    assert str(path) in said and reason in said
