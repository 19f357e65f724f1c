"""Is a folder data set what it should be? Counts, sizes, depths in metres, and everything that looks wrong."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from leadline.data.check.alignment import Edges, describe_misalignment, find_edges
from leadline.data.check.cameras import Cameras, focal_line, look_at_cameras
from leadline.data.check.depths import (
    DepthStatistics,
    depth_lines,
    mixed_units_note,
    summarise_depth,
    unit_note,
    unit_problem,
)
from leadline.data.check.far_values import FarValues, far_problems, find_far_values
from leadline.data.check.inverted import describe_inverted, downward_trend
from leadline.data.check.limits import LeftOut, find_left_out, limit_problems
from leadline.data.datasets.base import same_view
from leadline.data.datasets.folder import (
    REQUIRED_COLUMNS,
    FolderInfo,
    along_axis,
    index_cells,
    read_dataset_toml,
    read_index,
    read_stored,
    to_metres,
    without_masked,
)
from leadline.errors import LeadlineError
from leadline.geometry import resize
from leadline.io import exif_focal_px, item_error, read_image, upright_size

MAX_SAMPLED = 300
"""Pictures that are decoded for the statistics, evenly over the index."""
VALUES_PER_PICTURE = 5000
MAX_NAMED = 3
"""Files named in one problem; the others are counted."""

SIZE_IN_HEAD = (".png", ".tif", ".tiff", ".pgm")
"""Endings of depth whose size Pillow tells, mostly, without decoding it."""

Row = dict[str, str]
S = TypeVar("S")
T = TypeVar("T")
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class DataCheck:
    """What was found in a data set."""

    num_pictures: int
    """Rows of the index, or pictures that the layout lists."""
    num_sampled: int
    """Pictures that were decoded for the depths."""
    picture_sizes: Mapping[Size, int]
    """How many pictures have each size (width, height)."""
    depth_sizes: Mapping[Size, int]
    """How many depth maps have each size (width, height)."""
    depth: DepthStatistics | None
    """None if no depth could be read."""
    cameras: Cameras
    num_scenes: int
    """Different scenes; 0 where the index does not say."""
    splits: Mapping[str, int]
    """Pictures in each official split."""
    problems: tuple[str, ...]
    """What must be mended, a sentence each; empty for a sound data set."""
    notes: tuple[str, ...]
    """What may be right but is worth a look."""

    def lines(self) -> list[str]:
        """The report as text."""
        return [
            f"pictures      {self.num_pictures} ({self.num_sampled} of them decoded for what follows)",
            f"picture size  {_size_counts(self.picture_sizes)}",
            f"depth size    {_size_counts(self.depth_sizes)}",
            f"focal length  {focal_line(self.cameras, self.picture_sizes)}",
            f"scenes        {self.num_scenes or 'not given'}",
            f"splits        {', '.join(f'{name} {n}' for name, n in self.splits.items()) or 'not given'}",
            *(depth_lines(self.depth) if self.depth else ["depth         none could be read"]),
            *(f"note          {note}" for note in self.notes),
            *(f"problem       {problem}" for problem in self.problems or ("none found",)),
        ]


class _Header(NamedTuple):
    """What the heads of a pair's files say."""

    picture: Size | str  # a problem ("missing file", "unreadable file") where there is no size
    depth: Size | str
    focal_px: float | None  # of the picture, by its EXIF block


class View(NamedTuple):
    """What a decoded pair looks like."""

    values_m: np.ndarray  # some of the valid depths, (N,)
    valid_share: float
    is_constant: bool
    edges: Edges | None
    downward_trend: float | None


class _Look(NamedTuple):
    """What a decoded pair of a folder looks like, and what its file holds."""

    view: View
    far: FarValues
    left_out: LeftOut
    step: int  # what the stored numbers are multiples of; 0 where there are none


def check_folder(root: Path) -> DataCheck:
    """Look through a folder data set.

    Existence and size of every file are checked; depths are taken from at most `MAX_SAMPLED` pictures.

    Args:
        root: the folder that holds `index.csv`.

    Returns:
        What was found; `problems` says what must be mended.

    Raises:
        LeadlineError: if there is no index, or it lists no pictures.
    """
    problems: list[str] = []
    info, rows = _info(root, problems), _rows(root, problems)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        headers = for_each(pool, rows, lambda row: _header(root, row), "heads of files")
        problems += _header_problems(rows, headers)
        sound = [row for row, header in zip(rows, headers, strict=True) if _is_sound(header)]
        sampled = evenly(sound, MAX_SAMPLED)
        seen = for_each(pool, sampled, lambda row: _look(root, row, info), "pictures")
    scaled = _with_scale(root, sampled, info)
    unread = [problem for problem in seen if isinstance(problem, str)]
    more = [f"and {len(unread) - MAX_NAMED} more pictures of which the like is true"] if len(unread) > MAX_NAMED else []
    problems += unread[:MAX_NAMED] + more
    looks = {row["id"]: look for row, look in zip(sampled, seen, strict=True) if isinstance(look, _Look)}
    views = {name: look.view for name, look in looks.items()}
    problems += view_problems(views)
    depth = view_depths(views)
    step = gcd(*(look.step for look in looks.values()))
    unit = unit_problem(depth.median_m, scaled, step) if depth else None
    note = unit_note(depth.median_m, scaled, step) if depth else None
    mixed = mixed_units_note({name: view.values_m for name, view in views.items()})
    far, notes = far_problems([look.far for look in looks.values()], scaled) if not unit else ([], [])
    limits, more_notes = limit_problems([look.left_out for look in looks.values()], scaled)
    picture_sizes = _count_sizes([header.picture for header in headers])
    sizes = [None if isinstance(header.picture, str) else header.picture for header in headers]
    cameras = look_at_cameras(rows, info, [header.focal_px for header in headers], sizes)
    problems += [*([unit] if unit else []), *far, *limits, *cameras.problems]
    return DataCheck(
        num_pictures=len(rows),
        num_sampled=len(looks),
        picture_sizes=picture_sizes,
        depth_sizes=_count_sizes([header.depth for header in headers]),
        depth=depth,
        cameras=cameras,
        num_scenes=len({row.get("scene") for row in rows} - {None, ""}),
        splits=Counter(row["official_split"] for row in rows if row.get("official_split")),
        problems=tuple(problems),
        notes=(*filter(None, [note, mixed]), *notes, *more_notes, *cameras.notes, *_repeated_files(rows)),
    )


def for_each(pool: Executor, rows: Sequence[S], work: Callable[[S], T], what: str) -> list[T]:
    """Do `work` for all rows on all cores, with a progress bar where someone can see it."""
    return list(tqdm(pool.map(work, rows), total=len(rows), desc=what, disable=not sys.stderr.isatty()))


def _info(root: Path, problems: list[str]) -> FolderInfo:
    try:
        return read_dataset_toml(root)
    except LeadlineError as error:
        problems.append(str(error))
        return FolderInfo()


def _rows(root: Path, problems: list[str]) -> list[Row]:
    """The rows of the index; with a problem in it, those that can be used all the same."""
    try:
        return read_index(root)
    except LeadlineError as error:
        rows = _usable_rows(root / "index.csv")
        if not rows:
            raise
        repeated = [name for name, times in Counter(row["id"] for row in rows).items() if times > 1]
        problems.append(_listing("duplicate id", repeated) if repeated else str(error))
        return rows


def _repeated_files(rows: Sequence[Row]) -> Iterator[str]:
    """Files that stand in several rows, as where a line was copied; a sentence for each column."""
    for column, what in {"rgb": "picture", "depth": "depth map"}.items():
        repeated = [name for name, times in Counter(row[column] for row in rows).items() if times > 1]
        if repeated:
            yield _listing(f"{what} that stands in several rows of the index", repeated)


def _with_scale(root: Path, rows: Sequence[Row], info: FolderInfo) -> FolderInfo:
    """With the scale that depth is read with, where that hangs on the first map's type of number."""
    try:
        return info.model_copy(update={"depth_scale": info.metres_per_unit(read_stored(root / rows[0]["depth"]).dtype)})
    except (LeadlineError, IndexError):  # which is reported elsewhere
        return info


def _usable_rows(path: Path) -> list[Row]:
    try:
        return [row for row in index_cells(path)[1] if all(row.get(name) for name in REQUIRED_COLUMNS)]
    except (OSError, ValueError, csv.Error):
        return []


def evenly(rows: Sequence[T], most: int) -> list[T]:
    """At most so many of the rows, from the first to the last."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return [rows[place] for place in places]


def _header(root: Path, row: Row) -> _Header:
    picture, depth = (_try_size(root / row[key], is_depth=key == "depth") for key in ("rgb", "depth"))
    return _Header(picture, depth, None if isinstance(picture, str) else exif_focal_px(root / row["rgb"]))


def _try_size(path: Path, is_depth: bool) -> Size | str:
    try:
        return _size(path, is_depth)
    except FileNotFoundError:
        return "missing file"
    except Exception:  # Pillow's and numpy's, of every kind
        return "unreadable file"


def _size(path: Path, is_depth: bool) -> Size | str:
    """Size of the upright picture or of depth, from its head where that tells."""
    if not path.exists():
        return "missing file"
    if not is_depth:
        return upright_size(path)
    shape: tuple[int, ...] = ()
    if path.suffix.lower() == ".npy":
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    elif path.suffix.lower() in SIZE_IN_HEAD:
        with suppress(UnidentifiedImageError), Image.open(path) as file:
            shape = (file.height, file.width, len(file.getbands()))
    height, width, *channels = shape or read_stored(path).shape
    if not min(height, width):
        return "depth map without a pixel"
    return (width, height) if channels in ([], [1]) else "depth map of more than one channel"


def _header_problems(rows: Sequence[Row], headers: Sequence[_Header]) -> list[str]:
    """One sentence for each kind of fault."""
    named: dict[str, list[str]] = {}
    for row, header in zip(rows, headers, strict=True):
        faults = [(header.picture, row["rgb"]), (header.depth, row["depth"])]
        for fault, name in faults:
            if isinstance(fault, str):
                named.setdefault(fault, []).append(name)
        if row["rgb"] == row["depth"]:
            named.setdefault("picture that is its own depth map", []).append(row["rgb"])
        if not any(isinstance(fault, str) for fault, _ in faults) and not _is_sound(header):
            named.setdefault("depth map of another size than its picture", []).append(row["depth"])
    return [_listing(fault, names) for fault, names in named.items()]


def _is_sound(header: _Header) -> bool:
    picture, depth = header.picture, header.depth
    return not isinstance(picture, str) and not isinstance(depth, str) and same_view(depth, picture)


def _listing(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{what}: {', '.join(names[:MAX_NAMED])}{more}"


def _look(root: Path, row: Row, info: FolderInfo) -> _Look | str:
    """Decode a pair; a sentence if that fails."""
    try:
        stored = read_stored(root / row["depth"])
        stored_m, valid = without_masked(root, row, *to_metres(stored, info))
        picture = read_image(root / row["rgb"])
        depth_m = along_axis(root, row, info, picture, stored_m)
        far = find_far_values(stored, stored_m, valid, info)
        step = int(np.gcd.reduce(stored[valid].astype(np.int64), initial=0)) if stored.dtype.kind in "ui" else 1
        return _Look(view_of(picture.rgb, depth_m, valid), far, find_left_out(stored, info), step)
    except Exception as error:  # the others are still to be looked at
        return item_error(root / row["depth"], error)


def view_of(image: np.ndarray, depth_m: np.ndarray, valid: np.ndarray) -> View:
    """What a picture (H, W, 3) and its depth look like, at the depth's size."""
    height, width = depth_m.shape
    rgb = resize(image, height, width).transpose(2, 0, 1)
    values_m = depth_m[valid]
    is_constant = bool(values_m.size and values_m.min() == values_m.max())
    some = values_m[:: values_m.size // VALUES_PER_PICTURE + 1]
    trend = downward_trend(depth_m, valid)
    return View(some, float(valid.mean()), is_constant, find_edges(rgb, depth_m, valid), trend)


def view_problems(views: Mapping[str, View]) -> Iterator[str]:
    """What is wrong with depth maps as such, or with how they lie on their pictures; a sentence each."""
    empty = [name for name, view in views.items() if not view.valid_share]
    constant = [name for name, view in views.items() if view.is_constant]
    if empty:
        yield _listing(f"depth map without a valid pixel ({len(empty)} of {len(views)} looked at)", empty)
    if constant:
        yield _listing(f"depth map of one value only ({len(constant)} of {len(views)} looked at)", constant)
    if misaligned := describe_misalignment([view.edges for view in views.values() if view.edges]):
        yield misaligned
    elif inverted := describe_inverted([view.downward_trend for view in views.values()]):
        yield inverted


def view_depths(views: Mapping[str, View]) -> DepthStatistics | None:
    """The depths of all, summed up; None if there are none."""
    return summarise_depth([view.values_m for view in views.values()], [view.valid_share for view in views.values()])


def _count_sizes(sizes: Sequence[Size | str]) -> Counter[Size]:
    return Counter(size for size in sizes if not isinstance(size, str))


def _size_counts(sizes: Mapping[Size, int]) -> str:
    common = sorted(sizes.items(), key=lambda item: -item[1])
    shown = [f"{width}x{height} ({number})" for (width, height), number in common[:MAX_NAMED]]
    return ", ".join(shown + ([f"{len(common) - MAX_NAMED} other sizes"] if len(common) > MAX_NAMED else [])) or "none"
