from copy import deepcopy
from typing import Any

import pytest
import timm
import torch
from torch import nn

from leadline.models.device import autocast, has_native_bf16
from leadline.models.inference_block import FusedViTBlock, supports_fused
from leadline.models.vit_attention import chunked_attention

CPU = torch.device("cpu")


def random_block(**settings: Any) -> Any:
    """A block of three heads, with norms and biases that do something."""
    torch.manual_seed(0)
    made = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1, embed_dim=48, num_heads=3, **settings)
    for name, value in made.named_parameters():
        if "norm" in name or name.endswith("bias"):
            nn.init.uniform_(value, 0.5, 1.5)
    chunked_attention(made.blocks)
    return made.blocks.eval()[0]


@pytest.mark.parametrize(("batch", "num_tokens"), [(1, 17), (2, 16), (1, 300)])
def test_it_answers_what_the_block_does(batch: int, num_tokens: int) -> None:
    block = random_block()
    tokens = torch.randn(batch, num_tokens, 48)
    with torch.inference_mode():
        torch.testing.assert_close(FusedViTBlock(block)(tokens), block(tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not has_native_bf16(CPU), reason="the processor does not multiply bfloat16")
def test_in_bfloat16_it_is_as_near_as_autocast() -> None:
    exact = random_block()
    rounded = deepcopy(exact).to(torch.bfloat16)
    quick = FusedViTBlock(rounded)
    tokens = torch.randn(1, 17, 48)
    with torch.inference_mode(), autocast(CPU):
        answered, usual = quick(tokens), exact(tokens)
    assert answered.dtype is torch.bfloat16
    with torch.inference_mode():
        wanted = exact(tokens)
    assert (answered - wanted).abs().mean() < 3 * (usual - wanted).abs().mean()


def test_outside_of_inference_mode_it_is_the_block() -> None:
    block = random_block()
    quick, tokens = FusedViTBlock(block), torch.randn(1, 17, 48)
    assert torch.equal(quick(tokens), block(tokens))
    quick(tokens).sum().backward()
    assert block.mlp.fc1.weight.grad.abs().sum() > 0
    assert sum(weight.numel() for weight in quick.parameters()) == sum(weight.numel() for weight in block.parameters())


def test_a_mask_is_kept() -> None:
    block, tokens, mask = random_block(), torch.randn(1, 17, 48), torch.eye(17, dtype=torch.bool)
    with torch.inference_mode():
        assert torch.equal(FusedViTBlock(block)(tokens, attn_mask=mask), block(tokens, attn_mask=mask))


def test_only_blocks_of_the_plain_kind_can_be_quick() -> None:
    assert supports_fused(random_block())
    assert not supports_fused(nn.Identity())
    for settings in ({"qk_norm": True}, {"init_values": 0.1}, {"qkv_bias": False}, {"act_layer": nn.ReLU}):
        assert not supports_fused(random_block(**settings)), settings
    softer = random_block()
    softer.mlp.act = nn.GELU(approximate="tanh")
    assert not supports_fused(softer)
