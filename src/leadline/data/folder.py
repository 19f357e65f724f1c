"""Any RGB-D set in a folder: an `index.csv`, an optional `dataset.toml`, pictures and depth maps."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from leadline.data.sample import UNKNOWN_INTRINSICS, Sample
from leadline.errors import UserError
from leadline.image import decode_image, read_image
from leadline.toml_files import as_record, read_toml

REQUIRED_COLUMNS = ("id", "rgb", "depth")


class FolderInfo(BaseModel):
    """What `dataset.toml` says; the defaults hold where it is silent or absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    depth_scale: Annotated[float, Field(gt=0)] = 0.001
    """Metres per unit of the depth file."""
    depth_offset: float = 0.0
    """Metres added after scaling."""
    depth_invalid: int = 0
    """The value that means "no depth here"."""
    depth_kind: str = ""
    """In words: "raw", "in-painted", "rendered"."""
    intrinsics: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy in pixels of the stored pictures."""


def read_dataset_toml(root: Path) -> FolderInfo:
    """Read `dataset.toml`, or give the defaults (16-bit millimetres, 0 invalid) where there is none.

    Args:
        root: the folder of the data set.

    Raises:
        UserError: if the file is no TOML or holds an unknown or impossible value.
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
        UserError: if the index is missing, empty, lacks a column or repeats an id.
    """
    path = root / "index.csv"
    if not path.is_file():
        raise UserError(f"no data set at {root}: wanted an index.csv with the columns id, rgb, depth")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file: {error}") from error
    if not rows:
        raise UserError(f"{path} lists no pictures: wanted a header line and a line for each picture")
    missing = [name for name in REQUIRED_COLUMNS if name not in rows[0]]
    if missing:
        raise UserError(f"{path} lacks the column {', '.join(missing)}; wanted id, rgb, depth")
    for number, row in enumerate(rows, start=2):
        if not all(row[name] for name in REQUIRED_COLUMNS):
            raise UserError(f"{path}, line {number}: id, rgb and depth must all be given")
    if len({row["id"] for row in rows}) < len(rows):
        ids = [row["id"] for row in rows]
        twice = next(name for name in ids if ids.count(name) > 1)
        raise UserError(f"{path} repeats the id {twice!r}; each id must stand for one picture")
    return rows


def read_depth(path: Path, info: FolderInfo) -> tuple[np.ndarray, np.ndarray]:
    """Read a depth map and turn it into metres.

    Args:
        path: a one-channel 8- or 16-bit PNG or TIFF, or a .npy array.
        info: scale, offset and invalid value.

    Returns:
        Depth in metres, float32 (H, W), 0 where invalid; and which pixels are valid, bool (H, W).

    Raises:
        UserError: if the file is missing, broken or not one channel.
    """
    value = _read_array(path) if path.suffix == ".npy" else np.asarray(decode_image(path))
    if value.ndim != 2:
        raise UserError(f"{path} must have one channel, got shape {value.shape}; store depth, not its colours")
    depth_m = value.astype(np.float32) * np.float32(info.depth_scale) + np.float32(info.depth_offset)
    valid = (value != info.depth_invalid) & np.isfinite(depth_m) & (depth_m > 0)
    return np.where(valid, depth_m, np.float32(0)), valid


def _read_array(path: Path) -> np.ndarray:
    try:
        value: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or no .npy array: {error}") from error
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "uif":
        raise UserError(f"{path} must be one .npy array of numbers; save it with numpy.save")
    return value


def _intrinsics_matrix(values: Sequence[float] | None) -> Tensor:
    if values is None:
        return UNKNOWN_INTRINSICS.clone()
    fx, fy, cx, cy = values
    return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _row_intrinsics(row: dict[str, str], default: Tensor) -> Tensor:
    """The camera of one picture: columns fx, fy, cx, cy where the index has them, else the data set's."""
    keys = ("fx", "fy", "cx", "cy")
    if not all(row.get(key) for key in keys):
        return default.clone()
    try:
        return _intrinsics_matrix([float(row[key]) for key in keys])
    except ValueError as error:
        raise UserError(f"index.csv, id {row['id']}: fx, fy, cx, cy must be numbers ({error})") from error


class FolderDataset:
    """A folder data set: decodes one picture and its depth at a time.

    Args:
        root: the folder that holds `index.csv`.

    Raises:
        UserError: as `read_index` and `read_dataset_toml`.
    """

    def __init__(self, root: Path) -> None:
        """Read the index; no picture is decoded yet."""
        self.root = root
        self.info = read_dataset_toml(root)
        self._rows = read_index(root)
        self._intrinsics = _intrinsics_matrix(self.info.intrinsics)

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order."""
        return [row["id"] for row in self._rows]

    @property
    def stems(self) -> list[str]:
        """The name of every picture's file without its ending: what results made from the files are named after."""
        return [Path(row["rgb"]).stem for row in self._rows]

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture; "" without that column."""
        return [row.get("scene") or "" for row in self._rows]

    @property
    def official_splits(self) -> list[str]:
        """The makers' split of every picture; "" without that column."""
        return [row.get("official_split") or "" for row in self._rows]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its depth.

        Raises:
            UserError: if a file is missing or broken, or the two differ in size.
        """
        row = self._rows[index]
        image = read_image(self.root / row["rgb"]).rgb
        depth_m, valid = read_depth(self.root / row["depth"], self.info)
        if depth_m.shape != image.shape[-2:]:
            wanted, got = "×".join(map(str, image.shape[-2:])), "×".join(map(str, depth_m.shape))
            raise UserError(f"{self.root / row['depth']} must be {wanted} as its picture is, got {got}")
        return Sample(
            image,
            torch.from_numpy(depth_m)[None],
            torch.from_numpy(valid)[None],
            _row_intrinsics(row, self._intrinsics),
            row["id"],
            row.get("scene") or "",
        )
