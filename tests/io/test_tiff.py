import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io.tiff import read_float_tiff

VALUES = np.array([[0.5, 1.25, 2], [3, 4, 5.5], [6, 7, 8]])


def write_tiff(
    path: Path, strips: list[bytes], bits: int = 64, order: str = "<", packing: int = 1, **more: int
) -> None:
    """A TIFF of 3×3 numbers in strips of two rows, by hand."""
    tags = {256: 3, 257: 3, 258: bits, 259: packing, 277: 1, 278: 2, 339: 3, **{int(k[1:]): v for k, v in more.items()}}
    starts = [8 + sum(len(strip) for strip in strips[:place]) for place in range(len(strips))]
    lists = {273: starts, 279: [len(strip) for strip in strips]}
    behind = 8 + sum(map(len, strips))
    entries, extra = [], b""
    directory = behind + sum(4 * len(values) for values in lists.values())
    for tag in sorted({**tags, **lists}):
        values = lists.get(tag) or [tags[tag]]
        if len(values) > 1:
            place = struct.pack(f"{order}I", behind + len(extra))
            extra += struct.pack(f"{order}{len(values)}I", *values)
        else:
            place = struct.pack(f"{order}I", values[0])
        entries.append(struct.pack(f"{order}HHI", tag, 4, len(values)) + place)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory)
    extra = extra.ljust(directory - behind, b"\0")
    body = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(head + b"".join(strips) + extra + body)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [16, 64])
@pytest.mark.parametrize("packing", [1, 8, 32946])
def test_strips_of_both_orders_and_packings(tmp_path: Path, order: str, bits: int, packing: int) -> None:
    strips = [rows.astype(f"{order}f{bits // 8}").tobytes() for rows in (VALUES[:2], VALUES[2:])]
    if packing != 1:
        strips = [zlib.compress(strip) for strip in strips]
    write_tiff(tmp_path / "a.tif", strips, bits, order, packing)
    values = read_float_tiff(tmp_path / "a.tif")
    assert values is not None and values.dtype == np.dtype(f"f{bits // 8}") and values.tolist() == VALUES.tolist()


def test_predictor_of_floats_is_undone(tmp_path: Path) -> None:
    def predict(rows: np.ndarray) -> bytes:
        planes = rows.astype(">f8").view(np.uint8).reshape(len(rows), 3, 8).transpose(0, 2, 1).reshape(len(rows), 24)
        return zlib.compress(np.diff(planes, axis=1, prepend=np.uint8(0)).astype(np.uint8).tobytes())

    write_tiff(tmp_path / "a.tif", [predict(VALUES[:2]), predict(VALUES[2:])], packing=8, t317=3)
    values = read_float_tiff(tmp_path / "a.tif")
    assert values is not None and values.tolist() == VALUES.tolist()


def test_what_pillow_reads_is_left_to_it(tmp_path: Path) -> None:
    Image.fromarray(VALUES.astype(np.float32)).save(tmp_path / "a.tif")
    Image.fromarray(VALUES.astype(np.uint8)).save(tmp_path / "b.png")
    assert read_float_tiff(tmp_path / "a.tif") is None and read_float_tiff(tmp_path / "b.png") is None


def test_other_packings_and_broken_files_are_one_line(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", [bytes(48), bytes(24)], packing=5)
    with pytest.raises(LeadlineError, match=r"a.tif is packed in a way that is not read: .* float32$"):
        read_float_tiff(tmp_path / "a.tif")
    write_tiff(tmp_path / "b.tif", [bytes(48), bytes(20)])
    with pytest.raises(LeadlineError, match="damaged or cut short"):
        read_float_tiff(tmp_path / "b.tif")
