"""Prediction: an image becomes metres."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leadline.backends import Backend, Estimate, estimate_square, open_backend, require_metres
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, Count, checked, choose_camera, with_lens
from leadline.io import CameraLike, GivenCamera, Picture, as_seen, camera_from_options, read_image, require_light
from leadline.prediction.older_names import with_intrinsics
from leadline.prediction.result import Prediction
from leadline.prediction.tiling import tiled_depth

MAX_PIXELS = 50_000_000
"""Images with more pixels are predicted, and written, smaller; 8000×6000 is still whole."""

AnyPicture = str | Path | Image.Image | NDArray[Any] | Picture | Any
AnyModel = str | Path | Backend | Any
"""What `leadline.backends.open_backend` takes: a name, a path, an opened backend, or what `load_model` returns."""


@with_intrinsics
@checked
def predict(
    picture: AnyPicture,
    model: AnyModel = "default",
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | GivenCamera | None = None,
    max_pixels: Count = MAX_PIXELS,
    tiled: bool = False,
    undistort: bool = False,
) -> Prediction:
    """Predict the depth of one image.

    Depth scales with the focal length. It is taken from the arguments, else from the image's EXIF block, else
    assumed to be that of the training images.

    Args:
        picture: a file; a PIL image, which is read as its file is; an array (H, W, 3), 8-bit or float in [0, 1];
            a tensor (3, H, W) in [0, 1]; or a `Picture` that was read before.
        model: a model's name or path, or one that is loaded. Load it once for many images.
        focal_px: focal length in pixels of the image as it is in its file.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        camera: the camera, its file or its matrix (3, 3) in pixels of the image, instead of both.
        max_pixels: larger image files are read smaller, and the camera follows.
        tiled: whether tiles add details that one view of the whole misses, see `tiled_depth`; slower.
        undistort: whether the image is brought to what a pinhole sees, by the coefficients of `camera`; the prediction
            is of that image, valid where the old one shows something.

    Returns:
        The prediction, at the image's own size.

    Raises:
        LeadlineError: if the image cannot be read, the camera is impossible or does not fit it, or the model does not
            answer metres.
    """
    given = camera_from_options(focal_px, fov_deg, camera, undistort)
    return predict_image(as_picture(picture, max_pixels), open_metric_backend(model), given, tiled)


def open_metric_backend(model: AnyModel, num_images: float = 1) -> Backend:
    """Open a model that answers metres, for about so many images; see `leadline.backends.open_backend`.

    Raises:
        LeadlineError: if there is no such model, or it answers depth or disparity without a unit.
    """
    backend = open_backend(model, num_images)
    require_metres(backend)
    return backend


def predict_image(
    picture: Picture,
    backend: Backend,
    given: GivenCamera | None = None,
    tiled: bool = False,
    wants_error: bool = True,
) -> Prediction:
    """Predict the depth of an image that is read already; see `predict`.

    Args:
        picture: the image.
        backend: what answers metres.
        given: what is given of its camera.
        tiled: whether tiles add details, see `predict`.
        wants_error: whether the prediction shall say its expected error, where the model does.

    Raises:
        LeadlineError: if the camera does not fit the image, tiles are wanted of a model without a working size, or no
            pixel has a positive, finite depth.
    """
    image = picture.rgb
    height, width = image.shape[:2]
    camera = choose_camera(
        given=given and given(*picture.full_size).resized(width, height),
        exif=picture.camera,
        assumed=backend.assumed_camera(height, width),
    )
    camera, seen = with_lens(camera, picture.lens), None
    if camera and camera.undistort and camera.lens:
        camera, image, seen = camera.without_lens(image)
    answer = partial(_estimate_in_tiles if tiled else _estimate, backend)
    estimate = estimate_square(image, camera, answer)
    depth_m, relative_error = estimate.values[0], estimate.relative_error if wants_error else None
    # A small error of the logarithm is the error's share of the depth.
    uncertainty_m = None if relative_error is None else depth_m * relative_error[0]
    valid = np.isfinite(depth_m) & (depth_m > 0)
    if not valid.any():
        raise LeadlineError(f"{backend.name} predicts no depth anywhere in this image: calibrate or take another model")
    return Prediction(_as_bytes(image), depth_m, valid if seen is None else valid & seen, camera, uncertainty_m)


def _estimate(backend: Backend, image: NDArray[Any], camera: Camera | None) -> Estimate:
    return backend.estimate([image], [camera])


def _estimate_in_tiles(backend: Backend, image: NDArray[Any], camera: Camera | None) -> Estimate:
    """Depth as `tiled_depth` has it; its relative error is that of the view of the whole."""
    if backend.working_size is None:
        raise LeadlineError(f"{backend.name} does not tell the size at which it works, which tiles need: drop --tile")
    whole: Estimate | None = None

    def ask(part: NDArray[Any]) -> NDArray[np.float32]:
        nonlocal whole
        height, width = part.shape[:2]
        # The first part is the whole, made smaller; a tile is brought to the whole's scale by its depth.
        known = camera is not None and whole is None and camera.source is not CameraSource.ASSUMED
        estimate = backend.estimate([part], [camera.resized(width, height) if camera and known else None])
        whole = whole or estimate
        values: NDArray[np.float32] = estimate.values[0]
        return values

    depth_m = tiled_depth(image, ask, *backend.working_size)
    return Estimate(depth_m[None], whole.error_maps if whole else None)


@checked
def as_picture(picture: AnyPicture, max_pixels: Count) -> Picture:
    """Read whatever `predict` takes.

    Args:
        picture: as `predict`.
        max_pixels: larger picture files are read smaller.

    Raises:
        LeadlineError: if it cannot be read, or is no picture.
    """
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, str | Path):
        return read_image(Path(picture), max_pixels)
    is_tensor = hasattr(picture, "detach") and hasattr(picture, "shape")  # an open file has the former
    if not (is_tensor or isinstance(picture, Image.Image | np.ndarray)):
        raise LeadlineError(
            f"a picture must be a path, Pillow's image, an array (H, W, 3) or a tensor (3, H, W), got a "
            f"{type(picture).__name__}: convert it"
        )
    shape = picture.size if isinstance(picture, Image.Image) else picture.shape
    if 0 in shape:
        raise LeadlineError(f"a picture must have pixels, got one of size {tuple(shape)}: give one that is not empty")
    if isinstance(picture, Image.Image):
        return as_seen(picture, max_pixels)
    rgb = np.asarray(picture) if isinstance(picture, np.ndarray) else _of_tensor(picture)
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise LeadlineError("a picture must be (H, W, 3) as an array or (3, H, W) as a tensor; convert it to RGB")
    if rgb.dtype != np.uint8 and not (rgb.dtype.kind == "f" and bool(((rgb >= 0) & (rgb <= 1)).all())):
        raise LeadlineError(f"a picture must be 8-bit, or float in [0, 1]; got {rgb.dtype} outside of it")
    require_light(rgb, "a picture")
    # A copy: the caller may fill its own array with the next image.
    return Picture(rgb.astype(np.uint8 if rgb.dtype == np.uint8 else np.float32), None, rgb.shape[:2])


def _of_tensor(tensor: Any) -> NDArray[Any]:
    """A tensor of PyTorch's (3, H, W) as an array (H, W, 3)."""
    tensor = tensor.detach().cpu()
    values = np.asarray(tensor.float() if tensor.is_floating_point() else tensor)  # NumPy has no bfloat16
    return values.transpose(1, 2, 0) if values.ndim == 3 else values


def _as_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image as uint8, (H, W, 3)."""
    if image.dtype == np.uint8:
        return image
    # A channel at a time: all three as floats would double what a large image takes.
    return np.stack([np.rint(image[..., channel] * 255).astype(np.uint8) for channel in range(3)], axis=-1)
