"""Prediction: an image becomes metres."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from leadline.backends import Backend, open_backend, require_metres
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, choose_camera, resize_depth
from leadline.io import CameraLike, GivenCamera, Picture, as_seen, camera_from_options, read_image
from leadline.prediction.result import Prediction
from leadline.prediction.tiling import tiled_depth

MAX_PIXELS = 50_000_000
"""Images with more pixels are predicted, and written, smaller; 8000×6000 is still whole."""

AnyPicture = str | Path | Image.Image | NDArray[Any] | Tensor | Picture
AnyModel = str | Path | Backend | Any
"""What `leadline.backends.open_backend` takes: a name, a path, an opened backend, or what `load_model` returns."""


def predict(
    picture: AnyPicture,
    model: AnyModel = "default",
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    camera: CameraLike | GivenCamera | None = None,
    max_pixels: int = MAX_PIXELS,
    tiled: bool = False,
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

    Returns:
        The prediction, at the image's own size.

    Raises:
        LeadlineError: if the image cannot be read, the camera is impossible or does not fit it, or the model does not
            answer metres.
    """
    given = camera_from_options(focal_px, fov_deg, camera)
    return predict_image(as_picture(picture, max_pixels), open_metric_backend(model), given, tiled)


def open_metric_backend(model: AnyModel) -> Backend:
    """Open a model that answers metres.

    Raises:
        LeadlineError: if there is no such model, or it answers depth or disparity without a unit.
    """
    backend = open_backend(model)
    require_metres(backend)
    return backend


def predict_image(
    picture: Picture, backend: Backend, given: GivenCamera | None = None, tiled: bool = False
) -> Prediction:
    """Predict the depth of an image that is read already; see `predict`.

    Args:
        picture: the image.
        backend: what answers metres.
        given: what is given of its camera.
        tiled: whether tiles add details, see `predict`.

    Raises:
        LeadlineError: if the camera does not fit the image, tiles are wanted of a model without a working size, or no
            pixel has a positive, finite depth.
    """
    height, width = picture.rgb.shape[-2:]
    camera = choose_camera(
        given=given and given(*picture.full_size).resized(width, height),
        exif=picture.camera,
        assumed=backend.assumed_camera(height, width),
    )
    # A channel at a time: all three as floats would double what a large image takes.
    rgb = torch.stack([(channel * 255).round_().to(torch.uint8) for channel in picture.rgb], dim=-1).numpy()
    image = picture.rgb.permute(1, 2, 0).numpy()
    if tiled:
        depth_m, relative_error = _estimate_in_tiles(backend, image, camera)
    else:
        estimate = backend.estimate([image], [camera])
        depth_m, relative_error = estimate.values[0], _first(estimate.relative_error)
    # A small error of the logarithm is the error's share of the depth.
    uncertainty_m = None if relative_error is None else depth_m * relative_error
    valid = np.isfinite(depth_m) & (depth_m > 0)
    if not valid.any():
        raise LeadlineError(f"{backend.name} predicts no depth anywhere in this image: calibrate or take another model")
    return Prediction(rgb, depth_m, valid, camera, uncertainty_m)


def _first(batch: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if batch is None else batch[0]


def _estimate_in_tiles(
    backend: Backend, image: NDArray[Any], camera: Camera | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Depth as `tiled_depth` has it; its relative error is that of the view of the whole."""
    if backend.working_size is None:
        raise LeadlineError(f"{backend.name} does not tell the size at which it works, which tiles need: drop --tile")
    errors: list[NDArray[np.float32] | None] = []

    def ask(part: Tensor) -> Tensor:
        height, width = part.shape[-2:]
        # The first part is the whole, made smaller; a tile is brought to the whole's scale by its depth.
        known = camera is not None and not errors and camera.source is not CameraSource.ASSUMED
        estimate = backend.estimate(
            [part[0].permute(1, 2, 0).numpy()], [camera.resized(width, height) if camera and known else None]
        )
        errors.append(_first(estimate.relative_error))
        return torch.from_numpy(estimate.values)[None]

    whole = torch.from_numpy(image).permute(2, 0, 1)[None]
    depth_m = tiled_depth(whole, ask, *backend.working_size)[0, 0].numpy()
    if errors[0] is None:
        return depth_m, None
    error = resize_depth(torch.from_numpy(errors[0])[None, None], *depth_m.shape)
    return depth_m, error[0, 0].numpy()


def as_picture(picture: AnyPicture, max_pixels: int) -> Picture:
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
    shape = picture.size if isinstance(picture, Image.Image) else picture.shape
    if 0 in shape:
        raise LeadlineError(f"a picture must have pixels, got one of size {tuple(shape)}: give one that is not empty")
    if isinstance(picture, Image.Image):
        return as_seen(picture, max_pixels)
    if isinstance(picture, np.ndarray):
        picture = torch.from_numpy(picture.copy()).permute(2, 0, 1) if picture.ndim == 3 else torch.empty(0)
    if picture.ndim != 3 or picture.shape[0] != 3:
        raise LeadlineError("a picture must be (H, W, 3) as an array or (3, H, W) as a tensor; convert it to RGB")
    rgb = picture / 255 if picture.dtype == torch.uint8 else picture
    if not rgb.is_floating_point() or not bool(((rgb >= 0) & (rgb <= 1)).all()):
        raise LeadlineError(f"a picture must be 8-bit, or float in [0, 1]; got {picture.dtype} outside of it")
    return Picture(rgb.float(), None, (rgb.shape[-2], rgb.shape[-1]))
