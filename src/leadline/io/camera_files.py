"""What is told of a camera: a focal length, a field of view, or a file of intrinsics as people keep them."""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from leadline.errors import LeadlineError
from leadline.geometry import focal_px_from_fov, pinhole, resize_intrinsics

PINHOLE_KEYS = ("fx", "fy", "cx", "cy")
MATRIX_KEYS = ("K", "k", "camera_matrix", "intrinsics", "intrinsic_matrix", "data")
"""Where a file keeps its matrix: ROS's camera_info, OpenCV's and ROS's calibration (whose numbers are below "data"),
Open3D's."""
SIZE_KEYS = (("height", "width"), ("image_height", "image_width"))


class Camera(NamedTuple):
    """A calibrated camera."""

    intrinsics: Tensor  # pinhole matrix in pixels, float32 (3, 3)
    size: tuple[int, int] | None = None  # height and width of the pictures it is for; None: of those it is given with


Intrinsics = Camera | str | Path | NDArray[Any] | Tensor
"""A camera, a camera file, or a pinhole matrix (3, 3) in pixels."""

GivenCamera = Callable[[int, int], Tensor]
"""The intrinsics (3, 3) of a picture, from the height and width of its file."""


def given_camera(
    focal_px: float | None = None, fov_deg: float | None = None, intrinsics: Intrinsics | None = None
) -> GivenCamera | None:
    """Join the ways to tell what camera it was; None if nothing is told.

    Args:
        focal_px: focal length in pixels of the picture's file.
        fov_deg: horizontal field of view in degrees.
        intrinsics: the camera, its file or its matrix.

    Returns:
        What gives each picture its intrinsics. It raises a `LeadlineError` for a picture that the camera does not fit.

    Raises:
        LeadlineError: if more than one is given, or it is impossible.
    """
    told = {f"the focal length ({focal_px} px)": focal_px, f"the field of view ({fov_deg}°)": fov_deg}
    words = [word for word, value in {**told, "the intrinsics": intrinsics}.items() if value is not None]
    if len(words) > 1:
        raise LeadlineError(f"give {' or '.join(words)}, not {'both' if len(words) == 2 else 'all'}")
    if intrinsics is not None:
        return partial(fit_camera, as_camera(intrinsics))
    if focal_px is not None:
        pinhole(focal_px, 1, 1)  # refuses an impossible one at once, as below
        return partial(pinhole, focal_px)
    if fov_deg is not None:
        focal_px_from_fov(fov_deg, 1)
        return lambda height, width: pinhole(focal_px_from_fov(fov_deg, width), height, width)
    return None


def as_camera(intrinsics: Intrinsics) -> Camera:
    """Read a camera file, or check a matrix.

    Raises:
        LeadlineError: as `read_camera`, or if the matrix is none of a pinhole camera.
    """
    if isinstance(intrinsics, Camera):
        return intrinsics
    if isinstance(intrinsics, str | Path):
        return read_camera(Path(intrinsics))
    try:
        return Camera(_matrix(np.asarray(intrinsics, dtype=np.float64).ravel().tolist()))
    except ValueError as error:
        raise LeadlineError(f"these are no intrinsics ({error}): wanted a pinhole matrix (3, 3) in pixels") from error


def read_camera(path: Path) -> Camera:
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
        text = path.read_text(encoding="utf-8-sig")
        values, size = _parse(_tree(text))
        return Camera(_matrix(values), size)
    except FileNotFoundError as error:
        raise LeadlineError(f"no camera file at {path}: check the path") from error
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:160]
        raise LeadlineError(
            f"{path} is no camera file ({reason}): wanted the 9 numbers of a 3×3 matrix or fx fy cx cy, in pixels; "
            f"or JSON with fx, fy, cx, cy or K, and width and height"
        ) from error


def fit_camera(camera: Camera, height: int, width: int) -> Tensor:
    """Intrinsics of a picture that a camera took and that may have been resized since.

    Args:
        camera: the camera.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        Intrinsics in pixels of this picture, (3, 3).

    Raises:
        LeadlineError: if the camera's pictures have another aspect, or it looks past this one.
    """
    if camera.size is None:
        cx, cy = camera.intrinsics[:2, 2].tolist()
        if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
            raise LeadlineError(
                f"the intrinsics' centre ({cx:g}, {cy:g}) is outside of this picture of {width}×{height} pixels: "
                f"write the width and height of the pictures that they are for into the camera file"
            )
        return camera.intrinsics
    rows, columns = camera.size
    # Sizes are whole numbers, so that one of two pictures of one aspect may be a pixel off.
    if abs(height - rows * width / columns) > max(1.0, height / rows):
        raise LeadlineError(
            f"the intrinsics are for pictures of {columns}×{rows} pixels, got {width}×{height}, which is another "
            f"shape: give those of this picture"
        )
    return resize_intrinsics(camera.intrinsics, camera.size, (height, width))


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
        return next(yaml.safe_load_all(re.sub(r"^%.*$|!!opencv-matrix", "", text, flags=re.MULTILINE)), None)


def _parse(tree: Any, size: tuple[int, int] | None = None) -> tuple[list[float], tuple[int, int] | None]:
    """The numbers of the intrinsics and the height and width beside them, however deep."""
    if not isinstance(tree, Mapping):
        return [float(value) for value in np.ravel(tree)], size
    size = next(((int(tree[high]), int(tree[wide])) for high, wide in SIZE_KEYS if high in tree and wide in tree), size)
    if size is not None and min(size) < 1:
        raise ValueError(f"a picture of {size[1]}×{size[0]} pixels")
    if all(key in tree for key in PINHOLE_KEYS):
        return [float(tree[key]) for key in PINHOLE_KEYS], size
    for key in MATRIX_KEYS:
        if key in tree:
            return _parse(tree[key], size)
    raise ValueError(f"it has only the keys {', '.join(map(str, tree))}")


def _matrix(values: list[float]) -> Tensor:
    """A pinhole matrix from 9 or 4 numbers.

    Raises:
        ValueError: if they are none.
    """
    if len(values) == len(PINHOLE_KEYS):
        fx, fy, cx, cy = values
        values = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    if len(values) != 9:
        raise ValueError(f"{len(values)} numbers")
    matrix = torch.tensor(values).view(3, 3)
    if matrix[2, :2].any() and not matrix[:2, 2].any():  # Open3D lists its columns
        matrix = matrix.T.contiguous()
    usable = matrix.isfinite().all() and (matrix.diagonal() > 0).all()
    if not usable or matrix[2].tolist() != [0, 0, 1] or matrix[1, 0] != 0:
        raise ValueError(f"{matrix.tolist()} is no matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    return matrix
