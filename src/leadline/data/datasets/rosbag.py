"""Bags of ROS 1 (.bag) and ROS 2 (a folder with metadata.yaml): colour, depth in its frame, and camera_info.

From REP 118 (depth images: 16UC1 in millimetres with 0 for none, 32FC1 in metres with NaN), the message definitions of
sensor_msgs, and `codec.cpp` of compressed_depth_image_transport (ros-perception/image_transport_plugins, commit 7404d77
of 2024-02): a compressedDepth message is 12 bytes (an int32, float32 A and B) and a PNG, which holds the numbers of
16UC1 as they are, and of 32FC1 not metres but steps of inverse depth: metres = A / (step - B), 0 for none.

K is the camera of raw images, P of rectified ones (`image_rect`, `image_rect_color`); both are for `width`×`height`
pixels, which images made smaller on their way need not have.

Depth that is registered to the colour image says so by its frame_id, which is the colour camera's; other depth is of
another view, and refused. RealSense's own recordings (topics below /device_0) hold such depth alone.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.data.datasets.base import Frame, FrameDataset, Pinhole
from leadline.data.datasets.tum import Stamped, associate
from leadline.data.sample import image_tensor
from leadline.errors import LeadlineError
from leadline.io import decode_image_bytes, read_image_bytes

_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_INFO = "sensor_msgs/msg/CameraInfo"
_COLOURS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
"""Which channels of a raw image are red, green and blue."""
_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MILLIMETRES = 0.001
_REMEDY = "record depth that is aligned to colour (RealSense: align_depth.enable:=true; OpenNI: depth_registered)"


class _Message(NamedTuple):
    """Where an image lies in a bag."""

    topic: str
    recorded_ns: int


class _Topic(NamedTuple):
    """A topic of images."""

    name: str
    frame_id: str
    is_depth: bool
    messages: dict[str, _Message]  # by the time of their header, as text
    stamps: list[Stamped]


class RosbagDataset(FrameDataset):
    """The colour images of a bag that have depth of nearly the same time. Ids are "BAG/TIME" in seconds.

    Args:
        root: a .bag file, or the folder of a ROS 2 bag.

    Raises:
        LeadlineError: if the bag is broken, or holds no depth in the frame of its colour images.
    """

    def __init__(self, root: Path) -> None:
        """Read the messages' heads; no image is decoded yet."""
        self._bag = root
        topics = list(self._topics())
        self._colour, self._depth = _matching(root, topics)
        self._camera, self._size = self._read_camera()
        pairs = associate(self._colour.stamps, self._depth.stamps)
        frames = (
            Frame(f"{root.stem}/{colour.file}", root.stem, "", colour.file, depth.file, colour.time_s)
            for colour, depth in pairs
        )
        super().__init__(root, frames, "colour and depth of nearly the same time")

    def picture_file(self, index: int) -> None:
        """None: images lie in the bag."""
        return None

    def _read_rgb(self, frame: Frame) -> Tensor:
        message = self._message(self._colour.messages[frame.rgb])
        if hasattr(message, "format"):
            return image_tensor(read_image_bytes(message.data.tobytes(), f"{self._bag}, {frame.id}").rgb)
        if message.encoding not in _COLOURS:
            raise LeadlineError(
                f"{self._bag}: {self._colour.name} is {message.encoding}, wanted {', '.join(_COLOURS)} or compressed"
            )
        channels = {"mono8": 1, "rgba8": 4, "bgra8": 4}.get(message.encoding, 3)
        values = _rows(message, np.dtype(np.uint8), channels)[..., _COLOURS[message.encoding]]
        return torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1).float().div(255)

    def _read_depth(self, frame: Frame) -> tuple[NDArray[Any], NDArray[Any]]:
        message = self._message(self._depth.messages[frame.depth])
        if hasattr(message, "format"):
            depth_m = _uncompressed(message, f"{self._bag}, {frame.id}")
        else:
            order = ">" if message.is_bigendian else "<"
            stored = _rows(message, np.dtype(order + _DEPTHS[message.encoding]), 1)[..., 0]
            depth_m = stored.astype(np.float32) * np.float32(_MILLIMETRES if stored.dtype.kind == "u" else 1)
        valid = np.isfinite(depth_m) & (depth_m > 0)
        return np.where(valid, depth_m, np.float32(0)), valid

    def _intrinsics(self, frame: Frame) -> Pinhole | None:
        return self._camera

    def _camera_size(self, frame: Frame) -> tuple[int, int] | None:
        return self._size

    def _topics(self) -> Iterator[_Topic]:
        """The topics of images, each with the times of its messages."""
        with _reading(self._bag) as reader:
            for connection in reader.connections:
                if connection.msgtype not in _IMAGES:
                    continue
                messages: dict[str, _Message] = {}
                frame_id, is_depth = "", False
                for _, recorded_ns, raw in reader.messages([connection]):
                    if not messages:
                        message = reader.deserialize(raw, connection.msgtype)
                        frame_id, is_depth = message.header.frame_id, _is_depth(message)
                    messages[_stamp(raw)] = _Message(connection.topic, recorded_ns)
                stamps = [Stamped(float(stamp), stamp) for stamp in messages]
                yield _Topic(connection.topic, frame_id, is_depth, messages, stamps)

    def _message(self, place: _Message) -> Any:
        with _reading(self._bag) as reader:
            connections = [each for each in reader.connections if each.topic == place.topic]
            found = reader.messages(connections, start=place.recorded_ns, stop=place.recorded_ns + 1)
            connection, _, raw = next(iter(found))
            return reader.deserialize(raw, connection.msgtype)

    def _read_camera(self) -> tuple[Pinhole | None, tuple[int, int] | None]:
        """The camera of the colour images, from the camera_info beside them or beside the depth, and whose size."""
        is_rectified = "_rect" in self._colour.name.rpartition("/")[2]
        with _reading(self._bag) as reader:
            infos = {each.topic: each for each in reader.connections if each.msgtype == _INFO}
            for topic in (self._colour.name, self._depth.name):
                info = next((infos[name] for name in _infos_beside(topic) if name in infos), None)
                for _, _, raw in reader.messages([info]) if info else ():
                    message = reader.deserialize(raw, _INFO)
                    return _pinhole(message, is_rectified), _size(message)
        return None, None


def _matching(root: Path, topics: list[_Topic]) -> tuple[_Topic, _Topic]:
    """Colour and the depth of its frame; raw images before compressed ones."""
    ordered = sorted(topics, key=lambda topic: "compressed" in topic.name)
    for colour in (topic for topic in ordered if not topic.is_depth and not topic.name.startswith("/device_")):
        for depth in (topic for topic in ordered if topic.is_depth and topic.frame_id == colour.frame_id):
            return colour, depth
    found = ", ".join(f"{topic.name} ({topic.frame_id})" for topic in topics) or "no images"
    raise LeadlineError(f"{root} holds no depth in the frame of a colour image: {found}; {_REMEDY}")


def _infos_beside(topic: str) -> Iterator[str]:
    while "/" in topic:
        topic = topic.rpartition("/")[0]
        yield f"{topic}/camera_info"


def _is_depth(message: Any) -> bool:
    if hasattr(message, "format"):
        return "compressedDepth" in message.format
    return message.encoding in _DEPTHS


def _stamp(raw: bytes | memoryview) -> str:
    """The time in a message's header: at the same place in ROS 1's (after seq) and ROS 2's form (after its mark)."""
    seconds, nanoseconds = struct.unpack_from("<II", raw, 4)
    return f"{seconds}.{nanoseconds:09d}"


def _rows(message: Any, dtype: np.dtype, channels: int) -> NDArray[Any]:
    """A raw image as (H, W, C); rows may be longer than their pixels."""
    rows = np.asarray(message.data).reshape(message.height, message.step)
    used = np.ascontiguousarray(rows[:, : message.width * channels * dtype.itemsize])
    return used.view(dtype).reshape(message.height, message.width, channels)


def _uncompressed(message: Any, name: str) -> NDArray[np.float32]:
    """Metres of a compressedDepth message."""
    encoding, _, packing = message.format.partition(";")
    if "rvl" in packing:
        raise LeadlineError(f"{name}: depth is packed as RVL, wanted PNG: republish it")
    data = message.data.tobytes()
    factor, offset = struct.unpack_from("<2f", data.ljust(12, b"\0"), 4)
    steps = np.asarray(decode_image_bytes(data[12:], name)).astype(np.float32)
    if _DEPTHS.get(encoding.strip()) != "f4":
        return steps * np.float32(_MILLIMETRES)
    with np.errstate(divide="ignore"):
        return np.where(steps > 0, np.float32(factor) / (steps - np.float32(offset)), np.float32(0))


def _pinhole(info: Any, is_rectified: bool) -> Pinhole:
    """fx, fy, cx, cy of the image that is published, which may be a part of the sensor's, or binned."""
    raw, projection = (info.K, info.P) if hasattr(info, "K") else (info.k, info.p)  # ROS 1, ROS 2
    fx, _, cx, _, fy, cy, *_ = map(float, raw)
    if is_rectified and projection[0] > 0:
        fx, _, cx, _, _, fy, cy, *_ = map(float, projection)
    across, down = max(1, info.binning_x), max(1, info.binning_y)
    cx, cy = cx - info.roi.x_offset, cy - info.roi.y_offset
    return fx / across, fy / down, (cx + 0.5) / across - 0.5, (cy + 0.5) / down - 0.5


def _size(info: Any) -> tuple[int, int] | None:
    """Width and height of the images that the camera is for; None where they are a part of the sensor's, or unknown."""
    is_part = max(info.binning_x, info.binning_y) > 1 or any((info.roi.x_offset, info.roi.y_offset, info.roi.width))
    return None if is_part or not info.width or not info.height else (int(info.width), int(info.height))


@contextmanager
def _reading(bag: Path) -> Iterator[Any]:
    """A reader of a bag; whatever it raises becomes one line."""
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise LeadlineError('bags of ROS need rosbags: pip install "leadline[ros]"') from error
    try:
        with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
            yield reader
    except LeadlineError:
        raise
    except Exception as error:  # the library has an error of its own for each kind of bag
        raise LeadlineError(f"{bag} is no whole bag of ROS ({error}): copy it again") from error
