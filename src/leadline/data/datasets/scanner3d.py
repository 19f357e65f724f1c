"""3D Scanner App (Laan Labs), an app for iPhones and iPads with LiDAR: its export "All Data".

The maker publishes no description, only sample exports (laanlabs/3dScannerApp_samples). What is here is what several
public readers of such exports agree on (2023 to 2026): `frame_00000.jpg`, 1920×1440, of some frames only;
`depth_00000.png`, 16-bit millimetres, 256×192, with `conf_00000.png` (0 to 2); `frame_00000.json` with `intrinsics`
(nine numbers, row by row, of the picture) and `cameraPoseARFrame` (sixteen, row by row, camera to world, axes of ARKit)
and `time`. Exports that hold depth as .exr have been reported; they are not read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.arkit import MILLIMETRES, UP, read_lidar
from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, read_object
from leadline.data.datasets.poses import pose_of_opengl
from leadline.errors import LeadlineError


class ScannerAppDataset(FrameDataset):
    """The frames of one export that have picture and depth. Ids are "EXPORT/NUMBER".

    Args:
        root: holds frame_00000.jpg, frame_00000.json and depth_00000.png.

    Raises:
        LeadlineError: if there is no such frame.
    """

    any_resolution = True
    metres_per_unit = MILLIMETRES
    up = UP

    def __init__(self, root: Path) -> None:
        """List the frames; no picture is decoded yet."""
        super().__init__(root, _frames(root), "frame_00000.jpg, frame_00000.json and depth_00000.png of 3D Scanner App")

    def time_s(self, index: int) -> float | None:
        """When a picture was taken; None where its JSON does not say."""
        time = self._read(self._frames[index]).get("time")
        return float(time) if isinstance(time, int | float) else None

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        return pose_of_opengl(self._numbers(self._frames[index], "cameraPoseARFrame", 16))

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth = self.root / frame.depth
        return read_lidar(depth, depth.with_name(depth.name.replace("depth_", "conf_")))

    def _intrinsics(self, frame: Frame) -> Pinhole:
        fx, _, cx, _, fy, cy, *_ = self._numbers(frame, "intrinsics", 9)
        return fx, fy, cx, cy

    def _read(self, frame: Frame) -> dict[str, Any]:
        return read_object((self.root / frame.rgb).with_suffix(".json"))

    def _numbers(self, frame: Frame, name: str, num: int) -> list[float]:
        values = self._read(frame).get(name)
        if not isinstance(values, list) or len(values) != num or not all(isinstance(it, int | float) for it in values):
            raise LeadlineError(f"{self.root / frame.rgb}: its .json must hold {num} numbers {name}: export it again")
        return [float(value) for value in values]


def _frames(root: Path) -> Iterator[Frame]:
    capture = root.resolve().name
    for path in sorted(root.glob("frame_*.jpg")):
        number = path.stem.removeprefix("frame_")
        if (root / f"depth_{number}.png").exists():
            yield Frame(f"{capture}/{number}", capture, "", path.name, f"depth_{number}.png")
