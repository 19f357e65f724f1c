"""Several captures in a folder, read as one data set: each is a scene of its own."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from leadline.data.datasets.base import FrameDataset, Pose
from leadline.data.sample import GroundTruth, Sample
from leadline.errors import LeadlineError


class CapturesDataset:
    """The frames of all captures of a folder. Ids are "CAPTURE/…".

    Attributes:
        metres_per_unit: of the whole numbers that depth is stored in; None where captures differ or store metres.
    """

    def __init__(self, root: Path, captures: Sequence[FrameDataset]) -> None:
        """Join captures; no picture is decoded.

        Args:
            root: the folder that they lie in.
            captures: at least one.

        Raises:
            LeadlineError: if two have one name, as a file and the folder that was unpacked from it.
        """
        self._places = [(capture, index) for capture in captures for index in range(len(capture))]
        self.ids = [_joined_id(capture, index) for capture, index in self._places]
        self.scenes = [capture.scenes[index] for capture, index in self._places]
        self.official_splits = [capture.official_splits[index] for capture, index in self._places]
        units = {capture.metres_per_unit for capture in captures}
        self.metres_per_unit = units.pop() if len(units) == 1 else None
        name, times = Counter(self.ids).most_common(1)[0]
        if times > 1:
            raise LeadlineError(f"{root} holds {name.partition('/')[0]} {times} times: move all but one of them away")

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture and its depth."""
        capture, inner = self._places[index]
        return capture[inner]._replace(id=self.ids[index])

    def ground_truth(self, index: int) -> GroundTruth:
        """Decode the depth of one picture alone."""
        capture, inner = self._places[index]
        return capture.ground_truth(inner)

    def time_s(self, index: int) -> float | None:
        """When a picture was taken, from its capture's beginning or any other; None where unknown."""
        capture, inner = self._places[index]
        return capture.time_s(inner)

    def pose(self, index: int) -> Pose | None:
        """Where the camera was, in its capture's world; see `FrameDataset.pose`."""
        capture, inner = self._places[index]
        return capture.pose(inner)

    def up_of(self, index: int) -> tuple[float, float, float] | None:
        """Up in the world of a picture's pose; see `FrameDataset.up_of`."""
        capture, inner = self._places[index]
        return capture.up_of(inner)

    def picture_file(self, index: int) -> Path | None:
        """The file of a picture; see `FrameDataset.picture_file`."""
        capture, inner = self._places[index]
        return capture.picture_file(inner)


def _joined_id(capture: FrameDataset, index: int) -> str:
    """The id of a picture with the capture's name before it, which most layouts put there already."""
    name, scene = capture.ids[index], capture.scenes[index]
    return name if name.startswith(f"{scene}/") else f"{scene}/{name}"
