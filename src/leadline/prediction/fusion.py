"""One point cloud of several posed images, in the axes of their reconstruction."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leadline.geometry import Cloud, point_cloud
from leadline.io import write_ply
from leadline.prediction.result import Prediction

CELL_M = 0.01
"""Points nearer to each other than about this become one."""
FUSED = "fused.ply"


class FusedCloud:
    """Points of several images, thinned to one a cell."""

    def __init__(self, to_world: Callable[[Path], NDArray[np.float64]]) -> None:
        """Begin without points.

        Args:
            to_world: the pose of an image, which takes points of camera space to the world, (4, 4).
        """
        self._to_world = to_world
        self._points_m, self._rgb = np.empty((0, 3)), np.empty((0, 3), np.uint8)

    def add(self, path: Path, prediction: Prediction) -> None:
        """Add the points of an image that lie on a surface.

        Raises:
            LeadlineError: if the camera or the pose is unknown, or the camera is no pinhole.
        """
        cloud = point_cloud(prediction.rgb, prediction.depth_m, prediction.valid, prediction.pinhole)
        pose = self._to_world(path)
        points_m = cloud.points_m.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        points_m, rgb = np.concatenate([self._points_m, points_m]), np.concatenate([self._rgb, cloud.rgb])
        # The first point of a cell stays, so that adding an image costs no more than sorting what is there.
        _, first = np.unique(np.floor(points_m / CELL_M).astype(np.int64), axis=0, return_index=True)
        first.sort()
        self._points_m, self._rgb = points_m[first], rgb[first]

    def write(self, path: Path) -> None:
        """Write the points as PLY.

        Raises:
            LeadlineError: if there are none.
            OSError: if the file cannot be written; nothing of it stays.
        """
        write_ply(path, Cloud(self._points_m.astype(np.float32), self._rgb))
