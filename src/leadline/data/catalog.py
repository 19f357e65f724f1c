"""Data sets: the table of kinds, and how a path becomes one.

Nothing heavy is imported until a data set is opened, so that the command line can answer at once.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leadline.errors import LeadlineError
from leadline.io import restore_folder

if TYPE_CHECKING:
    from leadline.data.sample import DepthDataset


class Kind(NamedTuple):
    """A kind of data set on disk."""

    wanted: str  # what a path of this kind holds, for the error
    is_at: Callable[[Path], bool]  # whether a path is of this kind; looks at few names and opens no file
    opener: str  # "module:callable" of `leadline.data.datasets`, imported when a data set of this kind is opened

    def open(self, path: Path) -> "DepthDataset":
        """Open the data set at a path of this kind."""
        module, _, name = self.opener.partition(":")
        dataset: DepthDataset = getattr(import_module(f"leadline.data.datasets.{module}"), name)(path)
        return dataset


def _holds(*patterns: str) -> Callable[[Path], bool]:
    """A recogniser of folders in which at least one of the patterns is found."""
    return lambda path: path.is_dir() and any(any(True for _ in path.glob(pattern)) for pattern in patterns)


def _is_nyu(path: Path) -> bool:
    return (path.is_file() and path.suffix == ".mat") or (path / "nyu_depth_v2_labeled.mat").exists()


DATASETS: dict[str, Kind] = {
    "folder": Kind("index.csv", _holds("index.csv"), "folder:FolderDataset"),
    "nyu": Kind("nyu_depth_v2_labeled.mat", _is_nyu, "nyu:open_nyu"),
    "kitti": Kind(
        "train/*_sync/proj_depth",
        _holds("train/*_sync/proj_depth", "val/*_sync/proj_depth"),
        "kitti:KittiDataset",
    ),
    "kitti-selection": Kind("groundtruth_depth", _holds("groundtruth_depth"), "kitti:KittiSelectionDataset"),
    "sunrgbd": Kind("kv1, kv2, realsense, xtion", _holds("kv1", "kv2", "realsense", "xtion"), "sunrgbd:SunRgbdDataset"),
    "diode": Kind(
        "val/indoors/scene_*",
        _holds(*(f"{part}/{where}/scene_*" for part in ("train", "val") for where in ("indoors", "outdoor"))),
        "diode:DiodeDataset",
    ),
    "ibims": Kind("mask_invalid, mask_transp", _holds("mask_transp"), "ibims:IbimsDataset"),
    "tum": Kind("rgb.txt, depth.txt", _holds("rgb.txt", "*/rgb.txt"), "tum:TumDataset"),
    "seven-scenes": Kind(
        "seq-*, TrainSplit.txt",
        _holds("TrainSplit.txt", "TestSplit.txt", "*/TrainSplit.txt", "*/TestSplit.txt"),
        "seven_scenes:SevenScenesDataset",
    ),
}
"""Every kind of data set (docs/reference/data-sets.md), in the order in which a path is compared with them."""


def open_dataset(path: Path) -> "DepthDataset":
    """Open the data set at a path: a folder with an `index.csv`, or a public data set in its makers' layout.

    Args:
        path: folder, or NYU's .mat file.

    Raises:
        LeadlineError: if there is no data set of a known kind, or it is broken.
    """
    restore_folder(path)
    for kind in DATASETS.values():
        if kind.is_at(path):
            return kind.open(path)
    known = "; ".join(f"{kind.wanted} ({name})" for name, kind in DATASETS.items())
    raise LeadlineError(f"no data set at {path}: wanted a folder that holds {known}")
