"""Prediction: a picture becomes metres."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from leadline.errors import LeadlineError
from leadline.geometry import pinhole, resize_depth, resize_intrinsics
from leadline.io import GivenCamera, Intrinsics, Picture, as_seen, given_camera, read_image
from leadline.models import DepthModel, Estimate, autocast, open_model, pick_device
from leadline.prediction.result import Prediction
from leadline.prediction.tiling import tiled_depth

MAX_PIXELS = 50_000_000
"""Pictures with more pixels are predicted, and written, smaller; 8000×6000 is still whole."""

AnyPicture = str | Path | Image.Image | NDArray[Any] | Tensor | Picture


def predict(
    picture: AnyPicture,
    model: DepthModel | str | Path = "default",
    *,
    focal_px: float | None = None,
    fov_deg: float | None = None,
    intrinsics: Intrinsics | None = None,
    max_pixels: int = MAX_PIXELS,
    tiled: bool = False,
) -> Prediction:
    """Predict the depth of one picture.

    Depth scales with the focal length. It is taken from the arguments, else from the picture's EXIF block, else
    assumed to be that of the training pictures.

    Args:
        picture: a file; a PIL image, which is looked at as its file is; an array (H, W, 3), 8-bit or float in [0, 1];
            a tensor (3, H, W) in [0, 1]; or a `Picture` that was read before.
        model: a model, or what `load_model` takes. Load it once for many pictures.
        focal_px: focal length in pixels of the picture as it is in its file.
        fov_deg: horizontal field of view in degrees, instead of `focal_px`.
        intrinsics: the camera's file or its matrix (3, 3) in pixels of the picture, instead of both.
        max_pixels: larger picture files are read smaller, and the camera follows.
        tiled: whether tiles add details that one look at the whole misses, see `tiled_depth`; slower.

    Returns:
        The prediction, at the picture's own size.

    Raises:
        LeadlineError: if the picture cannot be read, or the camera is impossible or does not fit it.
    """
    given = given_camera(focal_px, fov_deg, intrinsics)
    network = model if isinstance(model, DepthModel) else open_model(model, pick_device())
    return predict_picture(as_picture(picture, max_pixels), network, given, tiled)


@torch.inference_mode()
def predict_picture(picture: Picture, model: DepthModel, given: GivenCamera | None, tiled: bool = False) -> Prediction:
    """Predict the depth of a picture that is read already; see `predict`.

    Args:
        picture: the picture.
        model: the model, on its device.
        given: what is told of its camera.
        tiled: whether tiles add details, see `predict`.

    Raises:
        LeadlineError: if the camera does not fit the picture.
    """
    height, width = picture.rgb.shape[-2:]
    intrinsics, source = _choose_intrinsics(picture, model, given)
    device = model.mean.device
    with autocast(device):
        image = picture.rgb[None].to(device)
        focal_px = None if intrinsics is None or source == "assumed" else intrinsics[:1, 0]
        estimate = partial(_estimate_in_tiles, model) if tiled else model.estimate
        depth_m, relative_error = estimate(image, focal_px)
    # A small error of the logarithm is the error's share of the depth.
    uncertainty_m = None if relative_error is None else _as_map(depth_m * relative_error)
    depth = _as_map(depth_m)
    # A channel at a time: all three as floats would double what a large picture takes.
    rgb = torch.stack([(channel * 255).round_().to(torch.uint8) for channel in picture.rgb], dim=-1).numpy()
    matrix = None if intrinsics is None else intrinsics.numpy()
    return Prediction(rgb, depth, np.isfinite(depth), matrix, source, uncertainty_m)


def _estimate_in_tiles(model: DepthModel, image: Tensor, focal_px: Tensor | None) -> Estimate:
    """Depth as `tiled_depth` has it; its relative error is that of the first look, the one at the whole."""
    errors: list[Tensor | None] = []

    def ask(part: Tensor) -> Tensor:
        if errors:  # a tile, which is brought to the whole's scale
            return model.estimate(part).depth_m
        shown_px = None if focal_px is None else focal_px * part.shape[-1] / image.shape[-1]
        depth_m, relative_error = model.estimate(part, shown_px)
        errors.append(relative_error)
        return depth_m

    depth_m = tiled_depth(image, ask, model.settings.height, model.settings.width)
    return Estimate(depth_m, None if errors[0] is None else resize_depth(errors[0], *image.shape[-2:]))


def _as_map(values: Tensor) -> NDArray[np.float32]:
    """float32 (H, W) from a batch of one."""
    found: NDArray[np.float32] = values[0, 0].float().cpu().numpy()
    return found


def _choose_intrinsics(picture: Picture, model: DepthModel, given: GivenCamera | None) -> tuple[Tensor | None, str]:
    height, width = picture.rgb.shape[-2:]
    if given is not None:
        return resize_intrinsics(given(*picture.full_size), picture.full_size, (height, width)), "given"
    if picture.focal_px is not None:
        return pinhole(picture.focal_px, height, width), "EXIF"
    assumed_px = model.assumed_focal_px(height, width)
    return None if assumed_px is None else pinhole(assumed_px, height, width), "assumed"


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
