"""Attention of plain vision transformers that suits processors."""

from collections.abc import Iterable
from typing import Any

import torch
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn

from leadline.device import multiplies_in_tiles

SCORES_AT_ONCE = 2**20
"""How many scores of a token for a token are in memory at a time: 4 MB of float32, nearly what a core's cache holds."""


class CachedAttention(Attention):
    """timm's attention; on processors without AMX few heads at a time, each as two products and a softmax.

    PyTorch's fused attention takes twice the time there, and all heads at once half as long again at 1100 tokens:
    their scores fit no cache, and memory of that size is asked of the system anew each time. With AMX the fused one is
    the quicker for predicting, by a sixth at 1100 tokens; for training it takes half as long again there too.
    """

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, **more: Any) -> Tensor:  # type: ignore[override]
        """Tokens of the same shape (B, N, C)."""
        fused_is_quicker = x.device.type != "cpu" or (multiplies_in_tiles() and not torch.is_grad_enabled())
        if fused_is_quicker or attn_mask is not None or any(more.values()):
            return super().forward(x, attn_mask, **more)
        batch, num_tokens, _ = x.shape
        query, key, value = self.qkv(x).reshape(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        heads_at_once = max(1, SCORES_AT_ONCE // (batch * num_tokens**2))
        parts = (self.q_norm(query) * self.scale, self.k_norm(key), value)
        groups = zip(*(part.split(heads_at_once, 1) for part in parts), strict=True)
        heads = torch.cat([(q @ k.mT).softmax(-1) @ v for q, k, v in groups], 1)
        return self.proj_drop(self.proj(heads.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


def attend_in_cache(blocks: Iterable[Any]) -> None:
    """Give timm's blocks `CachedAttention`; their weights and the names of these stay.

    Args:
        blocks: each with its attention as `attn`. What is not timm's plain one (newer versions can have a gate, or a
            norm of the result) is left alone.
    """
    for block in blocks:
        extras = (getattr(block.attn, "gate", None), getattr(block.attn, "norm", None))
        if type(block.attn) is Attention and all(extra is None or type(extra) is nn.Identity for extra in extras):
            block.attn.__class__ = CachedAttention
