from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from leadline.backends.base import Image
from leadline.backends.torch_model import TorchBackend, open_torch, wrap_model
from leadline.data import image_tensor
from leadline.errors import LeadlineError
from leadline.geometry.camera import Camera, CameraSource
from leadline.io.images import read_image
from leadline.models.build import build_model
from leadline.models.checkpoint import open_model
from leadline.models.device import autocast, pick_device
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, HeadSettings, ModelSettings

ROOM = Path(__file__).parents[2] / "examples" / "room_1.jpg"


class Columns(nn.Module):
    """Answers 1 m in the first column, 2 m in the second and so on, for a camera of 100 px; its error is a tenth."""

    mean = torch.zeros(1)
    settings = ModelSettings(height=40, width=64)

    def estimate(self, image: Tensor, focal_px: Tensor) -> Estimate:
        columns = torch.arange(1.0, image.shape[-1] + 1).expand(len(image), 1, *image.shape[-2:])
        times = (focal_px / 100).nan_to_num(1.0).view(-1, 1, 1, 1)
        return Estimate(times * columns, torch.full_like(columns, 0.1))


def columns() -> TorchBackend:
    return TorchBackend(cast(DepthModel, Columns()), "columns")


def noise(count: int = 1, height: int = 45, width: int = 61) -> list[Image]:
    generator = np.random.default_rng(0)
    return list(generator.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def test_metres_follow_the_focal_length_of_each_image_where_it_is_known() -> None:
    cameras: Sequence[Camera | None] = [
        Camera.from_focal_px(250, 3, 2),
        Camera.from_focal_px(250, 3, 2, CameraSource.DATA_SET),
        Camera.from_focal_px(250, 3, 2, CameraSource.ASSUMED),  # is what the model takes anyway
        None,
    ]
    estimate = columns().estimate([np.zeros((2, 3, 3), np.float32)] * 4, cameras)
    assert estimate.values.shape == (4, 2, 3) and estimate.values.dtype == np.float32
    np.testing.assert_allclose(estimate.values[:, 1], [[2.5, 5.0, 7.5]] * 2 + [[1.0, 2.0, 3.0]] * 2)
    assert estimate.relative_error is not None
    np.testing.assert_allclose(estimate.relative_error, np.full((4, 2, 3), 0.1))


def test_bytes_and_floats_are_the_same_image(tiny_model: DepthModel) -> None:
    backend, images = TorchBackend(tiny_model, "tiny"), noise(2)
    floats = [image.astype(np.float32) / np.float32(255) for image in images]
    first, second = (backend.estimate(each, [None, None]).values for each in (images, floats))
    assert first.std() > 1e-3
    np.testing.assert_array_equal(first, second)


def test_a_read_only_and_a_mirrored_view_are_images_too(tiny_model: DepthModel) -> None:
    backend, (image,) = TorchBackend(tiny_model, "tiny"), noise()
    expected = backend.estimate([image[:, ::-1].copy()], [None]).values
    image.flags.writeable = False
    np.testing.assert_array_equal(backend.estimate([image[:, ::-1]], [None]).values, expected)


@pytest.mark.parametrize("focal_px", [None, 500.0])
def test_the_values_are_the_models_own_for_a_file(tiny_checkpoint: Path, focal_px: float | None) -> None:
    """To the bit, as `read_image` gives the pixels."""
    rgb, model = image_tensor(read_image(ROOM).rgb), open_model(tiny_checkpoint, pick_device())
    with torch.inference_mode(), autocast(pick_device()):
        known_px = None if focal_px is None else torch.tensor([focal_px])
        expected = model.estimate(rgb[None].to(pick_device()), known_px).depth_m[:, 0].float().cpu().numpy()
    image = (rgb * 255).round().byte().permute(1, 2, 0).numpy()
    camera = None if focal_px is None else Camera.from_focal_px(focal_px, rgb.shape[-1], rgb.shape[-2])
    np.testing.assert_array_equal(open_torch(str(tiny_checkpoint)).estimate([image], [camera]).values, expected)


@pytest.mark.parametrize("known", [True, False])
def test_the_relative_error_is_there_where_the_model_has_it(known: bool) -> None:
    settings = ModelSettings(
        height=32,
        width=48,
        encoder=EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4),
        decoder=DecoderSettings(kind="dpt", width=16),
        head=HeadSettings(uncertainty=known),
    )
    estimate = TorchBackend(build_model(settings).eval(), "tiny").estimate(noise(), [None])
    assert (estimate.relative_error is not None) == known


def test_the_assumed_camera_is_that_of_the_training_images_at_this_size(tiny_model: DepthModel) -> None:
    backend = TorchBackend(tiny_model, "tiny")
    assert backend.working_size == (36, 48)
    # Twice the working size in both directions: 80 px for its 40.
    assert backend.assumed_camera(72, 96) == Camera.from_focal_px(80.0, 96, 72, CameraSource.ASSUMED)
    tiny_model.settings = tiny_model.settings.model_copy(update={"focal_px": None})
    assert backend.assumed_camera(72, 96) is None


@pytest.mark.parametrize(
    ("device", "threads", "expected"), [("cpu", 2, 2), ("cpu", 64, 8), ("meta", 64, 3)], ids=["cpu", "cores", "other"]
)
def test_an_image_for_each_core_and_three_beside_another_device(
    tiny_model: DepthModel, monkeypatch: pytest.MonkeyPatch, device: str, threads: int, expected: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert TorchBackend(tiny_model.to(device), "tiny").concurrency == expected


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(LeadlineError, match="a model is a name, a path, or what load_model returns; got int"):
        wrap_model(7)
