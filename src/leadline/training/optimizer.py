"""The optimiser: which weights learn how fast, and how the rate rises and falls."""

from typing import Any

import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from leadline.errors import LeadlineError
from leadline.models import DepthModel
from leadline.training.settings import OptimizerSettings


def build_optimizer(
    model: DepthModel, settings: OptimizerSettings, num_steps: int
) -> tuple[torch.optim.Optimizer, SequentialLR]:
    """AdamW over the encoder and the rest, with linear warm-up and cosine decay by step.

    Args:
        model: whose weights.
        settings: rates and decays.
        num_steps: steps of the whole training.

    Returns:
        The optimiser and its schedule, to be stepped once a batch.

    Raises:
        LeadlineError: if `settings.layer_decay` asks for what the encoder cannot do.
    """
    rest = [value for name, value in model.named_parameters() if ".encoder." not in name]
    groups = [{"params": rest}, *_encoder_groups(model, settings)]
    # Fused: one pass over the weights instead of one for each operation, a tenth of a ViT's step on a processor.
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    num_warmup = max(1, round(settings.warmup * num_steps))
    warmup = LinearLR(optimizer, 1 / num_warmup, total_iters=num_warmup)
    cosine = CosineAnnealingLR(optimizer, max(1, num_steps - num_warmup))
    return optimizer, SequentialLR(optimizer, [warmup, cosine], milestones=[num_warmup])


def _encoder_groups(model: DepthModel, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Parameter groups of the encoder; with layer decay one for each block, the first block slowest."""
    highest = settings.learning_rate * settings.encoder_rate
    encoder = getattr(model.network, "encoder", nn.Module())
    if settings.layer_decay == 1:
        return [{"params": list(encoder.parameters()), "lr": highest}]
    body = getattr(encoder, "body", None)
    if not isinstance(body, nn.Module) or not hasattr(body, "group_matcher"):
        name = model.settings.encoder.name
        raise LeadlineError(
            f"layer_decay wants an encoder whose blocks timm can tell apart, got {name!r}; leave it at 1"
        )
    groups = param_groups_layer_decay(body, settings.weight_decay, layer_decay=settings.layer_decay)
    return [
        {"params": group["params"], "weight_decay": group["weight_decay"], "lr": highest * group["lr_scale"]}
        for group in groups
    ]
