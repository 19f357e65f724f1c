from typing import cast

import pytest
import torch
from torch import Tensor, nn

from leadline.backends.torch_model import NativePredictor
from leadline.data.sample import Batch
from leadline.models.build import build_model
from leadline.models.heads import Estimate
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, HeadSettings, ModelSettings


class Columns(nn.Module):
    """Answers 1 m in the first column, 2 m in the second and so on, its error a tenth; twice that of a mirror image."""

    mean = torch.zeros(1)

    def estimate(self, image: Tensor, focal_px: Tensor) -> Estimate:
        columns = torch.arange(1.0, image.shape[-1] + 1).expand(1, 1, *image.shape[-2:])
        depth_m = (focal_px / 100).view(-1, 1, 1, 1) * columns
        mirrored = bool(image[0, 0, 0, 0] == 1)
        return Estimate(depth_m * (1 + mirrored), torch.full_like(depth_m, 0.1 * (1 + mirrored)))


def batch(focal_px: float) -> Batch:
    image = torch.zeros(1, 3, 2, 3)
    image[..., -1] = 1  # white on the right, so that a mirror image can be told
    intrinsics = torch.tensor([[[focal_px, 0, 1], [0, focal_px, 1], [0, 0, 1]]])
    nothing = torch.zeros(1, 1, 2, 3)
    return Batch(image, nothing, nothing.bool(), intrinsics, ["a"], [""])


def test_metres_and_their_error_follow_the_focal_length() -> None:
    values, uncertainty = NativePredictor(cast(DepthModel, Columns()), "columns")(batch(250), flip=False)
    torch.testing.assert_close(values[0, 0, 0], torch.tensor([2.5, 5.0, 7.5]))
    assert uncertainty is not None
    torch.testing.assert_close(uncertainty, 0.1 * values)


def test_the_mirror_image_is_turned_back_before_the_mean() -> None:
    values, uncertainty = NativePredictor(cast(DepthModel, Columns()), "columns")(batch(100), flip=True)
    # (1, 2, 3) and, turned back, (6, 4, 2); errors of 0.1 and 0.2.
    torch.testing.assert_close(values[0, 0, 0], torch.tensor([3.5, 3.0, 2.5]))
    assert uncertainty is not None
    torch.testing.assert_close(uncertainty, 0.15 * values)


@pytest.mark.parametrize("known", [True, False])
def test_uncertainty_is_there_where_the_model_has_it(known: bool) -> None:
    settings = ModelSettings(
        height=32,
        width=48,
        encoder=EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4),
        decoder=DecoderSettings(kind="dpt", width=16),
        head=HeadSettings(uncertainty=known),
    )
    answer = NativePredictor(build_model(settings).eval(), "tiny")(batch(float("nan")), flip=True)
    assert (answer.uncertainty is not None) == known
