"""Stray Scanner, an app for iPhones and iPads with LiDAR: a folder for each capture.

From the app's own `docs/format.md` and its source (strayrobots/scanner, commit e0e2522 of 2025-02): `rgb.mp4` (HEVC,
mostly 1920×1440), `depth/000000.png` in 16-bit millimetres (`.npy` in old versions) and `confidence/000000.png` (0 to
2), both 256×192 and of the video's frame of the same place; `camera_matrix.csv`, of the video's size and of the last
frame alone; `odometry.csv` with "timestamp, frame, x, y, z, qx, qy, qz, qw". The rotation is not ARKit's: the app turns
it about x, so that the camera's axes are x right, y down, z forward; the world's y is up. The video's own times are
frame numbers at 60 a second, not times. Pictures lie as the sensor does, on their side where the phone was held
upright.
"""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.datasets.arkit import MILLIMETRES, UP, read_lidar
from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, read_numbers
from leadline.data.datasets.poses import pose_of_quaternion
from leadline.errors import LeadlineError
from leadline.io import FrameFinder

_VIDEO = "rgb.mp4"


class StrayDataset(FrameDataset):
    """The frames of one capture, or of all captures in a folder. Ids are "CAPTURE/NUMBER".

    Args:
        root: a capture (it holds rgb.mp4 and odometry.csv), or a folder of captures.

    Raises:
        LeadlineError: if there is no frame, or the odometry is missing or broken.
    """

    any_resolution = True
    metres_per_unit = MILLIMETRES
    up = UP

    def __init__(self, root: Path) -> None:
        """Read the odometry; no picture is decoded yet."""
        self._odometry: dict[str, list[float]] = {}
        self._videos: dict[Path, FrameFinder] = {}
        super().__init__(root, self._list(root), "rgb.mp4, odometry.csv and depth/000000.png of Stray Scanner")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        _, _, *rest = self._odometry[self._frames[index].id]
        return pose_of_quaternion(rest[3:7], rest[:3])

    def picture_file(self, index: int) -> None:
        """None: pictures lie in a video."""
        return None

    def _read_rgb(self, frame: Frame) -> Tensor:
        path = self.root / frame.rgb
        finder = self._videos.setdefault(path, FrameFinder(path))
        rgb = finder.frame(int(frame.id.rpartition("/")[2]))
        return torch.from_numpy(rgb).permute(2, 0, 1).float().div(255)

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth = self.root / frame.depth
        return read_lidar(depth, depth.parents[1] / "confidence" / f"{depth.stem}.png")

    def _intrinsics(self, frame: Frame) -> Pinhole:
        fx, _, cx, _, fy, cy, *_ = read_numbers((self.root / frame.rgb).parent / "camera_matrix.csv", 9)
        return fx, fy, cx, cy

    def _list(self, root: Path) -> Iterator[Frame]:
        for folder in [root] if (root / _VIDEO).exists() else sorted(path.parent for path in root.glob(f"*/{_VIDEO}")):
            capture, below = folder.resolve().name, "" if folder == root else f"{folder.name}/"
            depths = {path.stem: path.name for path in sorted((folder / "depth").glob("*")) if path.stem.isdigit()}
            for values in _read_odometry(folder / "odometry.csv"):
                number = f"{int(values[1]):06d}"
                if number in depths:
                    name = f"{capture}/{number}"
                    self._odometry[name] = values
                    yield Frame(name, capture, "", f"{below}{_VIDEO}", f"{below}depth/{depths[number]}", values[0])


def _read_odometry(path: Path) -> Iterator[list[float]]:
    """Time in seconds, number of the frame, position (3) and quaternion (4) of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError) as error:
        raise LeadlineError(f"{path} cannot be read: copy the capture again") from error
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            values = [float(word) for word in line.split(",")]
        except ValueError as error:
            raise LeadlineError(f"{path}, line {number}: wanted nine numbers, got {line!r}") from error
        if len(values) < 9:
            raise LeadlineError(f"{path}, line {number}: wanted nine numbers, got {len(values)}")
        if not (isfinite(values[0]) and isfinite(values[1])):
            raise LeadlineError(f"{path}, line {number}: wanted a time and a frame's number, got {line!r}")
        yield values
