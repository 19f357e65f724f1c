"""7-Scenes (Shotton et al., CVPR 2013), as a scene's archive and the archives of its sequences unpack.

From the makers' page: `frame-000000.color.png` and on, and `frame-000000.depth.png` in 16-bit millimetres with 65535
for "none". The makers have not calibrated the two cameras, nor registered depth to colour: a pixel of the one does not
show what the same pixel of the other does, by some tens of pixels towards the edges. The camera of the pictures is
therefore unknown here; `DEPTH_INTRINSICS_PX` is that of the depth.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.errors import LeadlineError

_DEPTH = FolderInfo(depth_scale=0.001, depth_invalid=65535)  # 0 is no depth either

DEPTH_INTRINSICS_PX = (585.0, 585.0, 320.0, 240.0)
"""fx, fy, cx, cy of the 640x480 depth maps: the default that the makers' own reconstruction used."""

_SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}


class SevenScenesDataset(FrameDataset):
    """All frames of one scene, or of all scenes in a folder; depth is not registered to colour.

    Ids are "SCENE/seq-01/frame-000000".

    Args:
        root: a scene (it holds seq-01, ..., TrainSplit.txt and TestSplit.txt), or a folder of scenes.

    Raises:
        LeadlineError: if there is no frame, or a scene's split is missing or broken.
    """

    metres_per_unit = _DEPTH.depth_scale

    def __init__(self, root: Path) -> None:
        """List the frames; none is decoded yet."""
        super().__init__(root, _frames(root), "chess/seq-01/frame-000000.color.png and the like: unpack seq-*.zip too")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> None:
        return None


def _frames(root: Path) -> Iterator[Frame]:
    is_scene = any((root / name).exists() for name in _SPLITS.values())
    for folder in [root] if is_scene else sorted({path.parent for path in root.glob("*/*Split.txt")}):
        scene, split_of = folder.resolve().name, _read_splits(folder)
        for path in sorted(folder.glob("seq-*/frame-*.color.png")):
            sequence, name = path.parent.name, path.name.removesuffix(".color.png")
            below = path.parent.relative_to(root).as_posix()
            yield Frame(
                f"{scene}/{sequence}/{name}",
                scene,
                split_of.get(sequence, ""),
                f"{below}/{path.name}",
                f"{below}/{name}.depth.png",
            )


def _read_splits(folder: Path) -> dict[str, str]:
    """The part of each sequence, from lines such as "sequence1" for seq-01."""
    split_of: dict[str, str] = {}
    for part, file in _SPLITS.items():
        path = folder / file
        try:
            lines = path.read_text(encoding="utf-8").split()
            split_of |= {f"seq-{int(line.removeprefix('sequence')):02d}": part for line in lines}
        except (OSError, ValueError) as error:
            raise LeadlineError(
                f"{path} is no list of lines like sequence1: unpack the scene's archive again"
            ) from error
    return split_of
