"""Attention of plain vision transformers that suits processors."""

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn

from leadline.models.device import multiplies_in_tiles

SCORES_AT_ONCE = 2**20
"""How many scores of a token for a token are in memory at a time: 4 MB of float32, nearly what a core's cache holds."""
KEYS_MULTIPLE = 16
"""PyTorch's fused attention takes up to three times as long on a processor where the number of keys is no multiple."""


class CachedAttention(Attention):
    """timm's attention; on processors without AMX few heads at a time, each as two products and a softmax.

    PyTorch's fused attention takes twice the time there, and all heads at once half as long again at 1100 tokens:
    their scores fit no cache, and memory of that size is asked of the system anew each time. With AMX the fused one is
    the quicker for predicting, by a sixth at 1100 tokens; for training it takes half as long again there too.
    """

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:  # type: ignore[override]
        """Tokens of the same shape (B, N, C)."""
        # Whoever exports or compiles wants one known operator.
        if x.device.type != "cpu" or attn_mask is not None or any(more.values()) or torch.compiler.is_compiling():
            return super().forward(x, attn_mask, **more)
        batch, num_tokens, _ = x.shape
        query, key, value = self.qkv(x).reshape(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        heads = attend(self.q_norm(query), self.k_norm(key), value, self.scale)
        return self.proj_drop(self.proj(heads.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention on a processor, in the way that is quickest there.

    Args:
        query: (B, heads, N, C).
        key: of the same shape.
        value: of the same shape.
        scale: what the products of queries and keys are multiplied by before the softmax.

    Returns:
        (B, heads, N, C).
    """
    fused = multiplies_in_tiles() and not torch.is_grad_enabled()
    return (_fused if fused else _few_heads_at_a_time)(query, key, value, scale)


def _few_heads_at_a_time(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Two products and a softmax of as many heads as fit a core's cache."""
    heads_at_once = max(1, SCORES_AT_ONCE // (query.shape[0] * query.shape[2] ** 2))
    groups = zip(*(torch.split(part, heads_at_once, 1) for part in (query * scale, key, value)), strict=True)
    return torch.cat([(q @ k.mT).softmax(-1) @ v for q, k, v in groups], 1)


def _fused(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """PyTorch's own, with keys that nobody attends to up to the next multiple."""
    missing = -key.shape[2] % KEYS_MULTIPLE
    mask = None
    if missing:
        mask = F.pad(key.new_zeros(1, 1, 1, key.shape[2]), (0, missing), value=-math.inf)
        key, value = (F.pad(part, (0, 0, 0, missing)) for part in (key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def chunked_attention(blocks: Iterable[Any]) -> None:
    """Give timm's blocks `CachedAttention`; their weights and the names of these stay.

    Args:
        blocks: each with its attention as `attn`. What is not timm's plain one (newer versions can have a gate, or a
            norm of the result) is left alone.
    """
    for block in blocks:
        extras = (getattr(block.attn, "gate", None), getattr(block.attn, "norm", None))
        if type(block.attn) is Attention and all(extra is None or type(extra) is nn.Identity for extra in extras):
            block.attn.__class__ = CachedAttention
