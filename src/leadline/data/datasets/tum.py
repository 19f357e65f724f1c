"""TUM RGB-D (Sturm, Engelhard, Endres, Burgard, Cremers, IROS 2012), as a sequence's .tgz unpacks.

From the makers' page on file formats: `rgb.txt` and `depth.txt` list times and files; depth is 16-bit PNG already
registered to the colour picture, metres = value / 5000, 0 = no depth. Colour and depth have times of their own and
are paired as the makers' associate.py does it. The head of `rgb.txt` names the recording that a sequence was cut from,
and with it the camera, whatever the folder is called.
"""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole
from leadline.data.datasets.folder import FolderInfo, read_depth
from leadline.errors import LeadlineError

_DEPTH = FolderInfo(depth_scale=1 / 5000)

INTRINSICS_PX = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
"""fx, fy, cx, cy of the 640x480 pictures: the makers' calibration of their colour cameras, lens distortion apart."""

MAX_APART_S = 0.02
"""Longest time between a picture and its depth: the default of the makers' associate.py."""


class Stamped(NamedTuple):
    """A line of rgb.txt or depth.txt."""

    time_s: float
    file: str


class TumDataset(FrameDataset):
    """The pictures of one sequence, or of all sequences in a folder, that have depth of nearly the same time.

    Ids are "SEQUENCE/TIME"; the scene is the sequence. The camera is known where the head of rgb.txt, or else the
    sequence's name, holds "freiburg1", "freiburg2" or "freiburg3".

    Args:
        root: a sequence (it holds rgb.txt), or a folder of sequences.

    Raises:
        LeadlineError: if there is no pair, or a list is missing or broken.
    """

    metres_per_unit = _DEPTH.depth_scale

    def __init__(self, root: Path) -> None:
        """Read the lists; no picture is decoded yet."""
        self._cameras = {folder.resolve().name: _camera(folder) for folder in _sequences(root)}
        super().__init__(root, _frames(root), "rgb.txt and depth.txt of TUM RGB-D with times that meet")

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        return read_depth(self.root / frame.depth, _DEPTH)

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        return self._cameras[frame.scene]


def associate(colours: list[Stamped], depths: list[Stamped]) -> list[tuple[Stamped, Stamped]]:
    """Pair entries of nearly the same time, the nearest first, each at most once.

    Args:
        colours: lines of rgb.txt.
        depths: lines of depth.txt.

    Returns:
        Pairs less than `MAX_APART_S` apart, in order of time.
    """
    depths = sorted(depths)
    times_s = np.array([depth.time_s for depth in depths])
    near = []
    for place, colour in enumerate(colours):
        first, last = np.searchsorted(times_s, [colour.time_s - MAX_APART_S, colour.time_s + MAX_APART_S])
        near += [(abs(depths[other].time_s - colour.time_s), place, other) for other in range(first, last)]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for apart_s, place, other in sorted(near):
        if apart_s < MAX_APART_S and place not in pairs and other not in taken:
            pairs[place] = other
            taken.add(other)
    return sorted((colours[place], depths[other]) for place, other in pairs.items())


def _sequences(root: Path) -> list[Path]:
    return [root] if (root / "rgb.txt").exists() else sorted(path.parent for path in root.glob("*/rgb.txt"))


def _camera(folder: Path) -> Pinhole | None:
    """The camera of a sequence by the head of its rgb.txt, else by the folder's name or that of a link to it."""
    with (folder / "rgb.txt").open(encoding="utf-8-sig", errors="replace") as file:
        head = "".join(takewhile(lambda line: line.startswith("#"), file))
    for name in (head, folder.name, folder.resolve().name):
        known = [pinhole for camera, pinhole in INTRINSICS_PX.items() if camera in name]
        if known:
            return known[0]
    return None


def _frames(root: Path) -> Iterator[Frame]:
    for folder in _sequences(root):
        name, below = folder.resolve().name, "" if folder == root else f"{folder.name}/"
        for colour, depth in associate(_read_list(folder / "rgb.txt"), _read_list(folder / "depth.txt")):
            stem = Path(colour.file).stem
            yield Frame(f"{name}/{stem}", name, "", below + colour.file, below + depth.file, colour.time_s)


def _read_list(path: Path) -> list[Stamped]:
    """The lines "TIME FILE" of a list; those that begin with # are comments."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LeadlineError(f"{path} cannot be read: unpack the sequence's .tgz again") from error
    stamped = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            time_s, file = line.split(maxsplit=1)
            stamped.append(Stamped(float(time_s), file.strip()))
        except ValueError as error:
            raise LeadlineError(f"{path}, line {number}: wanted a time and a file, got {line!r}") from error
    return stamped
