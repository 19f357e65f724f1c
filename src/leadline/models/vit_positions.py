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
        if torch.compiler.is_compiling():
            return self._plainly(x)
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

    def _plainly(self, x: Tensor) -> Tensor:
        """The same for whoever exports the network: products of matrices, which every program that reads it knows."""
        positions: Any = self.pos_embed
        own_height, own_width = self.patch_embed.grid_size
        num_fixed = positions.shape[1] - own_height * own_width
        channels = positions[:, num_fixed:].mT.unflatten(-1, (own_height, own_width))
        channels = cubic_weights(own_height, x.shape[1]) @ channels @ cubic_weights(own_width, x.shape[2]).T
        tokens: Tensor = (x + channels.permute(0, 2, 3, 1)).flatten(1, 2)
        before: list[Tensor] = [part for part in (self.cls_token, self.reg_token) if part is not None]
        if not before:
            return tokens
        first = torch.cat(before, 1)
        if num_fixed:
            first = first + positions[:, :num_fixed]
        return torch.cat([first.expand(x.shape[0], -1, -1), tokens], 1)


def cubic_weights(num_own: int, num_wanted: int) -> Tensor:
    """What `interpolate` does along one side with mode "bicubic" and antialiasing, as a matrix (num_wanted, num_own).

    Keys' cubic convolution (1981) with a = -1/2, as wide as the new pixels where these are the larger ones.
    """
    # In integers, as exported files must count: see `leadline.export.onnx_graph`.
    centres, own_centres = (2 * torch.arange(num_wanted) + 1) * num_own, (2 * torch.arange(num_own) + 1) * num_wanted
    longer = torch.maximum(torch.ones((), dtype=torch.int64) * num_own, torch.ones((), dtype=torch.int64) * num_wanted)
    far = (own_centres - centres[:, None]).abs().float() / (2 * longer).float()
    inner, outer = (1.5 * far - 2.5) * far.square() + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2
    weights = torch.where(far < 1, inner, torch.where(far < 2, outer, 0.0))
    return weights / weights.sum(1, keepdim=True)


def cache_position_embeddings(body: Any) -> None:
    """Make timm's plain vision transformer one of `RememberedPositions`; other kinds are left alone."""
    if type(body) is VisionTransformer and body.pos_embed is not None:
        body.__class__ = RememberedPositions
