"""PCD files, the Point Cloud Library's: points with named fields, as a grid where they are of an image.

After the library's description of version 0.7 and its own code (`io/src/pcd_io.cpp`, commit 1fdb038 of 2026-08). Three
kinds of DATA: numbers as text; records as they lie in memory; and LZF-compressed, all of one field before the next.
What one would not guess: `_` names padding, which takes room in text and records and none in the compressed form;
compressed files end in some 4,000 zeros; SIZE, TYPE, COUNT and VIEWPOINT may be missing, and FIELDS be named COLUMNS.

`rgb` has bits, whatever TYPE says: text has them as a whole number (TYPE U) today, and had them as a float before, in
which opaque colours are "nan" and five digits lose the lowest byte. The description's own example has whole numbers
below TYPE F. As a float64 opaque reds of 128 to 191 grow by 64, so that columns are viewed here, never converted.
"""

import os
import struct
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError, brief

MAX_POINTS = 50_000_000
"""Of a file that is read: as many as pixels of a picture."""
_MAX_HEADER_BYTES = 16_384
_MOST_UNPACKED = 88
"""Bytes that one byte of LZF can become: three stand for 264 at the most."""
_COLOURS = ("rgb", "rgba")
_TYPES = {f"{kind}{size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)} | {
    "F4": "<f4",
    "F8": "<f8",
}


class PcdField(NamedTuple):
    """One field of the points."""

    name: str
    dtype: np.dtype
    num_values: int  # of each point

    @property
    def num_bytes(self) -> int:
        """Of one point."""
        return self.dtype.itemsize * self.num_values


class PcdHeader(NamedTuple):
    """What a PCD file says before its points."""

    fields: tuple[PcdField, ...]
    width: int
    height: int  # 1 where the points are no grid
    viewpoint: tuple[float, ...]  # position in metres, then quaternion with its real part first
    data: str  # "ascii", "binary", "binary_compressed"
    num_bytes: int  # of the header

    @property
    def names(self) -> set[str]:
        """Of the fields that have one number a point."""
        return {field.name for field in self.fields if field.num_values == 1}


def read_pcd_header(path: Path) -> PcdHeader:
    """Read what a file says of its points; its size is not compared with it.

    Raises:
        LeadlineError: if the file is missing or no PCD file.
    """
    try:
        with path.open("rb") as file:
            return _parsed(file)
    except OSError as error:
        raise LeadlineError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LeadlineError(f"{path} is no PCD file ({brief(error)}): save the cloud again") from error


def read_pcd(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read some fields of an organised cloud.

    Args:
        path: the file.
        names: of fields with one number a point. `rgb` and `rgba` are packed colours, 0xAARRGGBB, whatever their type.

    Returns:
        Each field's numbers, (HEIGHT, WIDTH), as they are stored.

    Raises:
        LeadlineError: if the file is missing, lacks a field, is damaged, cut short or absurdly large.
    """
    header = read_pcd_header(path)
    try:
        places = [_place(header, name) for name in names]
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size - file.seek(header.num_bytes)
            columns = _READERS[header.data](file, header, places, size)
        return {
            header.fields[place].name: column.reshape(header.height, header.width)
            for place, column in zip(places, columns, strict=True)
        }
    except OSError as error:
        raise LeadlineError(f"{path} cannot be read: {brief(error)}") from error
    except ValueError as error:
        raise LeadlineError(f"{path} is no whole PCD file ({brief(error)}): save the cloud again") from error


def _place(header: PcdHeader, name: str) -> int:
    single = {field.name: place for place, field in enumerate(header.fields) if field.num_values == 1}
    if name not in single:
        raise ValueError(f"it has {' '.join(single) or 'no fields'}, wanted {name}")
    return single[name]


def _parsed(file: BinaryIO) -> PcdHeader:
    """The header; whatever is wrong with it is a ValueError."""
    entries: dict[str, list[str]] = {}
    while "DATA" not in entries:
        line = file.readline(_MAX_HEADER_BYTES)
        if not line or file.tell() > _MAX_HEADER_BYTES:
            raise ValueError("it has no line DATA")
        key, *values = line.decode("latin-1").split() or [""]
        entries["FIELDS" if key == "COLUMNS" else key] = values
    width, height = (_count(*entries.get(key, ["1"])) for key in ("WIDTH", "HEIGHT"))
    if width * height > MAX_POINTS:
        raise ValueError(f"{width}×{height} points, wanted {MAX_POINTS:,} at the most")
    if "POINTS" in entries and (points := _count(*entries["POINTS"])) != width * height:
        raise ValueError(f"{points} POINTS, wanted {width}×{height} as WIDTH and HEIGHT say")
    viewpoint = tuple(map(float, entries.get("VIEWPOINT", ["0", "0", "0", "1", "0", "0", "0"])))
    if len(viewpoint) != 7:
        raise ValueError(f"VIEWPOINT has {len(viewpoint)} numbers, wanted 7")
    if entries["DATA"][:1] not in [[kind] for kind in _READERS]:
        raise ValueError(f"DATA is {' '.join(entries['DATA'])!r}, wanted {', '.join(_READERS)}")
    return PcdHeader(_fields(entries), width, height, viewpoint, entries["DATA"][0], file.tell())


def _fields(entries: dict[str, list[str]]) -> tuple[PcdField, ...]:
    names = entries.get("FIELDS", [])
    for key in _USUAL:
        if len(entries.get(key, names)) != len(names):
            raise ValueError(f"{key} has {len(entries[key])} words, wanted {len(names)} as FIELDS")
    sizes, types, counts = (entries.get(key, [usual] * len(names)) for key, usual in _USUAL.items())
    kinds = [kind + size for kind, size in zip(types, sizes, strict=True)]
    if unknown := set(kinds) - set(_TYPES):
        raise ValueError(f"TYPE and SIZE {', '.join(sorted(unknown))}, wanted {', '.join(_TYPES)}")
    found = zip(names, kinds, counts, strict=True)
    return tuple(PcdField(name, np.dtype(_TYPES[kind]), _count(count)) for name, kind, count in found)


_USUAL = {"SIZE": "4", "TYPE": "F", "COUNT": "1"}
"""What old files leave out."""


def _count(*words: str) -> int:
    """The one word as a number above 0."""
    text = " ".join(words)
    if not (text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise ValueError(f"{text!r} is no number of points, rows, columns or values")
    return int(text)


def _from_text(file: BinaryIO, header: PcdHeader, places: list[int], size: int) -> list[NDArray[Any]]:
    """Columns of a file whose points are lines."""
    num_points, num_words = header.width * header.height, sum(field.num_values for field in header.fields)
    _require(2 * num_points * num_words - 1, size)
    firsts = [sum(field.num_values for field in header.fields[:place]) for place in places]
    table = np.loadtxt(file, dtype=np.float64, comments=None, usecols=firsts, max_rows=num_points, ndmin=2, unpack=True)
    if table.shape[1] != num_points:
        raise ValueError(f"{table.shape[1]} lines of points, wanted {num_points}")
    return [_of_text(header.fields[place], column) for place, column in zip(places, table, strict=True)]


def _of_text(field: PcdField, numbers: NDArray[np.float64]) -> NDArray[Any]:
    """Numbers as their field's type; colours that were written as whole numbers, as those.

    The bits of a colour as a float are below 1e-37 or, with an alpha of 255, below -1e37: none is taken for the other.
    """
    is_packed = field.name in _COLOURS and field.dtype.kind == "f"
    whole = is_packed and bool(((numbers >= 1) & (numbers < 2**32)).any())
    with np.errstate(invalid="ignore", over="ignore"):
        return numbers.astype("<u4" if whole else field.dtype)


def _from_records(file: BinaryIO, header: PcdHeader, places: list[int], size: int) -> list[NDArray[Any]]:
    """Columns of a file whose points lie one after another."""
    num_points, record = header.width * header.height, sum(field.num_bytes for field in header.fields)
    _require(num_points * record, size)
    rows = np.frombuffer(file.read(num_points * record), np.uint8).reshape(num_points, record)
    columns = []
    for place in places:
        first = sum(field.num_bytes for field in header.fields[:place])
        field = header.fields[place]
        columns.append(np.ascontiguousarray(rows[:, first : first + field.num_bytes]).view(field.dtype))
    return columns


def _from_lzf(file: BinaryIO, header: PcdHeader, places: list[int], size: int) -> list[NDArray[Any]]:
    """Columns of a file that holds them one after another, compressed; padding is left out."""
    num_points = header.width * header.height
    ends = np.cumsum([0 if field.name == "_" else num_points * field.num_bytes for field in header.fields])
    _require(8, size)
    packed_size, unpacked_size = struct.unpack("<II", file.read(8))
    if unpacked_size != ends[-1]:
        raise ValueError(f"{unpacked_size} bytes of points, wanted {ends[-1]}")
    _require(max(packed_size, unpacked_size // _MOST_UNPACKED), size - 8)
    unpacked = unpack_lzf(file.read(packed_size), unpacked_size)
    found = [header.fields[place] for place in places]
    return [
        np.frombuffer(unpacked, field.dtype, num_points, ends[place] - num_points * field.num_bytes)
        for field, place in zip(found, places, strict=True)
    ]


def unpack_lzf(packed: bytes, size: int) -> bytes:
    """Unpack LZF by the filter of HDF5 that h5py brings.

    The filter does not tell where it ended, and answers memory as it was beyond: bytes that nobody can know are packed
    behind the others and have to come out as the last ones.

    Args:
        packed: the compressed bytes.
        size: how many they become.

    Raises:
        ValueError: if they are damaged or become more or fewer.
    """
    import h5py  # which is of the extra "torch", as data sets are

    mark = os.urandom(16)
    whole = packed + bytes([len(mark) - 1]) + mark
    shape = (size + len(mark),)
    with h5py.File(BytesIO(), "w") as file:
        values = file.create_dataset("values", shape, np.uint8, chunks=shape, compression="lzf")
        values.id.write_direct_chunk((0,), whole)
        try:
            unpacked = bytes(values[:])
        except OSError as error:
            raise ValueError("its compressed points are damaged") from error
    if not unpacked.endswith(mark):
        raise ValueError(f"its compressed points do not become {size} bytes")
    return unpacked[:size]


def _require(num_bytes: int, size: int) -> None:
    if num_bytes > size:
        raise ValueError(f"it is cut short: {size} bytes after the header, wanted {num_bytes}")


_READERS = {"ascii": _from_text, "binary": _from_records, "binary_compressed": _from_lzf}
