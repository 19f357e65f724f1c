"""Distances that someone has measured in pictures, read from a CSV file."""

import csv
from math import inf
from pathlib import Path
from typing import NamedTuple

from leadline.errors import LeadlineError

ALONG_AXIS, FROM_CAMERA = "metres", "distance_m"
"""Names of the last column: depth along the optical axis; or straight from the camera, as a tape or a laser has it."""
WANTED = "x,y,metres or picture,x,y,metres"


class KnownDistance(NamedTuple):
    """How far a point is."""

    picture: Path
    point: tuple[float, float]  # column and row in pixels of the picture as it is in its file
    metres: float
    from_camera: bool  # straight from the camera, else along the optical axis


def read_distances(path: Path, picture: Path | None = None) -> list[KnownDistance]:
    """Read lines of `x,y,metres` of one picture, or of `picture,x,y,metres`.

    A header is needed only to say `distance_m`, straight from the camera, in place of `metres`, which is depth along
    the optical axis. Empty lines and those that begin with # are passed over.

    Args:
        path: the CSV file; pictures in it are below its folder.
        picture: of lines that name none.

    Raises:
        LeadlineError: if the file cannot be read, or a line is something else; it names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader if any(row) and not row[0].startswith("#")]
    except (OSError, ValueError, csv.Error) as error:
        raise LeadlineError(f"{path} cannot be read as lines of {WANTED}: {error}") from error
    columns = _columns(path, rows[0][1]) if rows else []
    if columns:
        rows = rows[1:]
    elif rows:
        columns = ["picture", "x", "y", ALONG_AXIS][4 - len(rows[0][1]) :]
    if not rows:
        raise LeadlineError(f"{path} holds no distance: wanted lines of {WANTED}")
    if ("picture" in columns) == (picture is not None):
        remedy = "do not name one beside the file" if picture else "name the picture before the file"
        raise LeadlineError(f"{path} holds {','.join(columns)}: {remedy}")
    return [_known(path, number, columns, row, picture) for number, row in rows]


def _columns(path: Path, first: list[str]) -> list[str]:
    """The header's names; none if the first line is none already."""
    try:
        float(first[-1])
    except ValueError:
        names = [name.strip() for name in first]
        if set(names) - {"picture"} not in ({"x", "y", ALONG_AXIS}, {"x", "y", FROM_CAMERA}):
            raise LeadlineError(f"{path} has the columns {','.join(names)}: wanted {WANTED}") from None
        return names
    if len(first) not in (3, 4):
        raise LeadlineError(f"{path} has {len(first)} columns: wanted {WANTED}")
    return []


def _known(path: Path, number: int, columns: list[str], row: list[str], picture: Path | None) -> KnownDistance:
    try:
        cells = dict(zip(columns, row, strict=True))
        metres = float(cells[FROM_CAMERA] if FROM_CAMERA in cells else cells[ALONG_AXIS])
        point = (float(cells["x"]), float(cells["y"]))
    except ValueError as error:
        raise LeadlineError(f"{path}, line {number}: wanted {','.join(columns)}, got {','.join(row)}") from error
    if not 0 < metres < inf:
        raise LeadlineError(f"{path}, line {number}: a distance is a positive number of metres, got {metres:g}")
    return KnownDistance(picture or path.parent / cells["picture"], point, metres, FROM_CAMERA in cells)
