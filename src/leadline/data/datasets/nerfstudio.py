"""nerfstudio's `transforms.json` with depth, as `ns-process-data` and others write it.

From nerfstudio's page on data conventions and its `get_depth_image_from_path` (commit 50e0e3c of 2025-07): each of
`frames` has `file_path`, `depth_file_path` (16- or 32-bit images or .npy, in millimetres whatever the type of number, 0
= unknown, along the optical axis, of any size) and `transform_matrix`, camera to world with x right, y up, z backward;
`fl_x`, `fl_y`, `cx`, `cy`, `w`, `h` stand in the frame or at the top. The page speaks of pixel centres, but the code
counts from the outer corner, so that half a pixel is taken off cx and cy. Distortion is not read; fisheyes and
panoramas are refused. Where there is no focal length, `camera_angle_x`, the angle of view in radians, tells it (NeRF,
instant-ngp); where there is no size, it is the picture's, and where there is no centre, the axis is in the middle.
Poses and depth of a COLMAP reconstruction have its unit, which is metres only if it was scaled. instant-ngp's
`integer_depth_scale`, where it is there, is metres a step.
"""

from collections.abc import Iterator, Mapping
from math import inf, pi, tan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, number_of, read_object
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.data.datasets.poses import pose_of_opengl
from leadline.errors import LeadlineError
from leadline.io import IMAGE_SUFFIXES, upright_size

FILE = "transforms.json"
MILLIMETRES = 0.001
PINHOLES = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL", "FULL_OPENCV", "PERSPECTIVE")
"""Camera models that are a pinhole but for lens distortion."""


class NerfstudioDataset(FrameDataset):
    """The frames that have depth. Ids are their `file_path` without its ending.

    Args:
        root: holds transforms.json.

    Raises:
        LeadlineError: if there is no frame with depth, or the file is broken.
    """

    any_resolution = True
    up = (0.0, 0.0, 1.0)

    def __init__(self, root: Path) -> None:
        """Read transforms.json; no picture is decoded yet."""
        self._tree = read_object(root / FILE)
        scale = number_of(root / FILE, {"integer_depth_scale": MILLIMETRES, **self._tree}, "integer_depth_scale")[0]
        if not 0 < scale < inf:
            raise LeadlineError(
                f"{root / FILE}: integer_depth_scale is metres a step and positive, got {scale:g}: write it again"
            )
        self._info = FolderInfo(depth_scale=scale)
        self._by_id: dict[str, dict[str, Any]] = {}
        super().__init__(root, self._list(root), "transforms.json whose frames have a depth_file_path")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        matrix, name = self._by_id[self._frames[index].id].get("transform_matrix"), self._frames[index].id
        try:
            if matrix is not None and np.shape(matrix) not in ((3, 4), (4, 4)):
                raise ValueError(f"its shape is {np.shape(matrix)}")
            return None if matrix is None else pose_of_opengl(matrix)
        except (ValueError, TypeError) as error:
            raise LeadlineError(
                f"{self.root / FILE}: transform_matrix of {name} is no 4×4 numbers ({error}): write it again"
            ) from error

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, self._info)

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        values = self._values(frame)
        if not {"fl_x", "camera_angle_x"} & set(values):
            return None
        width, height = number_of(self.root / FILE, values, "w", "h")
        if "fl_x" not in values:
            (angle,) = number_of(self.root / FILE, values, "camera_angle_x")
            if not 0 < angle < pi:
                raise LeadlineError(
                    f"{self.root / FILE}: camera_angle_x is an angle of view in radians, from 0 to {pi:.2f}, got "
                    f"{angle:g}: write it again"
                )
            values = {**values, "fl_x": width / 2 / tan(angle / 2)}
        values = {"fl_y": values["fl_x"], "cx": width / 2, "cy": height / 2, **values}
        fx, fy, cx, cy = number_of(self.root / FILE, values, "fl_x", "fl_y", "cx", "cy")
        return fx, fy, cx - 0.5, cy - 0.5

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        width, height = number_of(self.root / FILE, self._values(frame), "w", "h")
        return int(width), int(height)

    def _values(self, frame: Frame) -> dict[str, Any]:
        """What the frame or the top says; the size is the picture's own where neither does, as in NeRF's files."""
        values = {**self._tree, **self._by_id[frame.id]}
        if not {"w", "h"} <= set(values):
            values["w"], values["h"] = upright_size(self._rgb_path(frame))
        return values

    def _list(self, root: Path) -> Iterator[Frame]:
        frames = self._tree.get("frames")
        if not isinstance(frames, list):
            raise LeadlineError(f"{root / FILE} has no list of frames: write it again")
        for entry in frames:
            if not isinstance(entry, dict):
                raise LeadlineError(
                    f"{root / FILE}: a frame has names and values in braces, got {entry!r}: write it again"
                )
            rgb, depth = entry.get("file_path"), entry.get("depth_file_path") or entry.get("depth_path")
            if rgb and depth:
                rgb = _with_ending(root, Path(rgb)).as_posix()
                name = Path(rgb).with_suffix("").as_posix()
                self._by_id[name] = entry
                _require_pinhole(root / FILE, name, {**self._tree, **entry})
                yield Frame(name, root.resolve().name, "", rgb, Path(depth).as_posix())


def _require_pinhole(path: Path, name: str, values: Mapping[str, Any]) -> None:
    """Refuse pictures that no pinhole has taken, whose numbers would be read as one's."""
    model = "fisheye" if values.get("is_fisheye") else values.get("camera_model", "OPENCV")
    if model not in PINHOLES:
        raise LeadlineError(
            f"{path}: {name} is of the camera model {model}, wanted one of {', '.join(PINHOLES)}: undistort the "
            "pictures and their depth first"
        )


def _with_ending(root: Path, path: Path) -> Path:
    """NeRF's own files leave the ending out."""
    if (root / path).is_file():
        return path
    found = (path.with_name(path.name + ending) for ending in IMAGE_SUFFIXES)
    return next((each for each in found if (root / each).is_file()), path)
