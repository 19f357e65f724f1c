from copy import deepcopy

import pytest
import timm
import torch
from timm.models.vision_transformer import Attention
from torch import nn

from leadline.models import vit_attention as attention
from leadline.models.vit_attention import CachedAttention, chunked_attention


def blocks(qk_norm: bool = False) -> nn.ModuleList:
    """Three random blocks of three heads."""
    torch.manual_seed(0)
    body = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=3, embed_dim=48, num_heads=3, qk_norm=qk_norm)
    return body.blocks


def through(layers: nn.ModuleList, tokens: torch.Tensor) -> torch.Tensor:
    for block in layers:
        tokens = block(tokens)
    return tokens


@pytest.mark.parametrize("scores_at_once", [1, 2 * 2 * 17**2, 2**20])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_any_number_of_heads_at_a_time_gives_what_timm_gives(
    monkeypatch: pytest.MonkeyPatch, scores_at_once: int, qk_norm: bool
) -> None:
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", scores_at_once)  # one head, two and one, all
    plain = blocks(qk_norm)
    cached = deepcopy(plain)
    chunked_attention(cached)
    assert all(type(block.attn) is CachedAttention for block in cached)
    assert list(cached.state_dict()) == list(plain.state_dict())
    tokens = torch.randn(2, 17, 48)
    torch.testing.assert_close(through(cached, tokens), through(plain, tokens), rtol=1e-4, atol=1e-5)


def test_gradients_are_the_same() -> None:
    plain = blocks()
    cached = deepcopy(plain)
    chunked_attention(cached)
    tokens = torch.randn(1, 17, 48)
    for layers in (plain, cached):
        through(layers, tokens).square().sum().backward()
    for one, other in zip(plain.parameters(), cached.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_a_processor_with_tiles_predicts_with_the_fused_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = blocks()
    cached = deepcopy(plain)
    chunked_attention(cached)
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", None)  # our own would stumble over it
    monkeypatch.setattr(attention, "multiplies_in_tiles", lambda: True)
    tokens = torch.randn(2, 17, 48)
    with torch.no_grad():
        torch.testing.assert_close(through(cached, tokens), through(plain, tokens))
    with pytest.raises(TypeError):  # training has its own
        through(cached, tokens)


def test_a_mask_is_kept() -> None:
    layer = blocks()[0].attn
    tokens, mask = torch.randn(1, 17, 48), torch.rand(17, 17) < 0.5
    mask |= torch.eye(17, dtype=torch.bool)
    wanted = layer(tokens, attn_mask=mask)
    layer.__class__ = CachedAttention
    torch.testing.assert_close(layer(tokens, attn_mask=mask), wanted)
    assert not torch.allclose(layer(tokens), wanted)


def test_attention_of_another_kind_is_left_alone() -> None:
    class Other(Attention):
        pass

    layers = blocks()
    layers[1].attn.__class__ = Other
    layers[2].attn.norm = nn.LayerNorm(48)
    chunked_attention(layers)
    assert [type(block.attn) for block in layers] == [CachedAttention, Other, Attention]
