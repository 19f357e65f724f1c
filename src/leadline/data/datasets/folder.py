"""Any RGB-D set in a folder: an `index.csv`, an optional `dataset.toml`, pictures and depth maps."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from leadline.data.sample import UNKNOWN_INTRINSICS, GroundTruth, Sample, image_tensor
from leadline.data.splits import PARTS
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, choose_camera
from leadline.io import Picture, StoredDepth, as_record, read_image, read_stored_depth, read_toml

REQUIRED_COLUMNS = ("id", "rgb", "depth")
CAMERA_COLUMNS = ("fx", "fy", "cx", "cy")
MILLIMETRES = 0.001


class FolderInfo(BaseModel):
    """What `dataset.toml` says; the defaults hold where it is silent or absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    depth_scale: Annotated[float, Field(gt=0)] | None = None
    """Metres per unit of the depth file; where it is not said, whole numbers are millimetres and others metres."""
    depth_offset: float = 0.0
    """Metres added after scaling."""
    depth_invalid: int = 0
    """The value that means "no depth here"."""
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
        LeadlineError: if the index is missing, empty, lacks a column or repeats an id.
    """
    path = root / "index.csv"
    if not path.is_file():
        raise LeadlineError(f"no data set at {root}: wanted an index.csv with the columns id, rgb, depth")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise LeadlineError(f"{path} is not a CSV file: {error}") from error
    if not rows:
        raise LeadlineError(f"{path} lists no pictures: wanted a header line and a line for each picture")
    missing = [name for name in REQUIRED_COLUMNS if name not in rows[0]]
    if missing:
        raise LeadlineError(f"{path} lacks the column {', '.join(missing)}; wanted id, rgb, depth")
    for number, row in enumerate(rows, start=2):
        if not all(row[name] for name in REQUIRED_COLUMNS):
            raise LeadlineError(f"{path}, line {number}: id, rgb and depth must all be given")
        if _official_part(row) not in ("", *PARTS):
            part = row["official_split"]
            raise LeadlineError(
                f"{path}, line {number}: official_split must be train, val, test or nothing, got {part!r}"
            )
    if len({row["id"] for row in rows}) < len(rows):
        ids = [row["id"] for row in rows]
        twice = next(name for name in ids if ids.count(name) > 1)
        raise LeadlineError(f"{path} repeats the id {twice!r}; each id must stand for one picture")
    return rows


def _official_part(row: dict[str, str]) -> str:
    return (row.get("official_split") or "").strip().lower()


def read_depth(path: Path, info: FolderInfo) -> tuple[np.ndarray, np.ndarray]:
    """Read a depth map and turn it into metres.

    Args:
        path: a file of one of `leadline.io.DEPTH_READERS`.
        info: scale, offset and invalid value.

    Returns:
        Depth in metres, float32 (H, W), 0 where invalid; and which pixels are valid, bool (H, W).

    Raises:
        LeadlineError: if the file is missing, broken or not one channel.
    """
    value = read_stored(path)
    depth_m = value.astype(np.float32) * np.float32(info.metres_per_unit(value.dtype)) + np.float32(info.depth_offset)
    valid = (value != info.depth_invalid) & np.isfinite(depth_m) & (depth_m > 0)
    return np.where(valid, depth_m, np.float32(0)), valid


def read_stored(path: Path) -> np.ndarray:
    """The numbers of a depth file as they are stored, (H, W).

    Raises:
        LeadlineError: if the file is missing, broken or not one channel.
    """
    return _known_numbers(read_stored_depth(path))


def _known_numbers(stored: StoredDepth) -> np.ndarray:
    """The numbers, without those that the file's own mask rules out."""
    nothing = np.nan if stored.values.dtype.kind == "f" else 0
    return stored.values if stored.valid is None else np.where(stored.valid, stored.values, nothing)


def refuse_turned(picture: Picture, path: Path, depth_size: tuple[int, ...]) -> None:
    """Refuse a picture that EXIF's orientation has turned and its depth, it seems, has not.

    Args:
        picture: the picture.
        path: its file.
        depth_size: height and width of its depth.

    Raises:
        LeadlineError: if the depth has the size that the picture had before.
    """
    if picture.turned_from == depth_size:
        raise LeadlineError(
            f"{path} is turned by its EXIF block, and its depth says nothing of that: "
            "save the picture as its depth lies, without an orientation"
        )


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


def choose_intrinsics(row: dict[str, str], info: FolderInfo, picture: Picture) -> Tensor:
    """The camera of one picture: its columns of the index, else `dataset.toml`, else the picture's EXIF block.

    Args:
        row: of the index.
        info: what `dataset.toml` says.
        picture: the picture, as `read_image` gives it.

    Returns:
        Pinhole matrix in pixels of the picture, float32 (3, 3); NaN where nothing tells.

    Raises:
        LeadlineError: as `row_camera`.
    """
    height, width = picture.rgb.shape[:2]
    stored, declared = row_camera(row, info), None
    if stored is not None:
        fx, fy, cx, cy = stored
        source = CameraSource.DATA_SET
        declared = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=width, height=height, source=source)
    camera = choose_camera(data_set=declared, exif=picture.camera)
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

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order."""
        return [row["id"] for row in self._rows]

    @property
    def stems(self) -> list[str]:
        """The path of every picture below the folder of all, without its ending: what results are named after."""
        paths = [Path(os.path.abspath(self.root / row["rgb"])) for row in self._rows]
        common = os.path.commonpath([path.parent for path in paths])
        return [path.relative_to(common).with_suffix("").as_posix() for path in paths]

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
        """Decode one picture and its depth.

        Raises:
            LeadlineError: if a file is missing or broken, or the two differ in size, or may be turned to each other.
        """
        row = self._rows[index]
        picture = read_image(self.root / row["rgb"])
        image, truth = image_tensor(picture.rgb), self.ground_truth(index)
        size = tuple(truth.depth_m.shape[-2:])
        refuse_turned(picture, self.root / row["rgb"], size)
        if size != image.shape[-2:]:
            wanted, got = "×".join(map(str, image.shape[-2:])), "×".join(map(str, size))
            raise LeadlineError(f"{self.root / row['depth']} must be {wanted} as its picture is, got {got}")
        intrinsics = choose_intrinsics(row, self.info, picture)
        return Sample(image, *truth, intrinsics, row["id"], row.get("scene") or "")

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one picture alone.

        Raises:
            LeadlineError: if the file is missing or broken.
        """
        depth_m, valid = read_depth(self.root / self._rows[index]["depth"], self.info)
        return GroundTruth(torch.from_numpy(depth_m)[None], torch.from_numpy(valid)[None])
