"""How weights lie in a file: as they are, in half precision, or large tensors as 8-bit integers with scales."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from leadline.models.checkpoint_files import GROUP, SCALE_SUFFIX, require_scales

Precision = Literal["float32", "float16", "int8"]

MIN_ROUNDED = 100_000
"""Weights of a tensor that is stored as integers; smaller ones save little and matter as much."""
_LARGEST_INT8 = 127


def quantize(weights: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Weights as they are stored. Vectors (biases, norms, statistics) keep their precision.

    int8 is symmetric, with a float32 scale for every `GROUP` weights that follow each other in a row (an index of the
    first dimension), or for the row where it has no whole number of groups; the largest weight becomes ±127. What is
    too small for it, or has one row, is float16.

    Args:
        weights: tensors by name.
        precision: how those of two and more dimensions are stored.

    Returns:
        Tensors by name, and scales by name and `SCALE_SUFFIX`.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        for key, stored in _PACKERS[precision](tensor.detach().cpu().contiguous()).items():
            packed[name + key] = stored
    return packed


def dequantize(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32, from what `quantize` gave, whatever its precision.

    Raises:
        LeadlineError: if integers lack their scales.
    """
    weights = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = packed.get(name + SCALE_SUFFIX)
        if tensor.dtype == torch.int8:
            require_scales(name, tensor.shape, 0 if scale is None else len(scale))
        weights[name] = tensor.float() if scale is None else _scaled(tensor, scale)
    return weights


def _whole(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor}


def _half(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.half() if tensor.ndim >= 2 and tensor.is_floating_point() else tensor}


def _int8(tensor: Tensor) -> dict[str, Tensor]:
    if tensor.ndim < 2 or tensor.shape[0] == 1 or tensor.numel() < MIN_ROUNDED:
        return _half(tensor)
    row = tensor[0].numel()
    groups = tensor.reshape(-1, GROUP if row % GROUP == 0 else row)
    scale = (groups.abs().amax(dim=1, keepdim=True) / _LARGEST_INT8).clamp_min(torch.finfo(torch.float32).tiny)
    return {"": (groups / scale).round().to(torch.int8).reshape(tensor.shape), SCALE_SUFFIX: scale}


def _scaled(stored: Tensor, scale: Tensor) -> Tensor:
    return (stored.float().reshape(len(scale), -1) * scale.reshape(-1, 1)).reshape(stored.shape)


_PACKERS: dict[Precision, Callable[[Tensor], dict[str, Tensor]]] = {"float32": _whole, "float16": _half, "int8": _int8}
