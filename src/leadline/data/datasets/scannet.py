"""ScanNet (Dai et al., CVPR 2017): a scene's `.sens` file, or what the reader of the authors exports from it.

From the authors' `SensReader` (ScanNet/ScanNet, commit 3830fce of 2025-11) and their answers in issues 2, 28 and 92:
colour of 1296×968 as JPEG and depth of 640×480 in `depth_shift` steps a metre (1000), zlib, 0 = no depth, already
aligned to the colour, so that one is resized to the other and no extrinsics are applied; camera to world as 4×4, x
right, y down, z forward, the world's z up, -inf where tracking was lost. An export has `color/0.jpg`, `depth/0.png`,
`pose/0.txt` and `intrinsic/intrinsic_color.txt`; the 25k frames of the benchmark have `color/000000.jpg` and
`intrinsics_color.txt`. The two aspects differ by 0.4 %. The exporter can make colour smaller (`image_size`) and
leaves its intrinsics as they are.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, read_numbers
from leadline.data.datasets.captures import CapturesDataset
from leadline.data.datasets.folder import MILLIMETRES, FolderInfo, read_depth
from leadline.data.datasets.poses import pose_of_matrix
from leadline.data.sample import image_tensor
from leadline.errors import LeadlineError
from leadline.io import natural_order, read_image_bytes

UP = (0.0, 0.0, 1.0)
COLOUR_SIZE = (1296, 968)
"""Width and height of the sensor's pictures, for which its intrinsics are."""
_OFF_MIDDLE = 0.1
_DEPTH = FolderInfo(depth_scale=MILLIMETRES)
_CAMERAS = ("intrinsic/intrinsic_color.txt", "intrinsics_color.txt", "intrinsic_color.txt")
_VERSION, _JPEG, _ZLIB = 4, 2, 1


def open_scannet(path: Path) -> FrameDataset | CapturesDataset:
    """Open a .sens file, a folder of them or of scenes that each hold one, or an exported scene or several."""
    if path.is_file():
        return SensDataset(path)
    files = sorted({*path.glob("*.sens"), *path.glob("*/*.sens")}, key=natural_order)
    if not files or (path / "color").is_dir() or any(path.glob("*/color")):
        return ScanNetDataset(path)
    scenes = [SensDataset(file) for file in files]
    return scenes[0] if len(scenes) == 1 else CapturesDataset(path, scenes)


class ScanNetDataset(FrameDataset):
    """The frames of one exported scene, or of all in a folder. Ids are "SCENE/NUMBER".

    Args:
        root: a scene (it holds color, depth, pose), or a folder of scenes.

    Raises:
        LeadlineError: if there is no frame.
    """

    any_resolution = True
    metres_per_unit = MILLIMETRES
    up = UP

    def __init__(self, root: Path) -> None:
        """List the frames; no picture is decoded yet."""
        super().__init__(root, _exported(root), "color/0.jpg, depth/0.png and pose/0.txt of ScanNet")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        rgb = self.root / self._frames[index].rgb
        path = rgb.parents[1] / "pose" / f"{rgb.stem}.txt"
        return pose_of_matrix(read_numbers(path, 16)) if path.is_file() else None

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        scene = (self.root / frame.rgb).parents[1]
        path = next((scene / name for name in _CAMERAS if (scene / name).is_file()), None)
        return None if path is None else _pinhole(read_numbers(path, 16))

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        """That of the sensor where the axis is in its middle: the authors' exporter resizes colour, not the camera."""
        pinhole = self._intrinsics(frame)
        if pinhole is None:
            return None
        off_px = np.abs(np.array(pinhole[2:]) - np.array(COLOUR_SIZE) / 2)
        return COLOUR_SIZE if (off_px < _OFF_MIDDLE * np.array(COLOUR_SIZE)).all() else None


def _exported(root: Path) -> Iterator[Frame]:
    folders = [root] if (root / "color").is_dir() else sorted(path.parent for path in root.glob("*/color"))
    for folder in folders:
        scene, below = folder.resolve().name, folder.relative_to(root)
        colours = (path for path in (folder / "color").iterdir() if path.suffix in (".jpg", ".png"))
        for path in sorted(colours, key=natural_order):
            depth = f"depth/{path.stem}.png"
            if (folder / depth).exists():
                rgb = (below / "color" / path.name).as_posix()
                yield Frame(f"{scene}/{path.stem}", scene, "", rgb, (below / depth).as_posix())


class SensDataset(FrameDataset):
    """The frames of one `.sens` file. Ids are "SCENE/NUMBER".

    Args:
        root: the file.

    Raises:
        LeadlineError: if the file is cut short, of another version, or packed in another way.
    """

    any_resolution = True
    up = UP

    def __init__(self, root: Path) -> None:
        """Find where each frame lies; none is decoded yet."""
        try:
            with root.open("rb") as file:
                self._head = _read_head(file, root)
                self._places = [_read_place(file) for _ in range(self._head.num_frames)]
        except (OSError, struct.error, UnicodeDecodeError) as error:
            raise LeadlineError(f"{root} is no whole .sens file ({error}): download it again") from error
        frames = (
            Frame(f"{root.stem}/{number}", root.stem, "", root.name, root.name, place.time_s)
            for number, place in enumerate(self._places)
        )
        self.metres_per_unit = 1 / self._head.steps_per_metre
        super().__init__(root, frames, "frames of ScanNet")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        return pose_of_matrix(self._places[index].pose)

    def picture_file(self, index: int) -> None:
        """None: pictures lie in the file."""
        return None

    def _read_rgb(self, frame: Frame) -> Tensor:
        place = self._place(frame)
        return image_tensor(
            read_image_bytes(self._bytes(place.start, place.colour_bytes), f"{self.root}, frame {frame.id}").rgb
        )

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        place, (width, height) = self._place(frame), self._head.depth_size
        try:
            data = zlib.decompress(self._bytes(place.start + place.colour_bytes, place.depth_bytes))
            values = np.frombuffer(data, "<u2").reshape(height, width)
        except (zlib.error, ValueError) as error:
            raise LeadlineError(f"{self.root}: depth of {frame.id} is broken ({error}): download it again") from error
        return values.astype(np.float32) / np.float32(self._head.steps_per_metre), values > 0

    def _intrinsics(self, frame: Frame) -> Pinhole:
        return _pinhole(list(self._head.intrinsics))

    def _camera_size(self, frame: Frame) -> tuple[int, int]:
        return self._head.colour_size

    def _place(self, frame: Frame) -> "_Place":
        return self._places[int(frame.id.rpartition("/")[2])]

    def _bytes(self, start: int, num: int) -> bytes:
        with self.root.open("rb") as file:
            file.seek(start)
            return file.read(num)


class _Head(NamedTuple):
    """What a .sens file says of all its frames; sizes are (width, height)."""

    intrinsics: tuple[float, ...]
    colour_size: tuple[int, int]
    depth_size: tuple[int, int]
    steps_per_metre: float
    num_frames: int


class _Place(NamedTuple):
    """Where a frame lies in a .sens file."""

    pose: tuple[float, ...]
    time_s: float
    start: int
    colour_bytes: int
    depth_bytes: int


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _read_head(file: BinaryIO, path: Path) -> _Head:
    version, length = _unpack(file, "<IQ")
    if version != _VERSION:
        raise LeadlineError(f"{path} is of version {version}, wanted a .sens file of version {_VERSION}")
    file.seek(length, 1)  # the sensor's name
    matrices = _unpack(file, "<64f")  # intrinsics and extrinsics of colour, then of depth
    colour, depth, *sizes, steps, num_frames = _unpack(file, "<ii4IfQ")
    if not 0 < steps < np.inf:
        raise LeadlineError(f"{path} tells {steps:g} steps of depth a metre, wanted a positive number")
    if (colour, depth) != (_JPEG, _ZLIB):
        raise LeadlineError(f"{path} packs colour and depth as {colour} and {depth}, wanted JPEG (2) and zlib (1)")
    return _Head(matrices[:16], (sizes[0], sizes[1]), (sizes[2], sizes[3]), steps, num_frames)


def _read_place(file: BinaryIO) -> _Place:
    *pose, time_us, _, colour_bytes, depth_bytes = _unpack(file, "<16f4Q")
    start = file.tell()
    file.seek(colour_bytes + depth_bytes, 1)
    return _Place(tuple(pose), time_us / 1e6, start, colour_bytes, depth_bytes)


def _pinhole(matrix: list[float]) -> Pinhole:
    """fx, fy, cx, cy of a 4×4 matrix, row by row."""
    return matrix[0], matrix[5], matrix[2], matrix[6]
