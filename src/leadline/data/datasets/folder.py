"""Any RGB-D set in a folder: an `index.csv`, an optional `dataset.toml`, pictures and depth maps."""

import csv
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator
from torch import Tensor

from leadline.data.datasets.base import refuse_turned, require_same_view, require_size, stems_below_all
from leadline.data.sample import UNKNOWN_INTRINSICS, GroundTruth, Sample, image_tensor
from leadline.data.splits import PARTS
from leadline.errors import LeadlineError, brief, unknown_name
from leadline.geometry import Camera, CameraSource, choose_camera, depth_along_axis
from leadline.io import (
    Picture,
    as_record,
    decode_image,
    read_image,
    read_npy,
    read_stored_depth,
    read_toml,
)

logger = logging.getLogger(__name__)

REQUIRED_COLUMNS = ("id", "rgb", "depth")
CAMERA_COLUMNS = ("fx", "fy", "cx", "cy")
COLUMNS = (*REQUIRED_COLUMNS, "mask", "raw_depth", "scene", "official_split", *CAMERA_COLUMNS)
"""All that an index may have. `raw_depth`, which `leadline data prepare` writes, is for other programs."""
_FILES = ("rgb", "depth", "mask", "raw_depth")
_DELIMITERS = ",;\t"
"""What stands between cells: a comma; elsewhere a spreadsheet writes semicolons, or tabs."""
MILLIMETRES = 0.001


class FolderInfo(BaseModel):
    """What `dataset.toml` says; the defaults hold where it is silent or absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    depth_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Metres per unit of the depth file; where it is not said, whole numbers are millimetres and others metres."""
    depth_offset: FiniteFloat = 0.0
    """Metres added after scaling."""
    depth_invalid: float | tuple[float, ...] = 0
    """The stored value that means "no depth here", or several. Infinite and NaN ones, and depths that are not
    positive, always do."""
    depth_max_m: Annotated[float, Field(gt=0)] | None = None
    """What is stored as farther than so many metres is no depth."""
    depth_along: Literal["axis", "ray"] = "axis"
    """What depth is measured along: the optical axis, or each pixel's own ray, as the distance from the camera.
    Distances become depths along the axis when they are read, by the camera of each picture."""
    depth_kind: str = ""
    """In words: "raw", "in-painted", "rendered"."""
    intrinsics: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy in pixels of the stored pictures."""

    def metres_per_unit(self, dtype: np.dtype) -> float:
        """`depth_scale`, or what numbers of a type are taken for without it."""
        return self.depth_scale or (1.0 if dtype.kind == "f" else MILLIMETRES)

    @field_validator("intrinsics")
    @classmethod
    def _possible(cls, values: Sequence[float] | None) -> Sequence[float] | None:
        return None if values is None else possible_camera(values)


def possible_camera(values: Sequence[float]) -> Sequence[float]:
    """The values, if a pinhole can have them.

    Args:
        values: fx, fy, cx, cy in pixels.

    Raises:
        ValueError: if they are no finite numbers, or a focal length is not positive.
    """
    if not (np.isfinite(values).all() and values[0] > 0 and values[1] > 0):
        raise ValueError(f"fx, fy, cx, cy must be finite, and fx and fy positive, got {', '.join(map(str, values))}")
    return values


def read_dataset_toml(root: Path) -> FolderInfo:
    """Read `dataset.toml`, or give the defaults (16-bit millimetres, 0 invalid) where there is none.

    Args:
        root: the folder of the data set.

    Raises:
        LeadlineError: if the file is no TOML or holds an unknown or impossible value.
    """
    path = root / "dataset.toml"
    if not path.is_file():
        return FolderInfo(name=root.resolve().name)
    return as_record(FolderInfo, {"name": root.resolve().name, **read_toml(path)}, str(path))


def read_index(root: Path) -> list[dict[str, str]]:
    """Read the rows of `index.csv`: id, rgb, depth (paths below `root`) and any more columns.

    Args:
        root: the folder of the data set.

    Raises:
        LeadlineError: if the index is missing, empty, lacks a column, or repeats one or an id.
    """
    path = root / "index.csv"
    if not path.is_file():
        raise LeadlineError(f"no data set at {root}: wanted an index.csv with the columns id, rgb, depth")
    try:
        names, rows = index_cells(path)
    except (OSError, ValueError, csv.Error) as error:
        raise LeadlineError(f"{path} is not a CSV file: {brief(error)}") from error
    if not rows:
        raise LeadlineError(f"{path} lists no pictures: wanted a header line and a line for each picture")
    twice = [name for name in names if names.count(name) > 1]
    if twice:  # csv would take the last
        raise LeadlineError(f"{path} has the column {twice[0]!r} {names.count(twice[0])} times: leave one of them")
    missing = [name for name in REQUIRED_COLUMNS if name not in rows[0]]
    if missing:
        raise LeadlineError(
            f"{path} lacks the column {', '.join(missing)}; wanted id, rgb, depth, got {brief(', '.join(names))}"
        )
    for name in rows[0]:
        if name is not None and name not in COLUMNS:
            raise LeadlineError(f"{path}: {unknown_name('column', name, COLUMNS)}")
    for number, row in enumerate(rows, start=2):
        if None in row:  # where csv puts what is beyond the header
            raise LeadlineError(f"{path}, line {number} has more cells than the header: quote names with a comma")
        if not all(row[name] for name in REQUIRED_COLUMNS):
            raise LeadlineError(f"{path}, line {number}: id, rgb and depth must all be given")
        if _official_part(row) not in ("", *PARTS):
            part = row["official_split"]
            raise LeadlineError(
                f"{path}, line {number}: official_split must be train, val, test or nothing, got {part!r}"
            )
    for row in rows:
        row.update({name: _with_slashes(root, row[name]) for name in _FILES if row.get(name)})
    if len({row["id"] for row in rows}) < len(rows):
        ids = [row["id"] for row in rows]
        repeated = next(name for name in ids if ids.count(name) > 1)
        raise LeadlineError(f"{path} repeats the id {repeated!r}; each id must stand for one picture")
    return rows


def index_cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns of an index and its rows, whichever of `_DELIMITERS` stands between cells, blanks around them or not.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no text.
        csv.Error: if it is no table.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(_DELIMITERS, key=header.count), skipinitialspace=True)
        reader.fieldnames = names = [name.strip() for name in reader.fieldnames or []]
        return names, [
            {key: cell.strip() if isinstance(cell, str) else cell for key, cell in row.items()} for row in reader
        ]


def _with_slashes(root: Path, name: str) -> str:
    """A file's name as it is written on this system, where Windows wrote it with backslashes."""
    return name.replace("\\", "/") if "\\" in name and not (root / name).exists() else name


def _official_part(row: dict[str, str]) -> str:
    return (row.get("official_split") or "").strip().lower()


def read_depth(path: Path, info: FolderInfo) -> tuple[np.ndarray, np.ndarray]:
    """Read a depth map and turn it into metres.

    Args:
        path: a file of one of `leadline.io.DEPTH_READERS`.
        info: scale, offset, invalid values and farthest depth.

    Returns:
        Depth in metres along what it is stored along, float32 (H, W), 0 where invalid; and which pixels are valid,
        bool (H, W).

    Raises:
        LeadlineError: if the file is missing, broken or not one channel.
    """
    return to_metres(read_stored(path), info)


def to_metres(value: NDArray[Any], info: FolderInfo) -> tuple[np.ndarray, np.ndarray]:
    """Turn stored numbers into metres; see `read_depth`."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and so no depth
        depth_m = value.astype(np.float32) * np.float32(info.metres_per_unit(value.dtype))
        depth_m += np.float32(info.depth_offset)
    valid = ~is_invalid(value, info.depth_invalid) & np.isfinite(depth_m) & (depth_m > 0)
    if info.depth_max_m is not None:
        valid &= depth_m <= np.float32(info.depth_max_m)
    return np.where(valid, depth_m, np.float32(0)), valid


def is_invalid(value: NDArray[Any], codes: float | tuple[float, ...]) -> NDArray[np.bool_]:
    """Where a stored value is one of those that mean "no depth", as its own type of number holds them.

    Args:
        value: the numbers of a file, any shape.
        codes: those that mean it.
    """
    listed = np.atleast_1d(np.asarray(codes, dtype=np.float64))
    if value.dtype.kind != "f":  # a code that the type cannot hold is nowhere; cast, it would be another's
        ends = np.iinfo(value.dtype)
        listed = listed[(listed >= ends.min) & (listed <= ends.max) & (listed == np.rint(listed))]
    with np.errstate(over="ignore"):
        return np.isin(value, listed.astype(value.dtype))


def read_ground_truth(
    root: Path, row: dict[str, str], info: FolderInfo, picture: Picture
) -> tuple[np.ndarray, np.ndarray]:
    """The depth of one picture along the optical axis, at the size that it is stored in.

    Args:
        root: the folder of the data set.
        row: of the index.
        info: what `dataset.toml` says.
        picture: the picture, as `read_image` gives it.

    Returns:
        As `read_depth`.

    Raises:
        LeadlineError: as `read_masked_depth` and `along_axis`.
    """
    depth_m, valid = read_masked_depth(root, row, info)
    return along_axis(root, row, info, picture, depth_m), valid


def read_masked_depth(root: Path, row: dict[str, str], info: FolderInfo) -> tuple[np.ndarray, np.ndarray]:
    """The depth of one row of the index, without what its mask leaves out; see `read_depth`.

    Raises:
        LeadlineError: if a file is missing or broken, or the mask is of another size than its depth.
    """
    return without_masked(root, row, *read_depth(root / row["depth"], info))


def without_masked(
    root: Path, row: dict[str, str], depth_m: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth and which of it is valid, without what the mask of the row leaves out.

    Raises:
        LeadlineError: if the mask is missing, broken, or of another size than the depth.
    """
    name = (row.get("mask") or "").strip()
    if not name:
        return depth_m, valid
    mask = _read_mask(root / name)
    require_size(root / name, mask, depth_m.shape, "depth map")
    valid = valid & (mask != 0)
    return np.where(valid, depth_m, np.float32(0)), valid


def along_axis(root: Path, row: dict[str, str], info: FolderInfo, picture: Picture, depth_m: np.ndarray) -> np.ndarray:
    """Depth along the optical axis, from what is stored beside a picture.

    Args:
        root: the folder of the data set.
        row: of the index.
        info: what `dataset.toml` says.
        picture: the picture, as `read_image` gives it.
        depth_m: metres along what they are stored along, (H, W).

    Raises:
        LeadlineError: if the depth is of another view than the picture or may be turned to it, or distances along
            rays have no camera.
    """
    refuse_turned(picture, root / row["rgb"], depth_m.shape)
    height, width = picture.rgb.shape[:2]
    require_same_view(root / row["depth"], depth_m.shape, (height, width))
    if info.depth_along == "axis":
        return depth_m
    matrix = choose_intrinsics(row, info, picture)
    if not bool(matrix.isfinite().all()):
        raise LeadlineError(
            f'id {row["id"]}: depth_along = "ray" needs the camera: give fx, fy, cx, cy in index.csv or intrinsics in '
            "dataset.toml"
        )
    return depth_along_axis(depth_m, Camera.from_matrix(matrix.numpy(), width, height, CameraSource.DATA_SET))


def _read_mask(path: Path) -> NDArray[Any]:
    """A mask (H, W), 0 where depth is not to be used."""
    if path.suffix == ".npy":
        mask = read_npy(path)
    else:
        picture = decode_image(path)
        mask = np.zeros(0) if picture.mode == "P" else np.asarray(picture)
    if mask.ndim != 2 or mask.dtype.kind not in "buif":
        raise LeadlineError(f"{path} must have one channel, got shape {mask.shape}; 0 where depth is not to be used")
    return mask


def read_stored(path: Path) -> np.ndarray:
    """The numbers of a depth file as they are stored, (H, W).

    Raises:
        LeadlineError: if the file is missing, broken or not one channel.
    """
    return read_stored_depth(path).known


def row_camera(row: dict[str, str], info: FolderInfo) -> Sequence[float] | None:
    """fx, fy, cx, cy of one picture: the columns where the index fills them, else the data set's; None if unknown.

    Raises:
        LeadlineError: if some but not all of them are given, or a camera cannot have them.
    """
    given = [text for text in ((row.get(key) or "").strip() for key in CAMERA_COLUMNS) if text]
    if not given:
        return info.intrinsics
    try:
        if len(given) < len(CAMERA_COLUMNS):
            raise ValueError(f"got {len(given)} of the four")
        return possible_camera([float(text) for text in given])
    except ValueError as error:
        raise LeadlineError(
            f"index.csv, id {row['id']}: fx, fy, cx, cy must be numbers or all be left out ({error})"
        ) from error


def stored_camera(row: dict[str, str], info: FolderInfo, size: tuple[int, int]) -> Camera | None:
    """The camera that index or `dataset.toml` tell of one picture; None if they do not.

    Args:
        row: of the index.
        info: what `dataset.toml` says.
        size: width and height of the picture.

    Raises:
        LeadlineError: as `row_camera`, or if that camera cannot have taken the picture.
    """
    values = row_camera(row, info)
    if values is None:
        return None
    fx, fy, cx, cy = values
    try:
        camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=size[0], height=size[1], source=CameraSource.DATA_SET)
        return camera.plausible()
    except LeadlineError as error:
        where = "dataset.toml, intrinsics" if values is info.intrinsics else f"index.csv, id {row['id']}"
        raise LeadlineError(f"{where}: {error}") from error


def one_camera_problem(sizes: Iterable[tuple[int, int]]) -> str:
    """What to say if `intrinsics` of dataset.toml, which are those of one size, stand for pictures of several; else "".

    Args:
        sizes: width and height of each picture that has no camera of its own.
    """
    several = list(dict.fromkeys(sizes))
    if len(several) < 2:
        return ""
    listed = " and ".join(f"{width}×{height}" for width, height in several[:2])
    return (
        f"dataset.toml, intrinsics: one camera for pictures of several sizes ({listed}) is right for one at most: "
        "give fx, fy, cx, cy of each in index.csv"
    )


def choose_intrinsics(row: dict[str, str], info: FolderInfo, picture: Picture) -> Tensor:
    """The camera of one picture: its columns of the index, else `dataset.toml`, else the picture's EXIF block.

    Args:
        row: of the index.
        info: what `dataset.toml` says.
        picture: the picture, as `read_image` gives it.

    Returns:
        Pinhole matrix in pixels of the picture, float32 (3, 3); NaN where nothing tells.

    Raises:
        LeadlineError: as `row_camera`, or if that camera cannot have taken the picture.
    """
    height, width = picture.full_size  # that of the file, which the camera is of
    stored = stored_camera(row, info, (width, height))
    height, width = picture.rgb.shape[:2]
    camera = choose_camera(data_set=stored and stored.resized(width, height), exif=picture.camera)
    return UNKNOWN_INTRINSICS.clone() if camera is None else torch.from_numpy(camera.matrix)


class FolderDataset:
    """A folder data set: decodes one picture and its depth at a time.

    Args:
        root: the folder that holds `index.csv`.

    Raises:
        LeadlineError: as `read_index` and `read_dataset_toml`.
    """

    def __init__(self, root: Path) -> None:
        """Read the index; no picture is decoded yet."""
        self.root = root
        self.info = read_dataset_toml(root)
        self._rows = read_index(root)
        self._sizes: set[tuple[int, int]] = set()  # that `intrinsics` stood for so far, until it is told
        self._has_told_of_resize = False

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order."""
        return [row["id"] for row in self._rows]

    @property
    def stems(self) -> list[str]:
        """What results of every picture are named after: as `stems_below_all`."""
        return stems_below_all(self.root / row["rgb"] for row in self._rows)

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture; "" without that column."""
        return [row.get("scene") or "" for row in self._rows]

    @property
    def official_splits(self) -> list[str]:
        """The makers' split of every picture; "" without that column."""
        return [_official_part(row) for row in self._rows]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its depth, which may have another size.

        Raises:
            LeadlineError: as `read_ground_truth`.
        """
        row = self._rows[index]
        picture = read_image(self.root / row["rgb"])
        truth = _as_tensors(*read_ground_truth(self.root, row, self.info, picture))
        intrinsics = choose_intrinsics(row, self.info, picture)
        self._tell_of_sizes(row, picture)
        self._tell_of_resize(row, picture)
        return Sample(image_tensor(picture.rgb), *truth, intrinsics, row["id"], row.get("scene") or "")

    def _tell_of_sizes(self, row: dict[str, str], picture: Picture) -> None:
        if self.info.intrinsics is None or row_camera(row, self.info) is not self.info.intrinsics:
            return
        height, width = picture.full_size
        before, self._sizes = self._sizes, self._sizes | {(width, height)}
        if len(before) == 1 and (problem := one_camera_problem((*before, (width, height)))):
            logger.warning("%s: %s", self.root, problem)

    def _tell_of_resize(self, row: dict[str, str], picture: Picture) -> None:
        height, width = picture.full_size
        camera = stored_camera(row, self.info, (width, height))
        if len(self._sizes) > 1 and row_camera(row, self.info) is self.info.intrinsics:
            return  # which is told as such
        if camera is not None and camera.resize_note and not self._has_told_of_resize:
            self._has_told_of_resize = True
            logger.warning("%s: id %s: %s", self.root, row["id"], camera.resize_note)

    def picture_file(self, index: int) -> Path:
        """The file of a picture."""
        return self.root / self._rows[index]["rgb"]

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one picture alone; of distances along rays, the picture too, whose camera they need.

        Raises:
            LeadlineError: if a file is missing or broken.
        """
        if self.info.depth_along == "ray":
            sample = self[index]
            return GroundTruth(sample.depth_m, sample.valid)
        return _as_tensors(*read_masked_depth(self.root, self._rows[index], self.info))


def _as_tensors(depth_m: np.ndarray, valid: np.ndarray) -> GroundTruth:
    return GroundTruth(torch.from_numpy(depth_m)[None], torch.from_numpy(valid)[None])
