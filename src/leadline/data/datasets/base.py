"""What the readers of makers' own layouts share: pictures listed at once, decoded one at a time."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.sample import UNKNOWN_INTRINSICS, GroundTruth, Sample, image_tensor
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource
from leadline.io import Picture, read_image, read_json

ASPECT_TOLERANCE = 0.01
"""How far the aspects of an image and its depth may differ: ScanNet's 640x480 beside 1296x968 do by 0.4 %."""

Pinhole = tuple[float, float, float, float]
"""fx, fy, cx, cy in pixels."""

Pose = NDArray[np.float64]
"""From the camera's axes (x right, y down, z forward) to the world's, (4, 4), in metres."""


class Frame(NamedTuple):
    """What is known of a picture without decoding it."""

    id: str
    scene: str  # "" where unknown
    official_split: str  # "train", "test"; "" where the makers give none
    rgb: str  # path below the data set's folder
    depth: str  # likewise
    time_s: float | None = None  # when it was taken, from any beginning; None where unknown


class FrameDataset(ABC):
    """A data set in its makers' layout; a class for each says how depth and camera are read.

    Attributes:
        any_resolution: whether depth may have another size than its picture.
        metres_per_unit: of the whole numbers that depth is stored in; None where it is stored in metres.
        up: the direction that is up in the world of `pose`; None where poses do not tell.
    """

    metres_per_unit: float | None = None

    any_resolution = False
    up: tuple[float, float, float] | None = None

    def __init__(self, root: Path, frames: Iterable[Frame], wanted: str) -> None:
        """List the pictures; none is decoded yet.

        Args:
            root: the folder that paths are below.
            frames: its pictures, in order.
            wanted: what should be in the folder, for the error.

        Raises:
            LeadlineError: if there is no picture.
        """
        self.root = root
        self._frames = list(frames)
        if not self._frames:
            raise LeadlineError(f"{root} holds no picture with depth: wanted {wanted}")

    @property
    def ids(self) -> list[str]:
        """The id of every picture, in order."""
        return [frame.id for frame in self._frames]

    @property
    def stems(self) -> list[str]:
        """What results of every picture are named after: as `stems_below_all`."""
        return stems_below_all([self._rgb_path(frame) for frame in self._frames])

    @property
    def scenes(self) -> list[str]:
        """The scene of every picture; "" where unknown."""
        return [frame.scene for frame in self._frames]

    @property
    def official_splits(self) -> list[str]:
        """The makers' split of every picture, "train" or "test"; "" where they give none."""
        return [frame.official_split for frame in self._frames]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its depth.

        Raises:
            IndexError: if there is no such picture.
            LeadlineError: if a file is missing or broken, or the two differ in size.
        """
        frame = self._frames[index]
        image = self._read_rgb(frame)
        truth = self.ground_truth(index)
        path, size = self.root / frame.depth, tuple(image.shape[-2:])
        if self.any_resolution:
            require_same_view(path, tuple(truth.depth_m.shape[-2:]), size)
        else:
            require_size(path, truth.depth_m[0].numpy(), size, "picture")
        return Sample(image, *truth, self._matrix(frame, *image.shape[-2:]), frame.id, frame.scene)

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one picture alone.

        Raises:
            IndexError: if there is no such picture.
            LeadlineError: if a file is missing or broken.
        """
        depth_m, valid = self._read_depth(self._frames[index])
        return GroundTruth(torch.from_numpy(depth_m)[None], torch.from_numpy(valid)[None])

    def time_s(self, index: int) -> float | None:
        """When a picture was taken, in seconds from any beginning; None where unknown."""
        return self._frames[index].time_s

    def pose(self, index: int) -> Pose | None:
        """Where the camera was: a 4×4 matrix from its axes (x right, y down, z forward) to the world's, in metres.

        None where unknown.
        """
        return None

    def up_of(self, index: int) -> tuple[float, float, float] | None:
        """The direction that is up in the world of a picture's pose; None where poses do not tell."""
        return self.up

    def picture_file(self, index: int) -> Path | None:
        """The file that is the picture as it is stored; None where the picture lies in a container."""
        path = self._rgb_path(self._frames[index])
        return path if path.is_file() else None

    def _rgb_path(self, frame: Frame) -> Path:
        return self.root / frame.rgb

    def _read_rgb(self, frame: Frame) -> Tensor:
        """RGB float32 in [0, 1], (3, H, W)."""
        path = self._rgb_path(frame)
        picture = read_image(path)
        if picture.turned_from is not None:  # hardly ever, so that the depth may be read twice
            refuse_turned(picture, path, self._read_depth(frame)[0].shape)
        return image_tensor(picture.rgb)

    def _matrix(self, frame: Frame, height: int, width: int) -> Tensor:
        """The camera of the picture that was read, whose size may be another than the camera's."""
        pinhole = self._intrinsics(frame)
        if pinhole is None:
            return UNKNOWN_INTRINSICS.clone()
        fx, fy, cx, cy = pinhole
        columns, rows = self._camera_size(frame) or (width, height)
        camera = Camera(fx=fx, fy=fy, cx=cx, cy=cy, width=columns, height=rows, source=CameraSource.DATA_SET)
        if not same_view((rows, columns), (height, width)):
            raise LeadlineError(
                f"{self.root}: the camera of {frame.id} is of {columns}×{rows} pixels, another aspect than its picture "
                f"of {width}×{height}: export the capture again"
            )
        if (columns, rows) != (width, height):
            camera = camera.resized(width, height)
        return torch.from_numpy((self._judged(camera, frame) if self.any_resolution else camera).matrix)

    def _judged(self, camera: Camera, frame: Frame) -> Camera:
        """The camera that a capture's files tell, which anybody may have changed, if there can be such a one."""
        try:
            return camera.plausible()
        except LeadlineError as error:
            raise LeadlineError(f"{self.root}: the camera of {frame.id} is not that of its picture: {error}") from error

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        """Width and height of the pictures that `_intrinsics` is for; None: of this one."""
        return None

    @abstractmethod
    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        """Metres, float32 (H, W), 0 where invalid; and which pixels are valid, bool (H, W)."""

    @abstractmethod
    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        """The camera of this picture as it is stored; None if the makers do not say."""


def stems_below_all(paths: Iterable[Path]) -> list[str]:
    """The path of every picture below the folder of all, without its ending: what `predict` names results after."""
    whole = [Path(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath([path.parent for path in whole])
    return [path.relative_to(common).with_suffix("").as_posix() for path in whole]


def same_view(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a map of one size can be the whole of one of the other: of one aspect, but for rounding.

    Args:
        size: height and width.
        other: likewise.
    """
    (height, width), (other_height, other_width) = size, other
    pairs = ((height, width * other_height / other_width), (width, height * other_width / other_height))
    return all(abs(side - wanted) <= max(0.5, ASPECT_TOLERANCE * side) for side, wanted in pairs)


def refuse_turned(picture: Picture, path: Path, depth_size: tuple[int, ...]) -> None:
    """Refuse a picture that EXIF's orientation has turned and its depth, it seems, has not.

    Args:
        picture: the picture.
        path: its file.
        depth_size: height and width of its depth.

    Raises:
        LeadlineError: if the depth has the shape that the picture had before.
    """
    if picture.turned_from is not None and same_view(depth_size, picture.turned_from):
        raise LeadlineError(
            f"{path} is turned by its EXIF block, and its depth says nothing of that: "
            "save the picture as its depth lies, without an orientation"
        )


def require_same_view(path: Path, depth_size: tuple[int, ...], image_size: tuple[int, ...]) -> None:
    """Refuse depth that cannot be of its image, at whatever resolution.

    Args:
        path: where the depth is from.
        depth_size: its height and width.
        image_size: those of the image.

    Raises:
        LeadlineError: if the two differ in aspect.
    """
    if not same_view(depth_size, image_size):
        wanted, got = "×".join(map(str, image_size)), "×".join(map(str, depth_size))
        raise LeadlineError(f"{path} must be {wanted} as its picture is, got {got}, another aspect")


def require_size(path: Path, values: NDArray[Any], size: tuple[int, ...], of: str) -> None:
    """Refuse a map of another size than it should have.

    Args:
        path: where the map is from.
        values: the map, (H, W).
        size: height and width that are wanted.
        of: whose they are, "picture" or "depth map".

    Raises:
        LeadlineError: if the two differ.
    """
    if values.shape != tuple(size):
        wanted, got = "×".join(map(str, size)), "×".join(map(str, values.shape))
        raise LeadlineError(f"{path} must be {wanted} as its {of} is, got {got}")


def read_numbers(path: Path, num: int) -> list[float]:
    """Read a text file that holds a few numbers, with blanks, line ends or commas between them.

    Args:
        path: the file.
        num: how many it must hold.

    Raises:
        LeadlineError: if the file is missing, no text, or holds anything else.
    """
    if not path.is_file():
        raise LeadlineError(f"{path} does not exist: unpack the makers' archive again")
    try:
        numbers = [float(word) for word in path.read_text(encoding="utf-8").replace(",", " ").split()]
    except (OSError, ValueError) as error:
        raise LeadlineError(
            f"{path} cannot be read as {num} numbers ({error}): unpack the makers' archive again"
        ) from error
    if len(numbers) != num:
        raise LeadlineError(f"{path} must hold {num} numbers, got {len(numbers)}: unpack the makers' archive again")
    return numbers


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds names and values.

    Raises:
        LeadlineError: if it is missing or holds something else.
    """
    try:
        tree = read_json(path)
    except OSError as error:
        raise LeadlineError(f"{path} is missing ({error.strerror}): export the capture again") from error
    if not isinstance(tree, dict):
        raise LeadlineError(f"{path} must hold names and values in braces: export the capture again")
    return tree


def number_of(path: Path, tree: Mapping[str, Any], *names: str) -> list[float]:
    """Some numbers of a JSON file by their names.

    Raises:
        LeadlineError: if one is missing or no number.
    """
    try:
        return [float(tree[name]) for name in names]
    except (KeyError, TypeError, ValueError) as error:
        raise LeadlineError(f"{path} lacks a number {', '.join(names)} ({error}): export the capture again") from error
