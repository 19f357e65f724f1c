"""leadline's own models in PyTorch."""

from collections.abc import Sequence
from math import nan
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leadline.backends.base import Answer, Estimate, Image
from leadline.data import Batch
from leadline.geometry import Camera, CameraSource, Output
from leadline.models import DepthModel, autocast, open_model, pick_device

MAX_CONCURRENCY = 8
"""Images at a time at most: each keeps the network's maps of it in memory."""
ON_AN_ACCELERATOR = 3
"""Images at a time where the network runs elsewhere: one is read, one waits for the network, one is written."""


class TorchBackend:
    """A leadline model on its device; see `leadline.backends.base.Backend`.

    A CPU is used best with an image for each of its cores: threads that share a small network's layers wait for each
    other at every one of them, and reading and writing beside them take a core from the one or the other.
    """

    output = Output.METRES

    def __init__(self, model: DepthModel, name: str) -> None:
        """Join a model, on its device, with the name it goes by."""
        self.model, self.name = model, name
        self.working_size: tuple[int, int] | None = (model.settings.height, model.settings.width)
        on_cpu = model.mean.device.type == "cpu"
        self.concurrency = min(torch.get_num_threads(), MAX_CONCURRENCY) if on_cpu else ON_AN_ACCELERATOR

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """That of the training images, if it is known."""
        focal_px = self.model.assumed_focal_px(height, width)
        return None if focal_px is None else Camera.from_focal_px(focal_px, width, height, CameraSource.ASSUMED)

    @torch.inference_mode()
    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Metres, as `Backend` says."""
        device = self.model.mean.device
        batch = torch.cat([image_tensor(image) for image in images]).to(device)
        focal_px = torch.tensor([_known_focal_px(camera) for camera in cameras])
        with autocast(device):
            depth_m, error = self.model.estimate(batch, None if focal_px.isnan().all() else focal_px)
        return Estimate(_maps(depth_m), None if error is None else _maps(error))


def image_tensor(image: Image) -> Tensor:
    """RGB in [0, 1], (1, 3, H, W), of an image (H, W, 3), uint8 or float32."""
    values = torch.from_numpy(np.ascontiguousarray(image) if image.dtype == np.uint8 else image).permute(2, 0, 1)[None]
    return values.float().div_(255) if values.dtype == torch.uint8 else values


def _known_focal_px(camera: Camera | None) -> float:
    """NaN where the model is to take its training images' focal length."""
    return nan if camera is None or camera.source is CameraSource.ASSUMED else camera.focal_px


def _maps(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    maps: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = values[:, 0].float().cpu().numpy()
    return maps


def open_torch(model: str | Path) -> TorchBackend:
    """Load a leadline model onto the fastest device.

    Args:
        model: as `leadline.models.checkpoint.open_model`.

    Raises:
        LeadlineError: if there is no such model or its checkpoint is broken.
    """
    return TorchBackend(open_model(model, pick_device()), str(model))


class NativePredictor:
    """A leadline model. Where the data set knows the pictures' focal length, the metres are those of that camera."""

    output = Output.METRES

    def __init__(self, model: DepthModel, name: str) -> None:
        """Join a model, on its device, with the name it goes by."""
        self.model, self.name = model, name

    @torch.inference_mode()
    def __call__(self, batch: Batch, flip: bool) -> Answer:
        """Metres, as `Predictor` says."""
        device = self.model.mean.device
        image, focal_px = batch.image.to(device), batch.intrinsics[:, 0, 0]
        with autocast(device):
            pred_m, error = self.model.estimate(image, focal_px)
            if flip:
                mirrored_m, mirrored_error = self.model.estimate(image.flip(-1), focal_px)
                pred_m = (pred_m + mirrored_m.flip(-1)) / 2
                error = None if error is None or mirrored_error is None else (error + mirrored_error.flip(-1)) / 2
        metres = pred_m.cpu()
        return Answer(metres, None if error is None else metres * error.cpu())


def open_native(model: str | Path) -> NativePredictor:
    """Load a leadline model onto the fastest device.

    Args:
        model: as `leadline.models.checkpoint.open_model`.

    Raises:
        LeadlineError: if there is no such model or its checkpoint is broken.
    """
    return NativePredictor(open_model(model, pick_device()), str(model))
