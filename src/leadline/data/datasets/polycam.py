"""Polycam's raw data, as its developer mode exports them.

From the maker's specification (PolyCam/polyform, commit 845389c of 2024-12): `keyframes/images/T.jpg`, `depth/T.png` in
16-bit millimetres, `confidence/T.png` (0 low, 127 medium, 255 high) and `cameras/T.json` with fx, fy, cx, cy, width,
height and `t_00` to `t_23`, camera to world row by row, axes of ARKit (x right, y up, z backward), the world's y up; T
is a time in microseconds. Where the poses were optimised there are `corrected_images`, undistorted and black at their
edges, and `corrected_cameras`. The maker says to prefer those, but depth belongs to the images as they were taken, so
that these are read here, with the corrected poses.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.arkit import MILLIMETRES, UP, read_lidar
from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, number_of, read_object
from leadline.data.datasets.poses import pose_of_opengl

_MEDIUM = 127


class PolycamDataset(FrameDataset):
    """The keyframes of one capture that have depth. Ids are "CAPTURE/TIME".

    Args:
        root: holds `keyframes`.

    Raises:
        LeadlineError: if there is no keyframe with depth.
    """

    any_resolution = True
    metres_per_unit = MILLIMETRES
    up = UP

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        super().__init__(root, _frames(root), "keyframes/images, keyframes/depth and keyframes/cameras of Polycam")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        corrected = self._camera_file(self._frames[index], "corrected_cameras")
        path = corrected if corrected.is_file() else self._camera_file(self._frames[index])
        names = [f"t_{row}{column}" for row in range(3) for column in range(4)]
        return pose_of_opengl(number_of(path, read_object(path), *names))

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth = self.root / frame.depth
        return read_lidar(depth, depth.parents[1] / "confidence" / depth.name, _MEDIUM)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        path = self._camera_file(frame)
        fx, fy, cx, cy = number_of(path, read_object(path), "fx", "fy", "cx", "cy")
        return fx, fy, cx, cy

    def _camera_size(self, frame: Frame) -> tuple[int, int]:
        path = self._camera_file(frame)
        width, height = number_of(path, read_object(path), "width", "height")
        return int(width), int(height)

    def _camera_file(self, frame: Frame, folder: str = "cameras") -> Path:
        return self.root / "keyframes" / folder / f"{Path(frame.rgb).stem}.json"


def _frames(root: Path) -> Iterator[Frame]:
    for path in sorted((root / "keyframes" / "images").glob("*.jpg")):
        depth = f"keyframes/depth/{path.stem}.png"
        if (root / depth).exists():
            time_s = int(path.stem) / 1e6 if path.stem.isdigit() else None
            capture = root.resolve().name
            yield Frame(f"{capture}/{path.stem}", capture, "", f"keyframes/images/{path.name}", depth, time_s)
