"""ARKitScenes (Baruch et al., NeurIPS 2021), as its download script lays out the parts `raw`, `3dod` and `upsampling`.

From the repository's `DATA.md`, its readmes and `tenFpsDataLoader.py` (apple/ARKitScenes, commit 7283761 of 2024-09):
VIDEO or VIDEO/VIDEO_frames holds `lowres_wide/VIDEO_TIME.png` (256×192) with `lowres_depth` (16-bit millimetres, 0 = no
depth) and `confidence` (0 to 2), or `vga_wide` (640×480) where that was downloaded instead of `lowres_wide`, or `wide`
(1920×1440) with `highres_depth` (rendered from the laser scanner's mesh); `lowres_wide_intrinsics/VIDEO_TIME.pincam` is
"width height fx fy cx cy", its time up to 1 ms off. `lowres_wide.traj` has time, rotation vector and translation of the
world to the camera, ten a second, whose axes are x right, y down, z forward; the world's z is up. Depth and picture are
of one camera. The laser's depth is taken where both are there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from leadline.data.datasets.arkit import MILLIMETRES, read_lidar
from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, read_numbers
from leadline.errors import LeadlineError

_PARTS = {"Training": "train", "Validation": "test"}
_ABOVE = ("", "*_frames/", "*/", "*/*_frames/", "*/*/", "*/*/*_frames/", "*/*/*/")
"""Where a video's folders may lie below the folder that is opened."""
MAX_APART_S = 0.005
"""Longest time between a picture and its pose: nerfstudio's; poses are 0.1 s apart."""


class _Kind(NamedTuple):
    rgb: str  # folders of the pictures, of their depth and of its confidence
    depth: str
    confidence: str


_KINDS = (
    _Kind("wide", "highres_depth", ""),
    _Kind("lowres_wide", "lowres_depth", "confidence"),
    _Kind("vga_wide", "lowres_depth", "confidence"),
)


class ArkitScenesDataset(FrameDataset):
    """All pictures with depth. Ids are "VIDEO/VIDEO_TIME"; the scene is the video.

    Args:
        root: a video's folder, or any above it down to `Training` and `Validation`.

    Raises:
        LeadlineError: if there is no picture, or a trajectory is broken.
    """

    any_resolution = True
    metres_per_unit = MILLIMETRES
    up = (0.0, 0.0, 1.0)

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        self._trajectories: dict[Path, tuple[NDArray[np.float64], list[Pose]]] = {}
        super().__init__(root, _frames(root), "lowres_depth and lowres_wide, or highres_depth and wide, of ARKitScenes")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        frame = self._frames[index]
        path = (self.root / frame.rgb).parents[1] / "lowres_wide.traj"
        if path not in self._trajectories:
            self._trajectories[path] = _read_trajectory(path) if path.is_file() else (np.empty(0), [])
        times_s, poses = self._trajectories[path]
        if frame.time_s is None or not len(times_s):
            return None
        nearest = int(np.abs(times_s - frame.time_s).argmin())
        return poses[nearest] if abs(times_s[nearest] - frame.time_s) < MAX_APART_S else None

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth = self.root / frame.depth
        confidence = next(kind.confidence for kind in _KINDS if kind.depth == depth.parent.name)
        return read_lidar(depth, depth.parents[1] / confidence / depth.name if confidence else None)

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        path = self._camera_file(frame)
        if path is None:
            return None
        _, _, fx, fy, cx, cy = read_numbers(path, 6)
        return fx, fy, cx, cy

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        path = self._camera_file(frame)
        if path is None:
            return None
        width, height, *_ = read_numbers(path, 6)
        return int(width), int(height)

    def _camera_file(self, frame: Frame) -> Path | None:
        """The camera of a picture; the part `upsampling` has none."""
        rgb = self.root / frame.rgb
        video, _, time = rgb.stem.rpartition("_")
        names = [rgb.stem, *(f"{video}_{float(time) + apart_s:.3f}" for apart_s in (-0.001, 0.001))]
        paths = [rgb.parents[1] / f"{rgb.parent.name}_intrinsics" / f"{name}.pincam" for name in names]
        return next((path for path in paths if path.is_file()), None)


def _frames(root: Path) -> Iterator[Frame]:
    for folder in sorted(
        {path.parent for kind in _KINDS for above in _ABOVE for path in root.glob(above + kind.depth)}
    ):
        kind = next((kind for kind in _KINDS if all((folder / name).is_dir() for name in (kind.depth, kind.rgb))), None)
        if kind is None:
            continue
        split = next((part for name, part in _PARTS.items() if name in folder.resolve().parts), "")
        video = folder.resolve().name.removesuffix("_frames")
        below = folder.relative_to(root)
        for path in sorted((folder / kind.depth).glob("*.png"), key=_time_s):
            if (folder / kind.rgb / path.name).exists():
                rgb, depth = ((below / name / path.name).as_posix() for name in (kind.rgb, kind.depth))
                yield Frame(f"{video}/{path.stem}", video, split, rgb, depth, _time_s(path))


def _time_s(path: Path) -> float:
    try:
        return float(path.stem.rpartition("_")[2])
    except ValueError as error:
        raise LeadlineError(f"{path} is not named VIDEO_TIME.png: download the video again") from error


def _read_trajectory(path: Path) -> tuple[NDArray[np.float64], list[Pose]]:
    """Times in seconds and, for each, the pose."""
    try:
        lines = np.loadtxt(path, ndmin=2) if path.stat().st_size else np.empty((0, 7))
        if lines.shape[1] != 7:
            raise ValueError(f"{lines.shape[1]} columns")
    except (OSError, ValueError, IndexError) as error:
        raise LeadlineError(f"{path} is no list of seven numbers a line ({error}): download it again") from error
    poses: list[Pose] = []
    for _, *turn, x, y, z in lines.tolist():
        to_camera = np.eye(4)
        to_camera[:3, :3], to_camera[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), (x, y, z)
        poses.append(np.asarray(np.linalg.inv(to_camera), dtype=np.float64))
    return lines[:, 0], poses
