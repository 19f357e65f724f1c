"""KITTI's depth benchmark (Uhrig et al., 3DV 2017), as its makers' archives unpack.

From the development kit's readme: depth maps are 16-bit PNG, metres = value / 256, 0 = no depth (most pixels:
laser points of eleven scans). They come without pictures, which are those of the raw recordings (Geiger et al.,
IJRR 2013): rectified, with `P_rect_0X` of the day's `calib_cam_to_cam.txt` as their camera.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, read_numbers
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.errors import LeadlineError

_DEPTH = FolderInfo(depth_scale=1 / 256)
_CAMERAS = ("image_02", "image_03")  # the left and the right colour camera
_CALIBRATION = "calib_cam_to_cam.txt"

PARTS = {"train": "train", "val": "test"}
"""Folders of depth maps, and what they count as: the depth of the makers' own test pictures is not public."""


class KittiDataset(FrameDataset):
    """All pictures with annotated depth, left and right, of the drives whose raw recording is there too.

    Ids are the pictures' paths below `root`, as the published lists of Eigen's split spell them, so that such a
    list can be given as a split.

    Args:
        root: holds `train` and `val` (from data_depth_annotated.zip) and beside them the raw recordings:
            `2011_09_26/2011_09_26_drive_0001_sync`, ..., and `2011_09_26/calib_cam_to_cam.txt`.

    Raises:
        LeadlineError: if there is no depth map whose drive has its pictures.
    """

    metres_per_unit = _DEPTH.depth_scale

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        wanted = "train/DRIVE_sync/proj_depth, and its pictures in DAY/DRIVE_sync/image_02/data from KITTI's raw data"
        super().__init__(root, _annotated_frames(root), wanted)

    @property
    def stems(self) -> list[str]:
        """The pictures' paths without ".png": what predictions made from the files are named after."""
        return [frame.id.removesuffix(".png") for frame in self._frames]

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        day, _, camera = frame.id.split("/")[:3]
        return _read_projection(self.root / day / _CALIBRATION, f"P_rect_{camera[-2:]}")


class KittiSelectionDataset(FrameDataset):
    """The 1000 pictures of 1216x352 that the makers chose and cut from their validation part.

    Args:
        root: `val_selection_cropped` of data_depth_selection.zip: `image`, `groundtruth_depth`, `intrinsics`.

    Raises:
        LeadlineError: if there is no depth map.
    """

    metres_per_unit = _DEPTH.depth_scale

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        super().__init__(root, _selected_frames(root), "groundtruth_depth/DRIVE_sync_groundtruth_depth_NUMBER.png")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        fx, _, cx, _, fy, cy, *_ = read_numbers(self.root / "intrinsics" / f"{frame.id}.txt", 9)
        return fx, fy, cx, cy


def _annotated_frames(root: Path) -> Iterator[Frame]:
    for part, split in PARTS.items():
        for drive in sorted(path.name for path in (root / part).glob("*_sync")):
            for camera in _CAMERAS:
                pictures = f"{drive[:10]}/{drive}/{camera}/data"
                depths = f"{part}/{drive}/proj_depth/groundtruth/{camera}"
                if not ((root / pictures).is_dir() and (root / depths).is_dir()):
                    continue
                for name in sorted(name for name in os.listdir(root / depths) if name.endswith(".png")):
                    yield Frame(f"{pictures}/{name}", drive, split, f"{pictures}/{name}", f"{depths}/{name}")


def _selected_frames(root: Path) -> Iterator[Frame]:
    for path in sorted((root / "groundtruth_depth").glob("*_groundtruth_depth_*.png")):
        name = path.stem.replace("_groundtruth_depth_", "_image_")
        drive = path.stem.partition("_groundtruth_depth_")[0]
        yield Frame(name, drive, "test", f"image/{name}.png", f"groundtruth_depth/{path.name}")


def _read_projection(path: Path, key: str) -> Pinhole:
    """fx, fy, cx, cy of a line "P_rect_02: ..." of twelve numbers, a 3x4 matrix row by row."""
    remedy = f"unpack KITTI's calibration of that day ({path.parent.name}_calib.zip) beside its drives"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LeadlineError(f"{path} cannot be read: {remedy}") from error
    try:
        numbers = next([float(word) for word in line.split()[1:]] for line in lines if line.startswith(f"{key}:"))
        fx, _, cx, _, _, fy, cy, *_ = numbers
    except (StopIteration, ValueError) as error:
        raise LeadlineError(f"{path} has no line '{key}:' of twelve numbers: {remedy}") from error
    return fx, fy, cx, cy
