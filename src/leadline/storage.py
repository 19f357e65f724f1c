"""How weights lie in a file: as they are, in half precision, or large matrices as 8-bit integers with scales."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "float16", "int8"]

SCALE_SUFFIX = ".int8_scale"
LEAST_ROUNDED = 100_000
"""Weights of a tensor that is stored as integers; smaller ones save little and matter as much."""
_LARGEST_INT8 = 127


def pack(weights: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Weights as they are stored. Vectors (biases, norms, statistics) keep their precision.

    int8 is symmetric, with a float32 scale for each row (index of the first dimension), the largest of which becomes
    ±127; what is too small for it, or has one row, is float16.

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


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float32, from what `pack` gave, whatever its precision."""
    weights = {}
    for name, tensor in packed.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = packed.get(name + SCALE_SUFFIX)
        weights[name] = tensor.float() if scale is None else tensor.float() * scale
    return weights


def _whole(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor}


def _half(tensor: Tensor) -> dict[str, Tensor]:
    return {"": tensor.half() if tensor.ndim >= 2 and tensor.is_floating_point() else tensor}


def _int8(tensor: Tensor) -> dict[str, Tensor]:
    if tensor.ndim < 2 or tensor.shape[0] == 1 or tensor.numel() < LEAST_ROUNDED:
        return _half(tensor)
    largest = tensor.abs().amax(dim=tuple(range(1, tensor.ndim)), keepdim=True)
    scale = (largest / _LARGEST_INT8).clamp_min(torch.finfo(torch.float32).tiny)
    return {"": (tensor / scale).round().to(torch.int8), SCALE_SUFFIX: scale}


_PACKERS: dict[Precision, Callable[[Tensor], dict[str, Tensor]]] = {"float32": _whole, "float16": _half, "int8": _int8}
