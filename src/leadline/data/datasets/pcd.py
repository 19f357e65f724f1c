"""Organised point clouds (.pcd) of the Point Cloud Library and ROS: every file an image with its depth.

WIDTH×HEIGHT points with x, y, z in metres and packed colours, 0x00RRGGBB, as the library's grabbers and ROS write the
clouds of a Kinect or RealSense. The description does not say in which axes points are; the library's tools take them in
the camera's (x right, y down, z forward) and VIEWPOINT as the camera's pose (`tools/transform_from_viewpoint.cpp`,
commit 1fdb038 of 2026-08), and so are 109 of the 110 organised clouds with colour in PointCloudLibrary/data (commit
5c26bdd of 2014-07). The other one has been given half a turn (x right, y up, z backward) that nothing in it tells, and
is turned back. Grabbers write one VIEWPOINT into all files, half a turn in some, which tells no motion: it counts as a
pose where positions differ.

No camera is stored: it is the pinhole whose rays the points lie on, to 0.02 pixels in those clouds, and each cloud's
own, since their centres differ by half a pixel. Where there is no depth most of them have their colours nevertheless;
one has NaN, which becomes black.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose
from leadline.data.datasets.poses import pose_of_quaternion
from leadline.errors import LeadlineError
from leadline.io import PcdHeader, natural_order, read_pcd, read_pcd_header

logger = logging.getLogger(__name__)

MAX_OFF_PX = 0.5
"""How far the points may lie beside the rays of the pinhole, root mean square."""
_NOT_A_NUMBER = 0x7FC00000
"""What stands for no colour in fields of floats; as a colour it would be red, and half seen through."""
_WANTED = "organised clouds (.pcd, HEIGHT over 1) with x, y, z and rgb or rgba"


class _Cloud(NamedTuple):
    """A cloud as a picture."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    depth_m: NDArray[np.float32]  # (H, W), 0 where there is none
    camera: Pinhole | None  # None where there is no depth, or in one row or column only


class PcdDataset(FrameDataset):
    """The organised clouds of a folder; others are left out. Ids are the names of the files, without .pcd.

    Args:
        root: the folder.

    Raises:
        LeadlineError: if there is no organised cloud with colour, or a header is broken.
    """

    def __init__(self, root: Path) -> None:
        """Read the headers; no point is read yet."""
        paths = sorted(root.glob("[!.]*.pcd"), key=natural_order)
        headers = {path.stem: read_pcd_header(path) for path in paths if path.is_file()}
        self._viewpoints = {name: header.viewpoint for name, header in headers.items()}
        self._last: tuple[str, _Cloud] | None = None
        lacks = {name: _lack(header) for name, header in headers.items()}
        frames = list(_frames(root, lacks))
        reasons = ", ".join(f"{times} {reason}" for reason, times in Counter(filter(None, lacks.values())).items())
        if frames and reasons:
            logger.warning("%s: clouds are left out: %s", root, reasons)
        super().__init__(root, frames, _WANTED + (f", got {reasons}" if reasons else ""))

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        viewpoint = self._viewpoints[self._frames[index].id]
        position_m, (w, *xyz) = viewpoint[:3], viewpoint[3:]
        moves = len({each[:3] for each in self._viewpoints.values()}) > 1
        if not (moves and any((w, *xyz)) and all(map(isfinite, viewpoint))):
            return None
        return pose_of_quaternion([*xyz, w], position_m)

    def picture_file(self, index: int) -> None:
        """None: pictures lie in the clouds."""
        return None

    def _read_rgb(self, frame: Frame) -> Tensor:
        return torch.from_numpy(self._cloud(frame).rgb).permute(2, 0, 1).float().div(255)

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth_m = self._cloud(frame).depth_m
        return depth_m.copy(), depth_m > 0

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        return self._cloud(frame).camera

    def _cloud(self, frame: Frame) -> _Cloud:
        """The cloud, read once for its picture, depth and camera."""
        last = self._last
        if last is None or last[0] != frame.id:
            self._last = last = (frame.id, _read_cloud(self.root / frame.depth))
        return last[1]


def _frames(root: Path, lacks: dict[str, str]) -> Iterator[Frame]:
    for name in (name for name, lack in lacks.items() if not lack):
        yield Frame(name, root.resolve().name, "", f"{name}.pcd", f"{name}.pcd")


def _lack(header: PcdHeader) -> str:
    """Why a cloud is no picture with depth; "" if it is one."""
    if min(header.width, header.height) == 1:
        return "not organised (HEIGHT 1)"
    if not {"x", "y", "z"} <= header.names:
        return "without x, y, z"
    return "" if _colour(header) else "without colour (rgb or rgba)"


def _colour(header: PcdHeader) -> str:
    """The name of the field with packed colours; "" if there is none."""
    packed = {field.name for field in header.fields if field.num_bytes == 4 and field.num_values == 1}
    return next((name for name in ("rgb", "rgba") if name in packed), "")


def _read_cloud(path: Path) -> _Cloud:
    colour = _colour(read_pcd_header(path))
    if not colour:
        raise LeadlineError(f"{path} has no colour any more: open the folder again")
    columns = read_pcd(path, ("x", "y", "z", colour))
    packed = columns[colour].view("<u4")
    packed = np.where(packed == _NOT_A_NUMBER, 0, packed)
    rgb = np.stack([packed >> shift for shift in (16, 8, 0)], axis=-1).astype(np.uint8)
    with np.errstate(over="ignore"):
        points = np.array([columns[name].astype(np.float32) for name in "xyz"], np.float64)
    known = np.isfinite(points).all(axis=0) & (points[2] != 0)
    if known.any() and np.median(points[2][known]) < 0:  # x right, y up, z backward
        points[1:] *= -1
    valid = known & (points[2] > 0)
    depth_m = np.where(valid, points[2], 0).astype(np.float32)
    return _Cloud(rgb, depth_m, _pinhole(path, points, valid))


def _pinhole(path: Path, points: NDArray[np.float64], valid: NDArray[np.bool_]) -> Pinhole | None:
    """The camera by least squares from where each point is in the picture; None where too few tell it."""
    rows, columns = np.nonzero(valid)
    if not rows.size or np.ptp(rows) == 0 or np.ptp(columns) == 0:
        return None
    x, y, z = points[:, rows, columns]
    fx, cx, off_x_px = _line(x / z, columns)
    fy, cy, off_y_px = _line(y / z, rows)
    off_px = float(np.hypot(off_x_px, off_y_px))
    if not (min(fx, fy) > 0 and off_px <= MAX_OFF_PX):
        raise LeadlineError(
            f"{path}: no camera sees its points where they are in the grid (off by {off_px:.1f} pixels), wanted points "
            "in the camera's axes, x right, y down, z forward, and without lens distortion"
        )
    return fx, fy, cx, cy


def _line(tangents: NDArray[np.float64], pixels: NDArray[np.int64]) -> tuple[float, float, float]:
    """Focal length, centre and root mean square of what is left over, all in pixels."""
    mean_t, mean_px = tangents.mean(), pixels.mean()
    spread = tangents - mean_t
    total = float(spread @ spread)
    focal_px = float(spread @ (pixels - mean_px)) / total if total else 0.0
    centre_px = float(mean_px - focal_px * mean_t)
    return focal_px, centre_px, float(np.sqrt(np.mean((focal_px * tangents + centre_px - pixels) ** 2)))
