"""Data sets: the table of kinds, and how a path becomes one.

This module is free of torch until a data set is opened, so that the command line can answer at once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.errors import UserError

if TYPE_CHECKING:
    from leadline.data.sample import DepthDataset

__all__ = ["DATASETS", "open_dataset"]


def _open_folder(path: Path) -> "DepthDataset":
    from leadline.data.folder import FolderDataset

    return FolderDataset(path)


def _open_nyu(path: Path) -> "DepthDataset":
    from leadline.data.nyu import NyuDataset

    mat = path if path.is_file() else path / "nyu_depth_v2_labeled.mat"
    splits = mat.with_name("splits.mat")
    return NyuDataset(mat, splits if splits.exists() else None)


DATASETS: dict[str, Callable[[Path], "DepthDataset"]] = {"folder": _open_folder, "nyu": _open_nyu}
"""How each kind of data set on disk is opened."""


def open_dataset(path: Path) -> "DepthDataset":
    """Open the data set at a path: a folder with an `index.csv`, or NYU's .mat file or the folder that holds it.

    Args:
        path: file or folder.

    Raises:
        UserError: if there is no data set of a known kind.
    """
    is_nyu = path.suffix == ".mat" or (path / "nyu_depth_v2_labeled.mat").exists()
    if not path.exists():
        raise UserError(f"no data set at {path}: wanted a folder with an index.csv, or nyu_depth_v2_labeled.mat")
    return DATASETS["nyu" if is_nyu else "folder"](path)
