"""Replica as NICE-SLAM rendered it (Zhu et al., CVPR 2022): eight rooms, in one archive.

From the authors' reader and settings (cvg/nice-slam, commit 7af15cc of 2022-08): `results/frame000000.jpg`, 1200×680,
and `results/depth000000.png`, metres = value / 6553.5 along the optical axis, 0 = no depth; `traj.txt` has camera to
world as sixteen numbers a line, x right, y down, z forward, the world's z up; `cam_params.json` beside the rooms, or
else fx = fy = 600 about the middle.
"""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, number_of, read_object
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.data.datasets.poses import pose_of_matrix
from leadline.errors import LeadlineError

SIZE = (1200, 680)
"""Width and height of the rendered pictures."""
INTRINSICS_PX = (600.0, 600.0, 599.5, 339.5)
_STEPS_PER_METRE = 6553.5
_CAMERA = "cam_params.json"


class ReplicaDataset(FrameDataset):
    """The frames of one room, or of all rooms in a folder. Ids are "ROOM/frame000000".

    Args:
        root: a room (it holds results and traj.txt), or a folder of rooms.

    Raises:
        LeadlineError: if there is no frame, or cam_params.json is broken.
    """

    up = (0.0, 0.0, 1.0)

    def __init__(self, root: Path) -> None:
        """List the frames; no picture is decoded yet."""
        self._camera, steps, self._size = _read_camera(root)
        self.metres_per_unit = 1 / steps
        self._info = FolderInfo(depth_scale=self.metres_per_unit)
        self._trajectories: dict[Path, NDArray[np.float64]] = {}
        super().__init__(root, _frames(root), "results/frame000000.jpg and results/depth000000.png of Replica")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        rgb = self.root / self._frames[index].rgb
        path, number = rgb.parents[1] / "traj.txt", int(rgb.stem.removeprefix("frame"))
        if path not in self._trajectories:
            self._trajectories[path] = _read_trajectory(path)
        poses = self._trajectories[path]
        return pose_of_matrix(poses[number]) if number < len(poses) else None

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, self._info)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        return self._camera

    def _camera_size(self, frame: Frame) -> tuple[int, int]:
        return self._size


def _frames(root: Path) -> Iterator[Frame]:
    for folder in [root] if (root / "results").is_dir() else sorted(path.parent for path in root.glob("*/results")):
        room, below = folder.resolve().name, folder.relative_to(root)
        for path in sorted((folder / "results").glob("frame*.jpg")):
            depth = folder / "results" / f"depth{path.stem.removeprefix('frame')}.png"
            if depth.exists():
                rgb, depth_name = ((below / "results" / each.name).as_posix() for each in (path, depth))
                yield Frame(f"{room}/{path.stem}", room, "", rgb, depth_name)


def _read_camera(root: Path) -> tuple[Pinhole, float, tuple[int, int]]:
    """fx, fy, cx, cy, the steps of depth in a metre, and width and height of the pictures that these are for."""
    path = next((folder / _CAMERA for folder in (root, root.resolve().parent) if (folder / _CAMERA).is_file()), None)
    if path is None:
        return INTRINSICS_PX, _STEPS_PER_METRE, SIZE
    camera = read_object(path).get("camera")
    names = ("fx", "fy", "cx", "cy", "scale", "w", "h")
    fx, fy, cx, cy, steps, width, height = number_of(path, camera if isinstance(camera, dict) else {}, *names)
    if not 0 < steps < inf:
        raise LeadlineError(f"{path}: scale is steps of depth a metre and positive, got {steps:g}: download it again")
    return (fx, fy, cx, cy), steps, (int(width), int(height))


def _read_trajectory(path: Path) -> NDArray[np.float64]:
    try:
        return np.loadtxt(path, ndmin=2).reshape(-1, 16) if path.is_file() else np.empty((0, 16))
    except (OSError, ValueError) as error:
        raise LeadlineError(f"{path} is no list of sixteen numbers a line ({error}): download it again") from error
