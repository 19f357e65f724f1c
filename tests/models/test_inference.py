from copy import deepcopy

import pytest
import torch
from torch import nn

from leadline.models import inference as quickened
from leadline.models.build import build_model
from leadline.models.device import has_native_bf16
from leadline.models.inference import optimize_for_inference
from leadline.models.inference_block import FusedViTBlock
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, HeadSettings, ModelSettings

PYRAMID = ModelSettings(
    height=36, width=48, encoder=EncoderSettings(name="mobilenetv3_small_050"), decoder=DecoderSettings(width=16)
)
SCALED_VIT = ModelSettings(
    height=56,
    width=70,
    encoder=EncoderSettings(name="vit_small_patch14_dinov2", num_blocks=4),
    decoder=DecoderSettings(kind="dpt", width=16),
    head=HeadSettings(kind="log", min_depth_m=0.1, uncertainty=True),
)


def trained(settings: ModelSettings) -> DepthModel:
    """A random model for predicting, whose layers' scales are of all sizes and signs."""
    torch.manual_seed(0)
    model = build_model(settings).eval()
    for name, value in model.named_parameters():
        if name.endswith("gamma"):
            nn.init.uniform_(value, -1, 1)
    return model


@pytest.mark.parametrize("native", [True, False])
def test_products_are_rounded_once_where_the_machine_multiplies_bfloat16(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    monkeypatch.setattr(quickened, "has_native_bf16", lambda device: native)
    loaded, image = trained(PYRAMID), torch.rand(1, 3, 36, 48)
    quick = deepcopy(loaded)
    optimize_for_inference(quick)
    types = {name: value.dtype for name, value in quick.named_parameters()}
    assert types.pop("network.decoder.bottleneck.weight") is (torch.bfloat16 if native else torch.float32)
    assert types["head.conv.weight"] is torch.float32  # steps of a centimetre or three otherwise
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=native):
        assert torch.equal(quick(image), loaded(image))


def test_layers_scales_become_part_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickened, "has_native_bf16", lambda device: False)
    loaded, image = trained(SCALED_VIT), torch.rand(2, 3, 60, 80)
    quick = deepcopy(loaded)
    optimize_for_inference(quick)
    assert sum(name.endswith("gamma") for name, _ in loaded.named_parameters()) == 8
    assert not any(name.endswith("gamma") for name, _ in quick.named_parameters())
    with torch.inference_mode():
        wanted, answered = loaded.estimate(image), quick.estimate(image)
    assert wanted.depth_m.std() > 0.01
    torch.testing.assert_close(answered.depth_m, wanted.depth_m, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(answered.relative_error, wanted.relative_error, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not has_native_bf16(torch.device("cpu")), reason="the processor does not multiply bfloat16")
def test_a_processor_that_multiplies_bfloat16_has_blocks_made_for_it() -> None:
    loaded, image = trained(SCALED_VIT), torch.rand(1, 3, 60, 80)
    quick = deepcopy(loaded)
    optimize_for_inference(quick)
    assert sum(isinstance(module, FusedViTBlock) for module in quick.modules()) == 4
    with torch.inference_mode():
        wanted = loaded(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            usual, answered = loaded(image), quick(image)
    assert (answered - wanted).abs().mean() < 3 * (usual - wanted).abs().mean()


def test_scales_after_a_layer_of_an_unknown_kind_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange(nn.Module):
        pass

    monkeypatch.setattr(quickened, "has_native_bf16", lambda device: False)
    model = trained(SCALED_VIT)
    blocks = [module for module in model.modules() if hasattr(module, "ls1")]
    blocks[0].mlp = Strange()
    optimize_for_inference(model)
    assert [hasattr(block.ls2, "gamma") for block in blocks] == [True, False, False, False]
    assert not any(hasattr(block.ls1, "gamma") for block in blocks)
