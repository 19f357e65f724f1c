"""What the readers of makers' own layouts share: pictures listed at once, decoded one at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.sample import UNKNOWN_INTRINSICS, GroundTruth, Sample, image_tensor
from leadline.errors import LeadlineError
from leadline.io import read_image

Pinhole = tuple[float, float, float, float]
"""fx, fy, cx, cy in pixels."""


class Frame(NamedTuple):
    """What is known of a picture without decoding it."""

    id: str
    scene: str  # "" where unknown
    official_split: str  # "train", "test"; "" where the makers give none
    rgb: str  # path below the data set's folder
    depth: str  # likewise


class FrameDataset(ABC):
    """A data set in its makers' layout; a class for each says how depth and camera are read."""

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
        image = image_tensor(read_image(self._rgb_path(frame)).rgb)
        truth = self.ground_truth(index)
        require_size(self.root / frame.depth, truth.depth_m[0].numpy(), image.shape[-2:], "picture")
        return Sample(image, *truth, _matrix(self._intrinsics(frame)), frame.id, frame.scene)

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one picture alone.

        Raises:
            IndexError: if there is no such picture.
            LeadlineError: if a file is missing or broken.
        """
        depth_m, valid = self._read_depth(self._frames[index])
        return GroundTruth(torch.from_numpy(depth_m)[None], torch.from_numpy(valid)[None])

    def _rgb_path(self, frame: Frame) -> Path:
        return self.root / frame.rgb

    @abstractmethod
    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        """Metres, float32 (H, W), 0 where invalid; and which pixels are valid, bool (H, W)."""

    @abstractmethod
    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        """The camera of this picture as it is stored; None if the makers do not say."""


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


def _matrix(pinhole: Pinhole | None) -> Tensor:
    if pinhole is None:
        return UNKNOWN_INTRINSICS.clone()
    fx, fy, cx, cy = pinhole
    return torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
