"""Hypersim (Roberts et al., ICCV 2021), as the archives of its scenes unpack.

From the authors' readme and `contrib/mikeroberts3000` (apple/ml-hypersim, commit c85b287 of 2026-01):
`images/scene_cam_00_final_preview/frame.0000.tonemap.jpg`, 1024×768, and
`images/scene_cam_00_geometry_hdf5/frame.0000.depth_meters.hdf5`, float16, which holds distances from the camera along
each pixel's ray, NaN for none; they become depths along the optical axis here. Most scenes have a field of view of 60°,
but 207 of the 482 were rendered with a lens tilted by more than 1 %: `metadata_camera_parameters.csv`, which the
repository has and the archives have not, tells them where it lies in the folder that is opened. A tilted lens is a
pinhole whose axis is another, and is read as that, without the skew that 31 scenes have. The pictures were tone-mapped
for viewing.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole
from leadline.data.datasets.folder import read_stored
from leadline.errors import LeadlineError
from leadline.geometry import Camera, depth_along_axis

HEIGHT, WIDTH = 768, 1024
CAMERAS = "metadata_camera_parameters.csv"
_STANDARD = np.array([[0.5773502886, 0, 0], [0, 0.4330127165, 0], [0, 0, -1.0]])
"""Rays of pictures with a field of view of 60°: what takes (u, v, 1), -1 to 1 right and up, into camera space."""


class HypersimDataset(FrameDataset):
    """The pictures of one scene, or of all scenes in a folder. Ids are "SCENE/cam_00/frame.0000".

    Args:
        root: a scene (ai_001_001), or a folder of scenes.

    Raises:
        LeadlineError: if there is no picture, or the table of cameras is broken.
    """

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        self._cameras = _read_cameras(root / CAMERAS) if (root / CAMERAS).is_file() else {}
        super().__init__(root, _frames(root), "ai_001_001/images/scene_cam_00_geometry_hdf5/*.depth_meters.hdf5")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        distance_m = read_stored(self.root / frame.depth).astype(np.float32)
        valid = np.isfinite(distance_m) & (distance_m > 0)
        fx, fy, cx, cy = self._intrinsics(frame)
        camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=WIDTH, height=HEIGHT)
        return depth_along_axis(np.where(valid, distance_m, np.float32(0)), camera), valid

    def _intrinsics(self, frame: Frame) -> Pinhole:
        return pinhole_of_rays(self._cameras.get(frame.scene, _STANDARD))

    def _camera_size(self, frame: Frame) -> tuple[int, int]:
        return WIDTH, HEIGHT


def pinhole_of_rays(rays: NDArray[np.float64]) -> Pinhole:
    """The pinhole camera, its axis square to its image, whose rays a matrix gives; see `_STANDARD`."""
    to_uv = np.array([[2 / WIDTH, 0, 1 / WIDTH - 1], [0, -2 / HEIGHT, 1 - 1 / HEIGHT], [0, 0, 1]])  # of pixel centres
    matrix, _ = scipy.linalg.rq(np.linalg.inv(rays @ to_uv))
    matrix = matrix / matrix[2, 2]
    return abs(float(matrix[0, 0])), abs(float(matrix[1, 1])), float(matrix[0, 2]), float(matrix[1, 2])


def _frames(root: Path) -> Iterator[Frame]:
    for scene in [root] if (root / "images").is_dir() else sorted(path.parent for path in root.glob("ai_*/images")):
        below = scene.relative_to(root)
        for depth in sorted(scene.glob("images/scene_cam_*_geometry_hdf5/frame.*.depth_meters.hdf5")):
            camera = depth.parent.name.removesuffix("_geometry_hdf5")
            name = depth.name.removesuffix(".depth_meters.hdf5")
            rgb = f"images/{camera}_final_preview/{name}.tonemap.jpg"
            if (scene / rgb).exists():
                scene_name = scene.resolve().name
                number = camera.removeprefix("scene_")
                rgb, depth_name = (below / rgb).as_posix(), (below / depth.relative_to(scene)).as_posix()
                yield Frame(f"{scene_name}/{number}/{name}", scene_name, "", rgb, depth_name)


def _read_cameras(path: Path) -> dict[str, NDArray[np.float64]]:
    """The matrix of rays of each scene."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {
                row["scene_name"]: np.array(
                    [[float(row[f"M_cam_from_uv_{line}{column}"]) for column in range(3)] for line in range(3)]
                )
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LeadlineError(f"{path} is no table of Hypersim's cameras ({error}): copy it again") from error
