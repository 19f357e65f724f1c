"""leadline's own models as predictors."""

from pathlib import Path

import torch

from leadline.backends.base import Answer
from leadline.data import Batch
from leadline.geometry import Output
from leadline.models import DepthModel, autocast, open_model, pick_device


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
