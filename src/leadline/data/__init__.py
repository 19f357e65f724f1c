"""Data sets: the table of kinds, and how a path becomes one.

This module is free of torch until a data set is opened, so that the command line can answer at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leadline.errors import UserError

if TYPE_CHECKING:
    from leadline.data.sample import DepthDataset

__all__ = ["DATASETS", "Kind", "open_dataset"]


class Kind(NamedTuple):
    """A kind of data set on disk."""

    wanted: str  # what a path of this kind holds, for the error
    is_at: Callable[[Path], bool]  # whether a path is of this kind; looks at few names and opens no file
    open: Callable[[Path], "DepthDataset"]


def _holds(*patterns: str) -> Callable[[Path], bool]:
    """A recogniser of folders in which at least one of the patterns is found."""
    return lambda path: path.is_dir() and any(any(True for _ in path.glob(pattern)) for pattern in patterns)


def _is_nyu(path: Path) -> bool:
    return (path.is_file() and path.suffix == ".mat") or (path / "nyu_depth_v2_labeled.mat").exists()


def _open_folder(path: Path) -> "DepthDataset":
    from leadline.data.folder import FolderDataset

    return FolderDataset(path)


def _open_nyu(path: Path) -> "DepthDataset":
    from leadline.data.nyu import NyuDataset

    mat = path if path.is_file() else path / "nyu_depth_v2_labeled.mat"
    splits = mat.with_name("splits.mat")
    return NyuDataset(mat, splits if splits.exists() else None)


def _open_kitti(path: Path) -> "DepthDataset":
    from leadline.data.kitti import KittiDataset

    return KittiDataset(path)


def _open_kitti_selection(path: Path) -> "DepthDataset":
    from leadline.data.kitti import KittiSelectionDataset

    return KittiSelectionDataset(path)


def _open_sunrgbd(path: Path) -> "DepthDataset":
    from leadline.data.sunrgbd import SunRgbdDataset

    return SunRgbdDataset(path)


def _open_diode(path: Path) -> "DepthDataset":
    from leadline.data.diode import DiodeDataset

    return DiodeDataset(path)


def _open_ibims(path: Path) -> "DepthDataset":
    from leadline.data.ibims import IbimsDataset

    return IbimsDataset(path)


def _open_tum(path: Path) -> "DepthDataset":
    from leadline.data.tum import TumDataset

    return TumDataset(path)


def _open_seven_scenes(path: Path) -> "DepthDataset":
    from leadline.data.seven_scenes import SevenScenesDataset

    return SevenScenesDataset(path)


DATASETS: dict[str, Kind] = {
    "folder": Kind("index.csv", _holds("index.csv"), _open_folder),
    "nyu": Kind("nyu_depth_v2_labeled.mat", _is_nyu, _open_nyu),
    "kitti": Kind(
        "train/*_sync/proj_depth",
        _holds("train/*_sync/proj_depth", "val/*_sync/proj_depth"),
        _open_kitti,
    ),
    "kitti-selection": Kind("groundtruth_depth", _holds("groundtruth_depth"), _open_kitti_selection),
    "sunrgbd": Kind("kv1, kv2, realsense, xtion", _holds("kv1", "kv2", "realsense", "xtion"), _open_sunrgbd),
    "diode": Kind(
        "val/indoors/scene_*",
        _holds(*(f"{part}/{where}/scene_*" for part in ("train", "val") for where in ("indoors", "outdoor"))),
        _open_diode,
    ),
    "ibims": Kind("mask_invalid, mask_transp", _holds("mask_transp"), _open_ibims),
    "tum": Kind("rgb.txt, depth.txt", _holds("rgb.txt", "*/rgb.txt"), _open_tum),
    "seven-scenes": Kind(
        "seq-*, TrainSplit.txt",
        _holds("TrainSplit.txt", "TestSplit.txt", "*/TrainSplit.txt", "*/TestSplit.txt"),
        _open_seven_scenes,
    ),
}
"""Every kind of data set, in the order in which a path is compared with them; `docs/data-sets.md` describes them."""


def open_dataset(path: Path) -> "DepthDataset":
    """Open the data set at a path: a folder with an `index.csv`, or a public data set in its makers' layout.

    Args:
        path: folder, or NYU's .mat file.

    Raises:
        UserError: if there is no data set of a known kind, or it is broken.
    """
    for kind in DATASETS.values():
        if kind.is_at(path):
            return kind.open(path)
    known = "; ".join(f"{kind.wanted} ({name})" for name, kind in DATASETS.items())
    raise UserError(f"no data set at {path}: wanted a folder that holds {known}")
