"""What is told of a camera: a focal length, a field of view, or a file of intrinsics as people keep them."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leadline.errors import LeadlineError
from leadline.geometry import Camera, focal_px_from_fov
from leadline.io.text_files import brief, load_yaml, read_text

PINHOLE_KEYS = ("fx", "fy", "cx", "cy")
MATRIX_KEYS = ("K", "k", "camera_matrix", "intrinsics", "intrinsic_matrix", "data")
"""Where a file keeps its matrix: ROS's camera_info, OpenCV's and ROS's calibration (whose numbers are below "data"),
Open3D's."""
MAX_SIDE_PX = 1_000_000
SIZE_KEYS = (("height", "width"), ("image_height", "image_width"))


class CameraFile(NamedTuple):
    """Intrinsics as a file holds them."""

    matrix: NDArray[np.float64]  # pinhole matrix in pixels, (3, 3)
    size: tuple[int, int] | None = None  # height and width of the images it is for; None: of those it is given with


CameraLike = Camera | CameraFile | str | Path | ArrayLike
"""A camera, a camera file, or a pinhole matrix (3, 3) in pixels."""

GivenCamera = Callable[[int, int], Camera]
"""The camera of an image, from the height and width of its file."""


def camera_from_options(
    focal_px: float | None = None, fov_deg: float | None = None, camera: "CameraLike | GivenCamera | None" = None
) -> GivenCamera | None:
    """Join the ways to say what camera it was; None if nothing is said.

    Args:
        focal_px: focal length in pixels of the image's file.
        fov_deg: horizontal field of view in degrees.
        camera: the camera, its file or its matrix; or what this function has returned.

    Returns:
        What gives each image its camera. It raises a `LeadlineError` for an image that the camera does not fit.

    Raises:
        LeadlineError: if more than one is given, or it is impossible.
    """
    given = {f"the focal length ({focal_px} px)": focal_px, f"the field of view ({fov_deg}°)": fov_deg}
    words = [word for word, value in {**given, "the intrinsics": camera}.items() if value is not None]
    if len(words) > 1:
        raise LeadlineError(f"give {' or '.join(words)}, not {'both' if len(words) == 2 else 'all'}")
    if callable(camera):
        return camera
    if camera is not None:
        return partial(fit_camera, as_camera(camera))
    if focal_px is not None:
        Camera.from_focal_px(focal_px, 1, 1)  # refuses an impossible one at once, as below
        return lambda height, width: Camera.from_focal_px(focal_px, width, height)
    if fov_deg is not None:
        focal_px_from_fov(fov_deg, 1)
        return lambda height, width: Camera.from_fov_deg(fov_deg, width, height)
    return None


def as_camera(camera: CameraLike) -> CameraFile:
    """Read a camera file, or check a matrix.

    Raises:
        LeadlineError: as `read_camera`, or if the matrix is none of a pinhole camera.
    """
    if isinstance(camera, CameraFile):
        return camera
    if isinstance(camera, Camera):
        return CameraFile(camera.matrix.astype(np.float64), (camera.height, camera.width))
    if isinstance(camera, str | Path):
        return read_camera(Path(camera))
    try:
        return CameraFile(_matrix(np.asarray(camera, dtype=np.float64).ravel().tolist()))
    except (ValueError, TypeError) as error:
        raise LeadlineError(f"these are no intrinsics ({error}): wanted a pinhole matrix (3, 3) in pixels") from error


def read_camera(path: Path) -> CameraFile:
    """Read pinhole intrinsics from a file.

    It holds, in pixels, the 9 numbers of a 3×3 matrix or the 4 numbers fx fy cx cy, with blanks, commas or line ends
    between them; or JSON or YAML with `fx`, `fy`, `cx`, `cy` or with a matrix under one of `MATRIX_KEYS`, and the
    `width` and `height` of the pictures if it knows them. Lens distortion is not read.

    Args:
        path: the file.

    Raises:
        LeadlineError: if the file is missing or holds something else.
    """
    try:
        text = read_text(path)
        values, size = _parse(_tree(text))
        return CameraFile(_matrix(values), size)
    except FileNotFoundError as error:
        raise LeadlineError(f"no camera file at {path}: check the path") from error
    except Exception as error:  # whatever numbers and trees of strangers make of the parsers
        reason = brief(error)
        raise LeadlineError(
            f"{path} is no camera file ({reason}): wanted the 9 numbers of a 3×3 matrix or fx fy cx cy, in pixels; "
            f"or JSON with fx, fy, cx, cy or K, and width and height"
        ) from error


def fit_camera(stored: CameraFile, height: int, width: int) -> Camera:
    """The camera of an image that it took and that may have been resized since.

    Args:
        stored: the camera.
        height: of the image in pixels.
        width: of the image in pixels.

    Raises:
        LeadlineError: if the camera's images have another aspect, or it looks past this one.
    """
    if stored.size is None:
        cx, cy = stored.matrix[:2, 2].tolist()
        if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
            raise LeadlineError(
                f"the intrinsics' centre ({cx:g}, {cy:g}) is outside of this picture of {width}×{height} pixels: "
                f"write the width and height of the pictures that they are for into the camera file"
            )
        return Camera.from_matrix(stored.matrix, width, height)
    rows, columns = stored.size
    # Sizes are whole numbers, so that one of two images of one aspect may be a pixel off.
    if abs(height - rows * width / columns) > max(1.0, height / rows):
        raise LeadlineError(
            f"the intrinsics are for pictures of {columns}×{rows} pixels, got {width}×{height}, which is another "
            f"shape: give those of this picture"
        )
    return Camera.from_matrix(stored.matrix, columns, rows).resized(width, height)


def _tree(text: str) -> Any:
    """What a file holds: a list of numbers, or nested mappings."""
    plain = [word for line in text.splitlines() for word in line.partition("#")[0].replace(",", " ").split()]
    try:
        return [float(word) for word in plain]
    except ValueError:
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # OpenCV writes YAML with a directive and a tag that no other reader knows; ROS ends each message with ---.
        return load_yaml(re.sub(r"^%.*$|!!opencv-matrix", "", text, flags=re.MULTILINE))


def _parse(tree: Any, size: tuple[int, int] | None = None) -> tuple[list[float], tuple[int, int] | None]:
    """The numbers of the intrinsics and the height and width beside them, however deep."""
    if not isinstance(tree, Mapping):
        return [float(value) for value in np.ravel(tree)], size
    size = next(((int(tree[high]), int(tree[wide])) for high, wide in SIZE_KEYS if high in tree and wide in tree), size)
    if size is not None and not 1 <= min(size) <= max(size) <= MAX_SIDE_PX:
        raise ValueError(f"a picture of {size[1]}×{size[0]} pixels")
    if all(key in tree for key in PINHOLE_KEYS):
        return [float(tree[key]) for key in PINHOLE_KEYS], size
    for key in MATRIX_KEYS:
        if key in tree:
            return _parse(tree[key], size)
    raise ValueError(f"it has only the keys {', '.join(map(str, tree))}")


def _matrix(values: list[float]) -> NDArray[np.float64]:
    """A pinhole matrix from 9 or 4 numbers.

    Raises:
        ValueError: if they are none.
    """
    if len(values) == len(PINHOLE_KEYS):
        fx, fy, cx, cy = values
        values = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    if len(values) != 9:
        raise ValueError(f"{len(values)} numbers")
    matrix = np.array(values, dtype=np.float64).reshape(3, 3)
    if matrix[2, :2].any() and not matrix[:2, 2].any():  # Open3D lists its columns
        matrix = matrix.T.copy()
    usable = np.isfinite(matrix).all() and (matrix.diagonal() > 0).all()
    if not usable or matrix[2].tolist() != [0, 0, 1] or matrix[1, 0] != 0:
        raise ValueError(f"{matrix.tolist()} is no matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    return matrix
