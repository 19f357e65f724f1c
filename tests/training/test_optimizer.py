import pytest
import torch
from torch import nn

from leadline.errors import LeadlineError
from leadline.models.build import build_model
from leadline.models.model import DepthModel
from leadline.models.settings import DecoderSettings, EncoderSettings, ModelSettings, PlainSettings
from leadline.training.optimizer import build_optimizer
from leadline.training.settings import OptimizerSettings

RATES = OptimizerSettings(learning_rate=1e-2, encoder_rate=0.1, weight_decay=0.05, warmup=0.2)


def vit() -> DepthModel:
    encoder = EncoderSettings(name="vit_tiny_patch16_224", num_blocks=4)
    decoder = DecoderSettings(kind="dpt", width=16)
    return build_model(ModelSettings(height=32, width=48, encoder=encoder, decoder=decoder))


def rates(model: DepthModel, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    """(highest rate, weight decay) by the parameter's name."""
    names = {id(value): name for name, value in model.named_parameters()}
    return {
        names[id(value)]: (group["initial_lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for value in group["params"]
    }


def test_each_block_has_its_share_of_the_next_ones_rate() -> None:
    model = vit()
    found = rates(model, build_optimizer(model, RATES.model_copy(update={"layer_decay": 0.5}), 10)[0])
    assert found.keys() == {name for name, _ in model.named_parameters()}
    body = "network.encoder.body"
    # The last block, and the norm behind it, have the whole of 1e-3, each layer before it half of the next one's.
    expected = {f"blocks.{block}.mlp.fc1.weight": 1e-3 / 2 ** (3 - block) for block in range(4)}
    for name, rate in {**expected, "patch_embed.proj.weight": 1e-3 / 16, "norm.weight": 1e-3}.items():
        assert found[f"{body}.{name}"][0] == pytest.approx(rate), name
    assert found["head.conv.weight"] == (1e-2, 0.05)
    # Norms and biases are not drawn towards zero.
    assert found[f"{body}.blocks.0.norm1.weight"][1] == 0
    assert found[f"{body}.blocks.0.mlp.fc1.weight"][1] == 0.05


def test_without_layer_decay_the_encoder_has_one_rate() -> None:
    model = vit()
    found = rates(model, build_optimizer(model, RATES, 10)[0])
    assert {value for name, value in found.items() if ".encoder." in name} == {(1e-3, 0.05)}
    assert {value for name, value in found.items() if ".encoder." not in name} == {(1e-2, 0.05)}


def test_the_rate_rises_and_falls() -> None:
    model = build_model(ModelSettings(network="cae", plain=PlainSettings(width=4)))
    optimizer, schedule = build_optimizer(model, RATES, 10)
    seen = []
    for _ in range(10):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen[0] == pytest.approx(5e-3)  # half of two steps' warm-up
    assert max(seen) == seen[2] == pytest.approx(1e-2)
    assert seen[6] == pytest.approx(5e-3)  # halfway down the cosine of eight steps
    assert seen[2:] == sorted(seen[2:], reverse=True)


def test_layer_decay_needs_blocks() -> None:
    model = build_model(ModelSettings(network="unet", plain=PlainSettings(width=4, levels=2)))
    with pytest.raises(LeadlineError, match="layer_decay wants an encoder whose blocks timm can tell apart"):
        build_optimizer(model, RATES.model_copy(update={"layer_decay": 0.9}), 10)
    assert isinstance(model.network, nn.Module)
