"""COLMAP's sparse reconstructions: cameras, images and 3-D points, as binary or text.

COLMAP has a pixel's centre at half numbers; here it is at whole ones, so that 0.5 is taken off.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.io.camera_formats import COLMAP_PARAMETERS, CameraFile, colmap_camera

_MODELS = dict(enumerate(COLMAP_PARAMETERS.items()))
"""COLMAP's camera models and their parameters, by their number."""
_DAMAGE = (OSError, ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError)

Floats = NDArray[np.float64]


class ColmapView(NamedTuple):
    """An image of a reconstruction."""

    camera: CameraFile
    xy: Floats  # where its points are seen, in pixels, (N, 2)
    depth_m: Floats  # of the points along its optical axis, in the reconstruction's unit, (N,)
    to_world: Floats  # points of camera space in the reconstruction's axes, (4, 4)


def read_colmap_model(folder: Path) -> dict[str, ColmapView]:
    """Read a reconstruction.

    Args:
        folder: holds cameras, images and points3D as .bin or .txt; or has them in `sparse/0` or `sparse`.

    Returns:
        Each image's view, by its name.

    Raises:
        LeadlineError: if files are missing or damaged.
    """
    places = (folder, folder / "sparse" / "0", folder / "sparse")
    kinds = ((place, ending) for place in places for ending in (".bin", ".txt"))
    found = next(((place, ending) for place, ending in kinds if (place / f"images{ending}").exists()), None)
    if found is None:
        raise LeadlineError(f"{folder} holds no COLMAP model: wanted cameras, images and points3D as .bin or .txt")
    place, ending = found
    readers = (_binary_cameras, _binary_images, _binary_points) if ending == ".bin" else (_cameras, _images, _points)
    read_cameras, read_images, read_points = readers
    try:
        cameras = dict(read_cameras(place / f"cameras{ending}"))
        images = dict(read_images(place / f"images{ending}"))
        points = dict(read_points(place / f"points3D{ending}"))
        return {name: _view(image, cameras, points) for name, image in images.items()}
    except _DAMAGE as error:
        reason = " ".join(str(error).split())
        raise LeadlineError(f"{place} cannot be read as a COLMAP model ({reason}): export it again") from error


class _Image(NamedTuple):
    quaternion: Floats  # w x y z, world to camera
    shift: Floats
    camera: int
    xy: Floats  # (N, 2)
    points: NDArray[np.int64]  # (N,), -1 for none


def _view(image: _Image, cameras: dict[int, CameraFile], points: dict[int, Floats]) -> ColmapView:
    seen = np.array([point in points for point in image.points.tolist()], bool)
    places = np.array([points[point] for point in image.points[seen].tolist()]).reshape(-1, 3)
    rotation = _rotation(image.quaternion)
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = rotation.T, -rotation.T @ image.shift
    depth_m = places @ rotation[2] + image.shift[2]
    front = depth_m > 0
    return ColmapView(cameras[image.camera], image.xy[seen][front] - 0.5, depth_m[front], to_world)


def _rotation(quaternion: Floats) -> Floats:
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def _lines(path: Path) -> list[list[str]]:
    """Words of the lines that are no comment; an image without points has an empty one."""
    text = path.read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def _cameras(path: Path) -> Iterator[tuple[int, CameraFile]]:
    for number, model, width, height, *parameters in filter(None, _lines(path)):
        yield int(number), colmap_camera(model, (int(height), int(width)), parameters)


def _images(path: Path) -> Iterator[tuple[str, _Image]]:
    lines = _lines(path)
    for head, points in zip(lines[::2], [*lines[1::2], []][: len(lines[::2])], strict=True):
        values = np.array(points, np.float64).reshape(-1, 3)
        pose = np.array(head[1:8], np.float64)
        image = _Image(pose[:4], pose[4:], int(head[8]), values[:, :2], values[:, 2].astype(np.int64))
        yield " ".join(head[9:]), image


def _points(path: Path) -> Iterator[tuple[int, Floats]]:
    for number, x, y, z, *_ in filter(None, _lines(path)):
        yield int(number), np.array([x, y, z], np.float64)


def _unpack(file: BinaryIO, layout: str) -> tuple[int | float, ...]:
    return struct.unpack(f"<{layout}", file.read(struct.calcsize(f"<{layout}")))


def _binary_cameras(path: Path) -> Iterator[tuple[int, CameraFile]]:
    with path.open("rb") as file:
        for _ in range(int(*_unpack(file, "Q"))):
            number, model, width, height = map(int, _unpack(file, "iiQQ"))
            name, parameters = _MODELS[model]
            yield number, colmap_camera(name, (height, width), _unpack(file, f"{len(parameters.split())}d"))


def _binary_images(path: Path) -> Iterator[tuple[str, _Image]]:
    seen = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
    with path.open("rb") as file:
        for _ in range(int(*_unpack(file, "Q"))):
            _, *pose, camera = _unpack(file, "i7di")
            name = b"".join(iter(lambda: file.read(1).rstrip(b"\0"), b"")).decode()
            (count,) = _unpack(file, "Q")
            points = np.frombuffer(file.read(int(count) * seen.itemsize), seen)
            yield name, _Image(np.array(pose[:4]), np.array(pose[4:]), int(camera), points["xy"], points["point"])


def _binary_points(path: Path) -> Iterator[tuple[int, Floats]]:
    with path.open("rb") as file:
        for _ in range(int(*_unpack(file, "Q"))):
            number, x, y, z, *_, length = _unpack(file, "Q3d3BdQ")
            file.seek(8 * int(length), 1)
            yield int(number), np.array([x, y, z])
