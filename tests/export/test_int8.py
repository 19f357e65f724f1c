"""A tiny vision transformer with 8-bit products answers nearly what it does in float32."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from leadline.backends.graph_model import open_graph, overflows_in_int8
from leadline.errors import LeadlineError
from leadline.export.graphs import add_graph, add_int8_graph
from leadline.export.int8 import RECIPES, Recipe, Seen, plan
from leadline.models.build import build_model
from leadline.models.checkpoint import save_checkpoint
from leadline.models.settings import DecoderSettings, EncoderSettings, HeadSettings, ModelSettings

SETTINGS = ModelSettings(
    height=64,
    width=96,
    multiple_px=16,
    encoder=EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4, weights="none"),
    decoder=DecoderSettings(kind="dpt", width=16),
    head=HeadSettings(min_depth_m=0.5, max_depth_m=8.0, uncertainty=True),
)


def images(number: int) -> NDArray[np.float32]:
    """Smooth random pictures (n, 1, 3, h, w)."""
    coarse = torch.rand(number, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (64, 96), mode="bicubic").clamp(0, 1)[:, None].numpy()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, traced_once) -> Path:
    torch.manual_seed(0)
    folder, model = Path(tmp_path_factory.mktemp("model")), build_model(SETTINGS).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # such as norms' gains, which begin alike
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_checkpoint(folder, model, {"encoder_licence": "MIT"}, "card")
    add_graph(folder)
    add_int8_graph(folder, iter(images(8)))
    return folder


def test_metres_and_error_are_nearly_those_of_float32(checkpoint: Path) -> None:
    photos = [np.rint(255 * it[0].transpose(1, 2, 0)).astype(np.uint8) for it in images(8)]
    exact, rounded = (
        open_graph(str(checkpoint), precision=precision).estimate(photos, [None] * len(photos))
        for precision in ("float32", "int8")
    )
    change = np.log(rounded.values / exact.values)
    coarser = 3 if overflows_in_int8() else 1
    assert 0 < np.abs(change).mean() < 0.01 * coarser and abs(change.mean()) < 0.005 * coarser
    assert exact.relative_error is not None and rounded.relative_error is not None
    np.testing.assert_allclose(rounded.relative_error, exact.relative_error, rtol=0.05 * coarser)


def test_a_checkpoint_whose_weights_are_gone_is_refused_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "network.int8.safetensors").unlink()
    with pytest.raises(LeadlineError, match="copy the folder again"):
        open_graph(str(broken), precision="int8")


def test_how_a_product_is_fed_by_hand() -> None:
    seen = Seen(np.array([-1.0, 0.0, -3.0]), np.array([3.0, 2.0, 27.0]), np.array([1.0, 1.0, 2.0]))
    weight = np.array([[1.0, -2.0], [1.0, 1.0], [0.5, 0.5]])
    found = plan(weight, Recipe(1.0, num_outliers=1), seen)
    assert found.outliers.tolist() == [2]
    assert found.shift.tolist() == [1, 1, 12]  # the middles of the ranges, which reach 2, 1 and 15 to either side
    np.testing.assert_allclose(found.smooth, np.array([2, 1, 15]) / 30 ** (1 / 3))
    # Without the outlier both reach 30 ** (1/3) = 3.107 to either side, in 255 steps.
    assert found.scale == pytest.approx(2 * 30 ** (1 / 3) / 255) and found.zero == 128
    np.testing.assert_allclose(found.mean, [0, 0, -10 / 15 * 30 ** (1 / 3)], atol=1e-6)


def test_only_what_comes_out_of_gelu_is_fed_in_two_terms() -> None:
    assert [part for part, recipe in RECIPES.items() if recipe.two_terms] == ["fc2"]
