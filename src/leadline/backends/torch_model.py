"""leadline's own models, by PyTorch."""

from collections.abc import Sequence

import torch

from leadline.backends.base import Estimate, Image, known_focal_px
from leadline.backends.batch import as_batch, concurrency_on, to_maps
from leadline.errors import LeadlineError
from leadline.geometry import Camera, CameraSource, Output
from leadline.models import DepthModel, autocast, has_native_bf16, open_model, pick_device


class TorchBackend:
    """A leadline model on its device; see `leadline.backends.base.Backend`.

    Attributes:
        model: the model.
        name: what it goes by.
        working_size: of the model's settings.
        concurrency: one image for each core; on another device one is read and one written meanwhile.
    """

    output = Output.METRES

    def __init__(self, model: DepthModel, name: str) -> None:
        """Join a model, on its device and in evaluation mode, with the name it goes by."""
        self.model, self.name = model, name
        self.working_size: tuple[int, int] | None = (model.settings.height, model.settings.width)
        self.device = model.mean.device.type
        self.runtime = f"torch {'bfloat16' if has_native_bf16(model.mean.device) else 'float32'}"
        self.concurrency = concurrency_on(model.mean.device)

    def assumed_camera(self, height: int, width: int) -> Camera | None:
        """The camera of the training images, at this size; None if it is not known."""
        focal_px = self.model.settings.view.assumed_focal_px(height, width)
        return None if focal_px is None else Camera.from_focal_px(focal_px, width, height, CameraSource.ASSUMED)

    @torch.inference_mode()
    def estimate(self, images: Sequence[Image], cameras: Sequence[Camera | None]) -> Estimate:
        """Metres and their relative error; an unknown camera is taken to be that of the training images."""
        device = self.model.mean.device
        focal_px = torch.tensor(known_focal_px(cameras))
        with autocast(device):
            depth_m, error = self.model.estimate(as_batch(images).to(device), focal_px)
        return Estimate(to_maps(depth_m), None if error is None else to_maps(error))


def open_torch(model: str) -> TorchBackend:
    """Load a leadline model onto the fastest device.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).

    Raises:
        LeadlineError: if there is no such model or its checkpoint is broken.
    """
    return TorchBackend(open_model(model, pick_device()), model)


def wrap_model(model: object) -> TorchBackend:
    """Make a backend of a loaded model, on the device where it is.

    Raises:
        LeadlineError: if it is no model.
    """
    if not isinstance(model, DepthModel):
        raise LeadlineError(f"a model is a name, a path, or what load_model returns; got {type(model).__name__}")
    return TorchBackend(model, "model")
