"""Distances that someone has measured in pictures, read from a CSV file."""

import csv
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

from leadline.errors import LeadlineError
from leadline.io import IMAGE_SUFFIXES

ALONG_AXIS, FROM_CAMERA = "metres", "distance_m"
"""Names of the last column: depth along the optical axis; or straight from the camera, as a tape or a laser has it."""
WANTED = "x,y,metres or picture,x,y,metres"
AS_SHARES = (
    "wanted pixels: they look like shares of the image's sides: multiply x by its width in pixels and y by its height"
)
"""The end of a refusal of points that `look_like_shares`."""
_SPELLINGS = {"meters": ALONG_AXIS, "image": "picture"}
_POINT, _LENGTH = ("x", "y", ALONG_AXIS), ("x", "y", "x2", "y2", ALONG_AXIS)
_BY_NUMBER = {len(columns): columns for rest in (_POINT, _LENGTH) for columns in (rest, ("picture", *rest))}
"""What the cells of a line without a header are, by how many there are."""


Point = tuple[float, float]


class KnownDistance(NamedTuple):
    """How far a point is, or how far two are from each other."""

    picture: Path
    point: tuple[float, float]  # column and row in pixels of the picture as it is in its file
    metres: float
    from_camera: bool  # straight from the camera, else along the optical axis
    end: tuple[float, float] | None = None  # of a length, whose metres are from `point` to here


def read_distances(path: Path, picture: Path | None = None) -> list[KnownDistance]:
    """Read lines of `x,y,metres` of one picture, or of `picture,x,y,metres`; lengths are `x,y,x2,y2,metres`.

    A header is needed only to say `distance_m`, straight from the camera, in place of `metres`, which is depth along
    the optical axis; below one with `x2,y2`, a point leaves these empty. Empty lines and those that begin with # are
    passed over.

    Args:
        path: the CSV file; pictures in it are below its folder.
        picture: of lines that name none.

    Raises:
        LeadlineError: if the file cannot be read, or a line is something else; it names the line.
    """
    header, rows = _rows(path)
    columns = header or _BY_NUMBER[len(rows[0][1])]
    if ("picture" in columns) == (picture is not None):
        remedy = "do not name one beside the file" if picture else "name the picture before the file"
        raise LeadlineError(f"{path} holds {','.join(columns)}: {remedy}")
    known = [_known(path, number, header or _alike(columns, row), row, picture) for number, row in rows]
    ends = [end for it in known for end in (it.point, it.end) if end is not None]
    if look_like_shares(ends):
        raise LeadlineError(f"{path} holds points from 0 to 1, {AS_SHARES}")
    return known


def look_like_shares(points: Sequence[Point]) -> bool:
    """Whether points seem to be told in shares of an image's sides instead of pixels."""
    values = [float(value) for point in points for value in point]
    return all(0 <= value <= 1 for value in values) and not all(value.is_integer() for value in values)


def names_pictures(path: Path) -> bool:
    """Whether the lines of such a file name their pictures; refuses as `read_distances`."""
    header, rows = _rows(path)
    return "picture" in (header or _BY_NUMBER[len(rows[0][1])])


def _rows(path: Path) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """The header, empty if there is none, and the lines with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader if any(row) and not row[0].startswith("#")]
    except UnicodeDecodeError as error:
        what = "an image" if path.suffix.lower() in IMAGE_SUFFIXES else "no text"
        raise LeadlineError(f"{path} cannot be read as lines of {WANTED}: it is {what}; name a CSV file") from error
    except (OSError, ValueError, csv.Error) as error:
        raise LeadlineError(f"{path} cannot be read as lines of {WANTED}: {error}") from error
    header = _header(path, rows[0][1]) if rows else ()
    if header:
        rows = rows[1:]
    if not rows:
        raise LeadlineError(f"{path} holds no distance: wanted lines of {WANTED}")
    return header, rows


def _header(path: Path, first: list[str]) -> tuple[str, ...]:
    """The header's names; none if the first line is none already."""
    try:
        float(first[-1])
    except ValueError:
        names = tuple(_SPELLINGS.get(name, name) for name in (name.strip().lower() for name in first))
        known = {"x", "y", FROM_CAMERA if FROM_CAMERA in names else ALONG_AXIS}
        if len(set(names)) < len(names) or set(names) - {"picture"} not in (known, known | {"x2", "y2"}):
            raise LeadlineError(f"{path} has the columns {','.join(names)}: wanted {WANTED}") from None
        return names
    if len(first) not in _BY_NUMBER:
        raise LeadlineError(f"{path} has {len(first)} columns: wanted {WANTED}")
    return ()


def _alike(columns: tuple[str, ...], row: list[str]) -> tuple[str, ...]:
    """What the cells of a line are, which names a picture if the first line does."""
    own = _BY_NUMBER.get(len(row), columns)
    return own if ("picture" in own) == ("picture" in columns) else columns


def _known(path: Path, number: int, columns: tuple[str, ...], row: list[str], picture: Path | None) -> KnownDistance:
    try:
        cells = dict(zip(columns, row, strict=True))
        metres = float(cells[FROM_CAMERA] if FROM_CAMERA in cells else cells[ALONG_AXIS])
        point = (float(cells["x"]), float(cells["y"]))
        length = bool(cells.get("x2", "").strip() or cells.get("y2", "").strip())
        end = (float(cells["x2"]), float(cells["y2"])) if length else None
    except ValueError as error:
        raise LeadlineError(f"{path}, line {number}: wanted {','.join(columns)}, got {','.join(row)}") from error
    if not 0 < metres < inf:
        raise LeadlineError(f"{path}, line {number}: a distance is a positive number of metres, got {metres:g}")
    return KnownDistance(
        picture or path.parent / cells["picture"], point, metres, FROM_CAMERA in cells and end is None, end
    )


def known_lengths(picture: Path | None, lengths: Sequence[tuple[Point, Point, float]]) -> list[KnownDistance]:
    """Lengths in a picture, each as its two ends and its metres.

    Raises:
        LeadlineError: if one is not positive, or their ends seem to be shares of the sides.
    """
    if lengths and look_like_shares([end for *ends, _ in lengths for end in ends]):
        raise LeadlineError(f"points from 0 to 1, {AS_SHARES}")
    for *_, metres in lengths:
        if not 0 < metres < inf:
            raise LeadlineError(f"a length is a positive number of metres, got {metres:g}")
    return [KnownDistance(picture or Path(), start, metres, False, end) for start, end, metres in lengths]
