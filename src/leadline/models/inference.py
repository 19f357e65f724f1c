"""A trained model made quicker to predict with: the same function of the picture, fewer steps."""

import torch
from timm.layers import LayerScale, Mlp  # type: ignore[attr-defined]
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn

from leadline.models.device import has_native_bf16
from leadline.models.encoders import ViTEncoder
from leadline.models.inference_block import FusedViTBlock, supports_fused
from leadline.models.model import DepthModel

_PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def optimize_for_inference(model: DepthModel) -> None:
    """Change a model on its device for predicting under `leadline.models.device.autocast`; it can be trained no more.

    The scales of a vision transformer's layers become part of the weights before them. Where the device multiplies
    bfloat16, the weights of the network's products are rounded to it, which autocast would do anew for each picture,
    and a processor's vision transformer has blocks that are made for it.
    """
    for block in list(model.network.modules()):
        _fold_scale(block, "ls1", _last_layer(getattr(block, "attn", None)))
        _fold_scale(block, "ls2", _last_layer(getattr(block, "mlp", None)))
    if not has_native_bf16(model.mean.device):
        return
    for layer in model.network.modules():
        if isinstance(layer, _PRODUCTS):
            layer.to(torch.bfloat16)
    for encoder in list(model.network.modules()):
        if isinstance(encoder, ViTEncoder):
            blocks = (FusedViTBlock(block) if supports_fused(block) else block for block in encoder.body.blocks)
            encoder.body.blocks = nn.Sequential(*blocks)


def _last_layer(part: object) -> nn.Linear | None:
    """The layer whose answer is what a part of a timm block answers, of the kinds that are known."""
    if isinstance(part, Attention):
        return part.proj
    return part.fc2 if isinstance(part, Mlp) and isinstance(part.fc2, nn.Linear) else None


@torch.no_grad()
def _fold_scale(block: nn.Module, name: str, layer: nn.Linear | None) -> None:
    scale = getattr(block, name, None)
    if type(scale) is not LayerScale or layer is None:
        return
    gamma: Tensor = scale.gamma
    layer.weight.mul_(gamma[:, None])
    if layer.bias is not None:
        layer.bias.mul_(gamma)
    setattr(block, name, nn.Identity())
