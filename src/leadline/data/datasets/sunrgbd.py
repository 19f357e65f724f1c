"""SUN RGB-D (Song, Lichtenberg, Xiao, CVPR 2015), as SUNRGBD.zip and SUNRGBDtoolbox.zip unpack.

A folder for each of the 10,335 pictures, of four kinds of sensor and many sizes. From the makers' toolbox
(readframeSUNRGBD.m, read3dPoints.m): `depth` holds a 16-bit PNG whose bits are turned by three, millimetres =
value >> 3 | value << 13, 0 = no depth; `intrinsics.txt` is the 3x3 matrix row by row. `depth_bfx`, in which holes
are filled, and `fullres` are not read. The split is the toolbox's `allsplit.mat` (MATLAB 5).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, read_numbers
from leadline.errors import LeadlineError
from leadline.io import decode_image

SENSORS = ("kv1", "kv2", "realsense", "xtion")
ALLSPLIT = Path("SUNRGBDtoolbox", "traintestSUNRGBD", "allsplit.mat")
"""The split, below the folder that SUNRGBD lies in."""

_SPLIT_KEYS = {"train": "alltrain", "test": "alltest"}


class SunRgbdDataset(FrameDataset):
    """All pictures, with the depth that the sensor gave.

    Ids are the pictures' folders below `root`, such as "kv1/NYUdata/NYU0001". Scenes are known for what comes
    from SUN3D; they are "" for the rest.

    Args:
        root: `SUNRGBD`, which holds kv1, kv2, realsense, xtion. Where `SUNRGBDtoolbox` lies beside it, its split
            is read; else there is none.

    Raises:
        LeadlineError: if there is no picture, or the split is broken.
    """

    def __init__(self, root: Path) -> None:
        """Walk the folders; no picture is decoded yet."""
        allsplit = root.resolve().parent / ALLSPLIT
        split_of = read_allsplit(allsplit) if allsplit.exists() else {}
        frames = (
            Frame(name, _scene(name), split_of.get(name, ""), f"{name}/image", f"{name}/depth")
            for name in _picture_folders(root)
        )
        super().__init__(root, frames, f"{', '.join(SENSORS)} with an intrinsics.txt for each picture")

    def _rgb_path(self, frame: Frame) -> Path:
        return _first_file(self.root / frame.rgb, "*.jpg")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return _read_turned(_first_file(self.root / frame.depth, "*.png"))

    def _intrinsics(self, frame: Frame) -> Pinhole:
        fx, _, cx, _, fy, cy, *_ = read_numbers(self.root / frame.id / "intrinsics.txt", 9)
        return fx, fy, cx, cy


def read_allsplit(path: Path) -> dict[str, str]:
    """Read the makers' split.

    Args:
        path: `allsplit.mat`; its paths begin at the makers' own `/n/fs/sun3d/data/SUNRGBD/`.

    Returns:
        "train" or "test" of the pictures' folders below SUNRGBD.

    Raises:
        LeadlineError: if the file is broken or not what its name says.
    """
    try:
        contents = scipy.io.loadmat(path, appendmat=False, squeeze_me=True, variable_names=[*_SPLIT_KEYS.values()])
        paths = {part: [str(name) for name in np.atleast_1d(contents[key])] for part, key in _SPLIT_KEYS.items()}
    except Exception as error:  # scipy lets through whatever its parser trips over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LeadlineError(
            f"{path} is no list of alltrain and alltest ({reason}): unpack SUNRGBDtoolbox.zip again"
        ) from error
    return {
        "/".join(filter(None, name.partition("/SUNRGBD/")[2].split("/"))): part
        for part, names in paths.items()
        for name in names
    }


def _picture_folders(root: Path) -> Iterator[str]:
    """Folders that hold an intrinsics.txt, below `root`, in order; nothing below them is looked at."""
    for sensor in SENSORS:
        for folder, subfolders, files in os.walk(root / sensor):
            subfolders.sort()
            if "intrinsics.txt" in files:
                subfolders.clear()
                yield Path(folder).relative_to(root).as_posix()


def _scene(name: str) -> str:
    """The place that a picture of SUN3D shows."""
    return "/".join(name.split("/")[:3]) if name.startswith("xtion/sun3ddata/") else ""


def _first_file(folder: Path, pattern: str) -> Path:
    """The only file of its kind; of several the first, as the makers' toolbox does."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise LeadlineError(f"{folder} holds no {pattern}: unpack SUNRGBD.zip again")
    return files[0]


def _read_turned(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    value = np.asarray(decode_image(path))
    if value.ndim != 2:
        raise LeadlineError(f"{path} must have one channel, got shape {value.shape}: unpack SUNRGBD.zip again")
    value = value.astype(np.uint16)
    depth_m = ((value >> 3) | (value << 13)).astype(np.float32) * np.float32(0.001)
    return depth_m, value > 0
