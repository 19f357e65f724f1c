"""A dense workspace of COLMAP, as its undistorter and `patch_match_stereo` leave it.

From COLMAP's documentation (format.html, FAQ; 3.13 of 2025): `images/NAME`, undistorted; `sparse` with cameras, images
and points as .bin or .txt; `stereo/depth_maps/NAME.geometric.bin` (or `.photometric.bin`, where geometric consistency
was left out), float32 along the optical axis, 0 = no depth. Depth and poses are in the reconstruction's own unit, which
is metres only if it was scaled to metres (`model_aligner`, or known poses): nothing in the files tells.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.errors import LeadlineError
from leadline.io import read_colmap_model

_DEPTH = FolderInfo(depth_scale=1.0)
_KINDS = ("geometric", "photometric")


class ColmapDataset(FrameDataset):
    """The images that have a dense map. Ids are their names without ending.

    Args:
        root: holds images, sparse and stereo; or `dense`, which does; or `dense/0`, as COLMAP's automatic
            reconstruction leaves it.

    Raises:
        LeadlineError: if there is no dense map, there are several models, or the model is broken.
    """

    any_resolution = True

    def __init__(self, root: Path) -> None:
        """Read the model; no picture is decoded yet."""
        folder = _workspace(root)
        self._views = read_colmap_model(folder)
        super().__init__(folder, _frames(folder, sorted(self._views)), "stereo/depth_maps/NAME.geometric.bin of COLMAP")

    def pose(self, index: int) -> Pose:
        """Where the camera was, in the reconstruction's unit; see `FrameDataset.pose`."""
        return self._views[_name(self._frames[index])].to_world

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        matrix = self._views[_name(frame)].camera.matrix
        return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        size = self._views[_name(frame)].camera.size
        return None if size is None else (size[1], size[0])


def _workspace(root: Path) -> Path:
    found = [path for path in (root, root / "dense", *sorted(root.glob("dense/*"))) if (path / "stereo").is_dir()]
    if len(found) > 1 and found[0].parent == root / "dense":
        several = ", ".join(path.name for path in found)
        raise LeadlineError(f"{root / 'dense'} holds the models {several}, each in axes of its own: name one of them")
    return found[0] if found else root


def _name(frame: Frame) -> str:
    return frame.rgb.removeprefix("images/")


def _frames(root: Path, names: list[str]) -> Iterator[Frame]:
    for name in names:
        depths = (f"stereo/depth_maps/{name}.{kind}.bin" for kind in _KINDS)
        depth = next((each for each in depths if (root / each).is_file()), None)
        if depth is not None and (root / "images" / name).exists():
            yield Frame(Path(name).with_suffix("").as_posix(), root.resolve().name, "", f"images/{name}", depth)
