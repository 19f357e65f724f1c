import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import capture_files as files
import numpy as np
import pytest
import torch
from layout_files import refusal
from PIL import Image

from leadline.data.catalog import open_dataset

rosbags = pytest.importorskip("rosbags", reason="needs rosbags")
from rosbags.rosbag1 import Writer as Writer1  # noqa: E402
from rosbags.rosbag2 import StoragePlugin  # noqa: E402
from rosbags.rosbag2 import Writer as Writer2  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

COLOUR, DEPTH = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"
OPTICAL = "camera_color_optical_frame"
STORES = {"ros1": Stores.ROS1_NOETIC, "ros2": Stores.ROS2_HUMBLE, "mcap": Stores.ROS2_HUMBLE}


class Bag:
    """Writes a bag of one kind, message by message."""

    def __init__(self, root: Path, kind: str) -> None:
        self.path = root / ("room.bag" if kind == "ros1" else "room")
        self.store = get_typestore(STORES[kind])
        plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
        self.writer = Writer1(self.path) if kind == "ros1" else Writer2(self.path, version=8, storage_plugin=plugin)
        self.is_ros1, self.connections = kind == "ros1", {}

    def type(self, name: str) -> Any:
        return self.store.types[name]

    def header(self, time_s: float, frame_id: str) -> Any:
        stamp = self.type("builtin_interfaces/msg/Time")(sec=int(time_s), nanosec=round(time_s % 1 * 1e9))
        extra = {"seq": 0} if self.is_ros1 else {}
        return self.type("std_msgs/msg/Header")(stamp=stamp, frame_id=frame_id, **extra)

    def put(self, topic: str, message: Any, time_s: float) -> None:
        kind = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        serialize = self.store.serialize_ros1 if self.is_ros1 else self.store.serialize_cdr
        self.writer.write(self.connections[topic], round(time_s * 1e9) + 3_000_000, serialize(message, kind))

    def image(self, topic: str, time_s: float, values: np.ndarray, encoding: str, frame: str = OPTICAL) -> None:
        """Rows are four bytes longer than need be, as some drivers have them."""
        rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
        rows = np.pad(rows, ((0, 0), (0, 4)), constant_values=99)
        message = self.type("sensor_msgs/msg/Image")(
            self.header(time_s, frame), *values.shape[:2], encoding, 0, rows.shape[1], rows.reshape(-1)
        )
        self.put(topic, message, time_s)

    def compressed(self, topic: str, time_s: float, data: bytes, form: str) -> None:
        message = self.type("sensor_msgs/msg/CompressedImage")(
            self.header(time_s, OPTICAL), form, np.frombuffer(data, np.uint8)
        )
        self.put(topic, message, time_s)

    def info(self, topic: str, time_s: float, offset: int = 0, binning: int = 0, scale: int = 1) -> None:
        """K and P are of pictures `scale` times as wide and high; P is a tenth longer."""
        roi = self.type("sensor_msgs/msg/RegionOfInterest")(offset, offset, 0, 0, False)
        camera = np.array([[50.0, 0, 32], [0, 51, 24], [0, 0, 1 / scale]]) * scale
        projection = np.pad(camera * [[1.1], [1.1], [1]] - [[0, 0, 2], [0, 0, 0], [0, 0, 0]], ((0, 0), (0, 1)))
        matrices = camera.ravel(), np.eye(3).ravel(), projection.ravel()
        message = self.type("sensor_msgs/msg/CameraInfo")(
            self.header(time_s, OPTICAL),
            48 * scale,
            64 * scale,
            "plumb_bob",
            np.zeros(5),
            *matrices,
            binning,
            binning,
            roi,
        )
        self.put(topic, message, time_s)


def metres() -> np.ndarray:
    return np.kron(files.metres(), np.ones((4, 4), np.float32))  # of the picture's size


def write(bag: Bag, depth: np.ndarray, encoding: str, frame: str = OPTICAL) -> Path:
    """Three pictures 0.1 s apart; the depth of the last one is 50 ms late."""
    with bag.writer:
        bag.info("/camera/color/camera_info", 1.0)
        for number, late_s in enumerate((0, 0.01, 0.05)):
            time_s = 1 + number / 10
            bag.image(COLOUR, time_s, files.colours(number=number)[..., ::-1], "bgr8")
            bag.image(DEPTH, time_s + late_s, depth, encoding, frame)
    return bag.path


@pytest.fixture(params=STORES)
def bag(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bag]:
    yield Bag(tmp_path, request.param)


def test_pairs_of_nearly_the_same_time_are_the_set(bag: Bag) -> None:
    dataset = open_dataset(write(bag, np.rint(metres() * 1000).astype(np.uint16), "16UC1"))
    assert dataset.ids == ["room/1.000000000", "room/1.100000000"] and dataset.time_s(1) == 1.1
    sample = dataset[1]
    assert sample.image[:, -1, 0].tolist() == pytest.approx([0, 20 / 255, 250 / 255])
    assert sample.intrinsics.tolist() == [[50, 0, 32], [0, 51, 24], [0, 0, 1]]
    torch.testing.assert_close(sample.depth_m[0], torch.from_numpy(metres()), rtol=0, atol=6e-4)
    assert torch.equal(sample.valid[0], torch.from_numpy(metres() > 0))


def test_floats_are_metres_and_nan_is_none(tmp_path: Path) -> None:
    depth = np.where(metres() > 0, metres(), np.float32(np.nan))
    sample = open_dataset(write(Bag(tmp_path, "ros2"), depth, "32FC1"))[0]
    torch.testing.assert_close(sample.depth_m[0], torch.from_numpy(metres()))
    assert int((~sample.valid).sum()) == 16


def png(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


# A = 10100, B = 0 (the encoder's quantisation of 100 at no farthest depth): 1.25 m is step 8080
@pytest.mark.parametrize(
    ("form", "parameters", "stored"),
    [
        ("16UC1; compressedDepth", (0, 0), 1250),
        ("16UC1; compressedDepth png", (0, 0), 1250),
        ("32FC1; compressedDepth", (10100, 0), 8080),
        ("32FC1; compressedDepth png", (10100, -20), 8060),
    ],
)
def test_compressed_depth_is_millimetres_or_steps_of_inverse_depth(
    tmp_path: Path, form: str, parameters: tuple[float, float], stored: int
) -> None:
    values = np.full((48, 64), stored, np.uint16)
    values[0, 0] = 0
    picture = BytesIO()
    Image.fromarray(files.colours()).save(picture, "JPEG")
    bag = Bag(tmp_path, "ros1")
    with bag.writer:
        bag.compressed(f"{COLOUR}/compressed", 1.0, picture.getvalue(), "bgr8; jpeg compressed bgr8")
        bag.compressed(f"{DEPTH}/compressedDepth", 1.0, struct.pack("<i2f", 0, *parameters) + png(values), form)
    sample = open_dataset(bag.path)[0]
    assert float(sample.depth_m[0, 5, 5]) == pytest.approx(1.25) and not sample.valid[0, 0, 0]
    assert sample.image[2, -1, 0] > 0.9 and sample.intrinsics.isnan().all()


def test_the_camera_of_a_part_of_the_sensor_binned_is_the_pictures(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "ros2")
    with bag.writer:
        bag.info("/camera/color/camera_info", 1.0, offset=10, binning=2)
        bag.image(COLOUR, 1.0, files.colours(), "rgb8")
        bag.image(DEPTH, 1.0, np.full((48, 64), 900, np.uint16), "mono16")
    assert open_dataset(bag.path)[0].intrinsics.tolist() == [[25, 0, 10.75], [0, 25.5, 6.75], [0, 0, 1]]


@pytest.mark.parametrize("kind", ["ros1", "ros2"])
def test_rectified_images_have_the_camera_of_p(tmp_path: Path, kind: str) -> None:
    bag = Bag(tmp_path, kind)
    with bag.writer:
        bag.info("/camera/rgb/camera_info", 1.0)
        bag.image("/camera/rgb/image_rect_color", 1.0, files.colours(), "rgb8")
        bag.image("/camera/depth_registered/image_raw", 1.0, np.full((48, 64), 900, np.uint16), "16UC1")
    fx, fy, cx, cy = 55, 1.1 * 51, 1.1 * 32 - 2, 1.1 * 24
    np.testing.assert_allclose(open_dataset(bag.path)[0].intrinsics, [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], rtol=1e-6)


def test_the_camera_of_larger_images_follows_those_that_were_made_smaller(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "ros1")
    with bag.writer:
        bag.info("/camera/color/camera_info", 1.0, scale=2)
        bag.image(COLOUR, 1.0, files.colours(), "rgb8")
        bag.image(DEPTH, 1.0, np.full((48, 64), 900, np.uint16), "16UC1")
    assert open_dataset(bag.path)[0].intrinsics.tolist() == [[50, 0, 31.75], [0, 51, 23.75], [0, 0, 1]]  # 64.5 / 2 - .5


def test_depth_of_another_frame_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write(Bag(tmp_path, "ros1"), np.ones((48, 64), np.uint16), "16UC1", "camera_depth_optical_frame")
    message = refusal(lambda: open_dataset(path))
    assert "holds no depth in the frame of a colour image" in message and "align_depth.enable:=true" in message
    assert f"{DEPTH} (camera_depth_optical_frame)" in message


def test_rvl_other_colours_and_broken_bags_are_one_line(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "ros1")
    with bag.writer:
        bag.image(COLOUR, 1.0, files.colours()[..., 0], "bayer_rggb8")
        bag.compressed(f"{DEPTH}/compressedDepth", 1.0, bytes(20), "16UC1; compressedDepth rvl")
    dataset = open_dataset(bag.path)
    assert "is bayer_rggb8, wanted rgb8, bgr8" in refusal(lambda: dataset[0])
    assert "packed as RVL" in refusal(lambda: dataset.ground_truth(0))
    (tmp_path / "cut.bag").write_bytes(bag.path.read_bytes()[:300])
    assert "cut.bag is no whole bag of ROS" in refusal(lambda: open_dataset(tmp_path / "cut.bag"))
