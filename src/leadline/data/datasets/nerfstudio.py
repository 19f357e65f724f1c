"""nerfstudio's `transforms.json` with depth, as `ns-process-data` and others write it.

From nerfstudio's page on data conventions and its `get_depth_image_from_path` (commit 50e0e3c of 2025-07): each of
`frames` has `file_path`, `depth_file_path` (16- or 32-bit images or .npy, in millimetres whatever the type of number,
0 = unknown, along the optical axis, of any size) and `transform_matrix`, camera to world with x right, y up, z
backward; `fl_x`, `fl_y`, `cx`, `cy`, `w`, `h` stand in the frame or at the top. The page speaks of pixel centres, but
the code counts from the outer corner, so that half a pixel is taken off cx and cy. Distortion is not read. Poses and
depth of a COLMAP reconstruction have its unit, which is metres only if it was scaled. instant-ngp's
`integer_depth_scale`, where it is there, is metres a step.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, number_of, read_object
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.data.datasets.poses import pose_of_opengl
from leadline.errors import LeadlineError
from leadline.io import IMAGE_SUFFIXES

FILE = "transforms.json"
MILLIMETRES = 0.001


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
        self._info = FolderInfo(depth_scale=scale)
        self._by_id: dict[str, dict[str, Any]] = {}
        super().__init__(root, self._list(root), "transforms.json whose frames have a depth_file_path")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        matrix = self._by_id[self._frames[index].id].get("transform_matrix")
        return None if matrix is None else pose_of_opengl(matrix)

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, self._info)

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        values = {**self._tree, **self._by_id[frame.id]}
        if not {"fl_x", "cx", "cy"} <= set(values):
            return None
        fx, fy, cx, cy = number_of(self.root / FILE, {"fl_y": values["fl_x"], **values}, "fl_x", "fl_y", "cx", "cy")
        return fx, fy, cx - 0.5, cy - 0.5

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        values = {**self._tree, **self._by_id[frame.id]}
        if not {"w", "h"} <= set(values):
            return None
        width, height = number_of(self.root / FILE, values, "w", "h")
        return int(width), int(height)

    def _list(self, root: Path) -> Iterator[Frame]:
        frames = self._tree.get("frames")
        if not isinstance(frames, list):
            raise LeadlineError(f"{root / FILE} has no list of frames: write it again")
        for entry in frames:
            rgb, depth = entry.get("file_path"), entry.get("depth_file_path") or entry.get("depth_path")
            if rgb and depth:
                rgb = _with_ending(root, Path(rgb)).as_posix()
                name = Path(rgb).with_suffix("").as_posix()
                self._by_id[name] = entry
                yield Frame(name, root.resolve().name, "", rgb, Path(depth).as_posix())


def _with_ending(root: Path, path: Path) -> Path:
    """NeRF's own files leave the ending out."""
    if (root / path).is_file():
        return path
    found = (path.with_name(path.name + ending) for ending in IMAGE_SUFFIXES)
    return next((each for each in found if (root / each).is_file()), path)
