"""Poses of cameras in other programs' axes, and which way is up in a picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from leadline.data.datasets.base import Pose

_LOOKS_ALONG_MINUS_Z = np.diag([1.0, -1.0, -1.0, 1.0])
_TOWARDS = np.array(
    [[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
)  # up, right, down and left in (x, y) of a picture


def pose_of_matrix(matrix: ArrayLike) -> Pose | None:
    """A pose from 12 or 16 numbers, row by row, of a camera with x right, y down, z forward; None if they are none."""
    rows = np.asarray(matrix, dtype=np.float64).reshape(-1, 4)
    pose = np.vstack([rows[:3], [0, 0, 0, 1]])
    return pose if np.isfinite(pose).all() and np.linalg.det(pose[:3, :3]) > 0.5 else None


def pose_of_opengl(matrix: ArrayLike) -> Pose | None:
    """The same of a camera with x right, y up, z backward, as ARKit, OpenGL and nerfstudio have it."""
    pose = pose_of_matrix(matrix)
    return None if pose is None else pose @ _LOOKS_ALONG_MINUS_Z


def pose_of_quaternion(xyzw: Sequence[float], position_m: Sequence[float]) -> Pose | None:
    """A pose from a rotation as quaternion (its real part last) and a position, of the camera to the world.

    None where they are none: zeros or NaN stand for tracking that was lost.
    """
    if not (np.isfinite([*xyzw, *position_m]).all() and np.any(xyzw)):
        return None
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(xyzw).as_matrix()
    pose[:3, 3] = position_m
    return pose


def turns_upright(pose: Pose, up: Sequence[float]) -> int:
    """Quarter turns counter-clockwise that bring a picture upright, 0 to 3; 0 where it looks straight up or down.

    Args:
        pose: of the camera that took it.
        up: which way is up in the world.
    """
    across, down = (pose[:3, :3].T @ np.asarray(up, dtype=np.float64))[:2]
    if np.hypot(across, down) < 0.2:  # within 12 degrees of straight up or down
        return 0
    return int(np.argmax(_TOWARDS @ [across, down]))


def turned_pose(pose: Pose, turns: int) -> Pose:
    """The pose of a picture after quarter turns counter-clockwise."""
    turned = pose.copy()
    turned[:3, :3] = pose[:3, :3] @ Rotation.from_euler("z", 90 * turns, degrees=True).as_matrix()
    return turned
