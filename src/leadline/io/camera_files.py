"""What is told of a camera: a focal length, a field of view, or a file of intrinsics as people keep them."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from leadline.errors import LeadlineError, brief
from leadline.geometry import Camera, checked, focal_px_from_fov
from leadline.io.camera_formats import CameraFile, parse_matrix, parse_text, parse_tree
from leadline.io.camera_xml import parse_xml
from leadline.io.text_files import load_yaml, read_text

logger = logging.getLogger(__name__)

CameraLike = Camera | CameraFile | str | Path | ArrayLike
"""A camera, a camera file, or a pinhole matrix (3, 3) in pixels."""

_told: list[Camera] = []

GivenCamera = Callable[[int, int], Camera]
"""The camera of an image, from the height and width of its file."""


@checked
def camera_from_options(
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | GivenCamera | None = None,
    undistort: bool = False,
) -> GivenCamera | None:
    """Join the ways to say what camera it was; None if nothing is said.

    Args:
        focal_px: focal length in pixels of the image's file.
        fov_deg: horizontal field of view in degrees.
        camera: the camera, its file or its matrix; or what this function has returned.
        undistort: whether images are to be brought to what a pinhole sees, by the coefficients of the camera file.

    Returns:
        What gives each image its camera. It raises a `LeadlineError` for an image that the camera does not fit.

    Raises:
        LeadlineError: if more than one is given, or it is impossible, or there is no distortion to remove.
    """
    given = {f"the focal length ({focal_px} px)": focal_px, f"the field of view ({fov_deg}°)": fov_deg}
    words = [word for word, value in {**given, "the intrinsics": camera}.items() if value is not None]
    if len(words) > 1:
        raise LeadlineError(f"give {' or '.join(words)}, not {'both' if len(words) == 2 else 'all'}")
    if undistort and (camera is None or callable(camera)):
        raise LeadlineError("images are undistorted by a camera file with distortion coefficients: give --intrinsics")
    if callable(camera):
        return camera
    if camera is not None:
        stored = as_camera(camera)
        if undistort and (stored.lens is None or not stored.lens.can_be_removed):
            which = "no distortion" if stored.lens is None else f"the distortion {stored.lens}"
            raise LeadlineError(
                f"these intrinsics have {which}, wanted OpenCV's or Kannala-Brandt's coefficients: "
                f"leave undistorting out, or give a calibration that has them"
            )
        return partial(fit_camera, stored, undistort=undistort)
    if focal_px is not None:
        Camera.from_focal_px(focal_px, 1, 1)  # refuses an impossible one at once, as below
        return _OneFocalLength(focal_px)
    if fov_deg is not None:
        focal_px_from_fov(fov_deg, 1)
        return lambda height, width: Camera.from_fov_deg(fov_deg, width, height).plausible()
    return None


class _OneFocalLength:
    """The camera of images by one focal length in pixels, which is that of one size only."""

    def __init__(self, focal_px: float) -> None:
        self._focal_px = focal_px
        self._first: tuple[int, int] | None = None  # shorter and longer side of the first image
        self._has_told = False

    def __call__(self, height: int, width: int) -> Camera:
        size = (min(height, width), max(height, width))
        self._first = self._first or size
        if size != self._first and not self._has_told:
            self._has_told = True
            logger.warning(
                "leadline: note: one focal length of %g px is used for images of several sizes (%d×%d and %d×%d): if "
                "some were resized, give the field of view, or a camera file with width and height",
                *(self._focal_px, *self._first[::-1], *size[::-1]),
            )
        return Camera.from_focal_px(self._focal_px, width, height).plausible()


def as_camera(camera: CameraLike) -> CameraFile:
    """Read a camera file, or check a matrix.

    Raises:
        LeadlineError: as `read_camera`, or if the matrix is none of a pinhole camera.
    """
    if isinstance(camera, CameraFile):
        return camera
    if isinstance(camera, Camera):
        return CameraFile(camera.matrix.astype(np.float64), (camera.height, camera.width), camera.lens)
    if isinstance(camera, str | Path):
        return read_camera(Path(camera))
    try:
        return CameraFile(parse_matrix(np.asarray(camera, dtype=np.float64).ravel().tolist()))
    except (ValueError, TypeError, OverflowError) as error:
        raise LeadlineError(f"these are no intrinsics ({error}): wanted a pinhole matrix (3, 3) in pixels") from error


def read_camera(path: Path) -> CameraFile:
    """Read the intrinsics of one camera from a file.

    It holds, in pixels, the numbers of a 3×3, 3×4 or 4×4 matrix or the 4 numbers fx fy cx cy, with blanks, commas or
    line ends between them; or a calibration as `leadline.io.camera_formats` lists them, with the distortion of the
    lens and the size of the images if it knows them.

    Args:
        path: the file.

    Raises:
        LeadlineError: if the file is missing, holds something else, or several cameras.
    """
    try:
        text = read_text(path)
        return parse_xml(text) if text.lstrip().startswith("<") else parse_text(text) or parse_tree(_tree(text))
    except FileNotFoundError as error:
        raise LeadlineError(f"no camera file at {path}: check the path") from error
    except Exception as error:  # whatever numbers and trees of strangers make of the parsers
        reason = "it is no text" if isinstance(error, UnicodeDecodeError) else brief(error)
        raise LeadlineError(
            f"{path} is no camera file ({reason}): wanted the 9 numbers of a 3×3 matrix or fx fy cx cy, in pixels; "
            f"or JSON with fx, fy, cx, cy or K, and width and height"
        ) from error


def fit_camera(stored: CameraFile, height: int, width: int, undistort: bool = False) -> Camera:
    """The camera of an image that it took and that may have been resized since.

    Args:
        stored: the camera.
        height: of the image in pixels.
        width: of the image in pixels.
        undistort: whether the image is to be undistorted.

    Raises:
        LeadlineError: if the camera's images have another aspect, or it cannot have taken this one.
    """
    rows, columns = stored.size or (height, width)
    # Sizes are whole numbers, so that one of two images of one aspect may be a pixel off.
    if abs(height - rows * width / columns) > max(1.0, height / rows):
        lies = abs(width - rows * height / columns) <= max(1.0, width / rows)
        remedy = "the picture as it is looked at, upright" if lies else "this picture"
        raise LeadlineError(
            f"the intrinsics are for pictures of {columns}×{rows} pixels, got {width}×{height}, which is another "
            f"shape: give those of {remedy}"
        )
    full_rows, full_columns = stored.full_size or (rows, columns)
    camera = Camera.from_matrix(stored.matrix, full_columns, full_rows).plausible()
    if stored.window is not None:
        camera = camera.cropped(*stored.window)
    if stored.size is None:
        _tell(camera)
    return replace(camera, lens=stored.lens, undistort=undistort).resized(width, height)


def _tell(camera: Camera) -> None:
    """Say it of a camera without a size that seems to be of images of another one."""
    if (note := camera.resize_note) and camera not in _told:
        _told.append(camera)
        logger.warning("leadline: note: %s: write width and height into the camera file", note)


def _tree(text: str) -> Any:
    """What a file holds, as nested mappings."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # OpenCV writes YAML with a directive and a tag that no other reader knows; ROS ends each message with ---.
        return load_yaml(re.sub(r"^%.*$|!!opencv-matrix", "", text, flags=re.MULTILINE))
