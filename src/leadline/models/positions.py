"""Positions of a vision transformer's patches, resampled once for all pictures of a size."""

from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor


class RememberedPositions(VisionTransformer):
    """timm's vision transformer that, when it predicts, remembers what it adds to the patches of the last size.

    timm resamples the positions of its pretraining for each picture anew, a twentieth of a small network's time.
    """

    _remembered: tuple[Any, Tensor] | None = None

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Tokens (B, N, C), those before the patches among them, from patches (B, h, w, C)."""
        sources = [part for part in (self.pos_embed, self.cls_token, self.reg_token) if part is not None]
        # Tensors made in inference mode do not tell whether they have changed.
        if self.training or torch.is_grad_enabled() or any(part.is_inference() for part in sources):
            return super()._pos_embed(x)
        key = (x.shape[1:], x.device, *((part.data_ptr(), part._version) for part in sources))
        remembered = self._remembered
        if remembered is None or remembered[0] != key:
            nothing = torch.zeros(1, *x.shape[1:], device=x.device)
            remembered = self._remembered = key, super()._pos_embed(nothing)
        tokens = remembered[1].repeat(len(x), 1, 1)
        tokens[:, self.num_prefix_tokens :] += x.flatten(1, 2)
        return tokens


def remember_positions(body: Any) -> None:
    """Make timm's plain vision transformer one of `RememberedPositions`; other kinds are left alone."""
    if type(body) is VisionTransformer and body.pos_embed is not None:
        body.__class__ = RememberedPositions
