"""Record3D, an app for iPhones: a .r3d file, the same unpacked, or the export "EXR + RGB".

From the author's answers in his repository's issues (7, 27, 36, 67, 93; 2020 to 2024) and a capture of the app that is
public: .r3d is a ZIP of `metadata` (JSON), `rgbd/N.jpg`, `rgbd/N.depth` (metres, float32 row by row, LZFSE) and, of
LiDAR, `rgbd/N.conf` (0 to 2, uint8, LZFSE). The export has `EXR_RGBD/rgb/N.jpg`, `EXR_RGBD/depth/N.exr` and
`EXR_RGBD/metadata.json`; its depth is said to be float32 and is float16, in a single channel named R. `K` lists its
columns, `perFrameIntrinsicCoeffs`, where it is there, gives fx, fy, cx, cy of each picture; both are for pictures of
`w`×`h`. `poses` are quaternion (real part last) and position, camera to world, axes as OpenGL's, of the pictures as
they are stored: the public capture is consistent so, to 1.5 % of depth, and in none of seven other ways. The world's
axes are those of the first picture in old versions, so that up is not known; pictures are stored upright. Frames may
be missing: a frame's number is its place in `poses`.
"""

import json
import re
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.datasets.arkit import keep_sure, read_lidar
from leadline.data.datasets.base import Frame, FrameDataset, Pinhole, Pose, require_size
from leadline.data.datasets.poses import pose_of_opengl, pose_of_quaternion
from leadline.data.sample import image_tensor
from leadline.errors import LeadlineError
from leadline.io import read_image_bytes

_EXPORT = "EXR_RGBD"
_REMEDY = "export the capture again"


class Record3dDataset(FrameDataset):
    """The frames of one capture. Ids are "CAPTURE/NUMBER".

    Args:
        root: a .r3d file, the folder that it unpacks to, or the folder of an export.

    Raises:
        LeadlineError: if there is no frame, or the metadata are missing or broken.
    """

    any_resolution = True

    def __init__(self, root: Path) -> None:
        """Read the metadata; no picture is decoded yet."""
        self._zip = root if root.is_file() else None
        folder = root / _EXPORT if (root / _EXPORT).is_dir() else root
        is_export = (folder / "metadata.json").is_file() and not (folder / "rgbd").is_dir()
        self._pattern = r"depth/(\d+)\.exr" if is_export else r"rgbd/(\d+)\.depth"
        self.root = folder
        self._metadata = self._read_metadata("metadata.json" if is_export else "metadata")
        super().__init__(folder, self._list(root.stem if root.is_file() else root.resolve().name), "rgbd or EXR_RGBD")

    def pose(self, index: int) -> Pose | None:
        """Where the camera was; see `FrameDataset.pose`."""
        poses, number = self._metadata.get("poses") or [], _number(self._frames[index])
        if number >= len(poses) or len(poses[number]) != 7:
            return None
        pose = pose_of_quaternion(poses[number][:4], poses[number][4:])
        return None if pose is None else pose_of_opengl(pose)

    def picture_file(self, index: int) -> Path | None:
        """The file of a picture; None in a .r3d file."""
        return None if self._zip else super().picture_file(index)

    def _read_rgb(self, frame: Frame) -> Tensor:
        if self._zip is None:
            return super()._read_rgb(frame)
        return image_tensor(read_image_bytes(self._read(frame.rgb), f"{self.root}, {frame.rgb}").rgb)

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        if frame.depth.endswith(".exr"):
            return read_lidar(self.root / frame.depth, None)
        depth_m = self._unpack(frame.depth, np.dtype("<f4"))
        valid = np.isfinite(depth_m) & (depth_m > 0)
        depth_m = np.where(valid, depth_m, np.float32(0))
        confidence = frame.depth.replace(".depth", ".conf")
        if confidence not in self._names:
            return depth_m, valid
        levels = self._unpack(confidence, np.dtype(np.uint8))
        require_size(self.root / confidence, levels, depth_m.shape, "depth map")
        return keep_sure(depth_m, valid, levels)

    def _intrinsics(self, frame: Frame) -> Pinhole:
        each, number = self._metadata.get("perFrameIntrinsicCoeffs") or [], _number(frame)
        fx, fy, cx, cy = (
            each[number][:4] if number < len(each) else (self._metadata["K"][place] for place in (0, 4, 6, 7))
        )
        return fx, fy, cx, cy

    def _camera_size(self, frame: Frame) -> tuple[int, int]:
        return self._metadata["w"], self._metadata["h"]

    def _list(self, capture: str) -> Iterator[Frame]:
        times_s, rate = self._metadata.get("frameTimestamps") or [], self._metadata.get("fps", 0)
        found = [match for match in (re.fullmatch(self._pattern, name) for name in self._names) if match]
        for number, depth in sorted((int(match[1]), match[0]) for match in found):
            rgb = depth.replace("depth/", "rgb/").replace(".exr", ".jpg").replace(".depth", ".jpg")
            time_s = times_s[number] if number < len(times_s) else (number / rate if rate else None)
            if rgb in self._names:
                yield Frame(f"{capture}/{number}", capture, "", rgb, depth, time_s)

    def _read_metadata(self, name: str) -> dict[str, Any]:
        try:
            if self._zip:
                with ZipFile(self._zip) as file:
                    self._names = set(file.namelist())
            else:
                self._names = {path.relative_to(self.root).as_posix() for path in self.root.glob("*/*")}
            metadata = json.loads(self._read(name))
            if not {"w", "h", "K"} <= set(metadata) or len(metadata["K"]) != 9:
                raise ValueError("w, h and the nine numbers of K are wanted")
            return dict(metadata)
        except (OSError, BadZipFile, ValueError, TypeError) as error:
            raise LeadlineError(f"{self.root}: {name} is missing or broken ({error}): {_REMEDY}") from error

    def _read(self, name: str) -> bytes:
        if self._zip is None:
            return (self.root / name).read_bytes()
        try:
            with ZipFile(self._zip) as file:
                return file.read(name)
        except KeyError as error:
            raise LeadlineError(f"{self._zip} holds no {name}: {_REMEDY}") from error

    def _unpack(self, name: str, dtype: np.dtype) -> NDArray[Any]:
        """A map from its LZFSE file, of the size that the metadata tell or that has the picture's aspect."""
        lzfse = _lzfse()
        try:
            values = np.frombuffer(lzfse.decompress(self._read(name)), dtype)
        except (OSError, ValueError, lzfse.error) as error:
            raise LeadlineError(
                f"{self.root}: {name} is missing or broken ({error}): export the capture again"
            ) from error
        aspect = self._metadata["w"] / self._metadata["h"]
        width = self._metadata.get("dw") or round(sqrt(values.size * aspect))
        if not width or values.size % width:
            raise LeadlineError(f"{self.root}: {name} holds {values.size} numbers, wanted a map as wide as {width}")
        return values.reshape(-1, width)


def _number(frame: Frame) -> int:
    return int(frame.id.rpartition("/")[2])


def _lzfse() -> Any:
    try:
        import liblzfse
    except ImportError as error:
        raise LeadlineError('.r3d files need LZFSE: pip install "leadline[record3d]"') from error
    return liblzfse
