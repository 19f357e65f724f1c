"""DIODE (Vasiljevic et al., 2019), as train.tar.gz and val.tar.gz unpack.

From the makers' development kit: `NAME.png` is the picture, `NAME_depth.npy` metres, float32 (768, 1024, 1), and
`NAME_depth_mask.npy` 1 where the laser scanner gave a return. One computed camera made all pictures; its fx and fy
differ. The makers do not say whether depth is along the axis or along the ray; planes come out flat when it is
taken along the axis, which is how published readers take it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, require_size
from leadline.errors import LeadlineError
from leadline.io import read_npy

INTRINSICS_PX = (886.81, 927.06, 512.0, 384.0)
"""fx, fy, cx, cy of the 1024x768 pictures: intrinsics.txt of the makers' development kit."""

PARTS = {"train": "train", "val": "test"}
"""Folders, and what they count as: the makers' own test part has not been published."""


class DiodeDataset(FrameDataset):
    """All pictures, indoors and outdoor.

    Ids are paths without ".png", such as "val/indoors/scene_00019/scan_00183/00019_00183_indoors_000_010".

    Args:
        root: holds `train`, `val` or both.

    Raises:
        LeadlineError: if there is no picture.
    """

    def __init__(self, root: Path) -> None:
        """List the pictures; none is decoded yet."""
        super().__init__(root, _frames(root), "val/indoors/scene_00019/scan_00183/*.png and the like")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        mask_path = self.root / f"{frame.id}_depth_mask.npy"
        depth_m, mask = _read_map(self.root / frame.depth), _read_map(mask_path)
        require_size(mask_path, mask, depth_m.shape, "depth map")
        valid = (mask != 0) & np.isfinite(depth_m) & (depth_m > 0)
        return np.where(valid, depth_m, 0).astype(np.float32), valid

    def _intrinsics(self, frame: Frame) -> Pinhole:
        return INTRINSICS_PX


def _frames(root: Path) -> Iterator[Frame]:
    for part, split in PARTS.items():
        for path in sorted((root / part).glob("*/scene_*/scan_*/*.png")):
            name = path.relative_to(root).with_suffix("").as_posix()
            yield Frame(name, path.parts[-3], split, f"{name}.png", f"{name}_depth.npy")


def _read_map(path: Path) -> NDArray[Any]:
    """An array of one channel, as (H, W)."""
    values = read_npy(path)
    if values.dtype.kind not in "buif":
        raise LeadlineError(f"{path} must be one array of numbers: unpack DIODE's archive again")
    return values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
