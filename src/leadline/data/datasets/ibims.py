"""iBims-1 (Koch, Liebel, Fraundorfer, Körner, ECCV workshops 2018), as ibims1_core_raw.zip unpacks.

100 rooms for testing. `depth` holds 16-bit PNG, metres = value · 50 / 65535, 0 = no depth; `mask_invalid` and
`mask_transp` are 0 where depth is wrong or behind glass: as in the makers' evaluation, a pixel counts where both
are not 0 and it has depth. `calib` has fx, fy, cx, cy of each picture.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, read_numbers, require_size
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.io import decode_image

_DEPTH = FolderInfo(depth_scale=50 / 65535)
_MASKS = ("mask_invalid", "mask_transp")


class IbimsDataset(FrameDataset):
    """All pictures, for testing.

    Ids are the makers' names, such as "corridor_01". The scene is the kind of room ("corridor"), since the makers
    do not say which pictures are of one room.

    Args:
        root: `ibims1_core_raw`.

    Raises:
        LeadlineError: if there is no picture.
    """

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        super().__init__(root, _frames(root), "rgb, depth, mask_invalid, mask_transp and calib of ibims1_core_raw.zip")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        depth_m, valid = read_depth(self.root / frame.depth, _DEPTH)
        for name in _MASKS:
            path = self.root / name / f"{frame.id}.png"
            mask = np.asarray(decode_image(path))
            require_size(path, mask, depth_m.shape, "depth map")
            valid = valid & (mask != 0)
        return np.where(valid, depth_m, np.float32(0)), valid

    def _intrinsics(self, frame: Frame) -> Pinhole:
        fx, fy, cx, cy = read_numbers(self.root / "calib" / f"{frame.id}.txt", 4)
        return fx, fy, cx, cy


def _frames(root: Path) -> Iterator[Frame]:
    for path in sorted((root / "rgb").glob("*.png")):
        yield Frame(path.stem, path.stem.rpartition("_")[0], "test", f"rgb/{path.name}", f"depth/{path.name}")
