"""Images as PyTorch takes them, and maps as it gives them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leadline.backends.base import Image
from leadline.backends.threads import CONCURRENCY_ELSEWHERE, MAX_CONCURRENCY


def concurrency_on(device: torch.device) -> int:
    """How many images are best estimated at a time by a small network of PyTorch's.

    A CPU is used best with an image for each of its cores: threads that share a small network's layers wait for each
    other at every one of them, and reading and writing beside them take a core from the one or the other.
    """
    return min(torch.get_num_threads(), MAX_CONCURRENCY) if device.type == "cpu" else CONCURRENCY_ELSEWHERE


def as_batch(images: Sequence[Image]) -> Tensor:
    """RGB in [0, 1], float32 (B, 3, H, W), from images (H, W, 3) of one size, uint8 or float32 in [0, 1]."""
    parts = [_as_tensor(image) for image in images]
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)


def _as_tensor(image: Image) -> Tensor:
    """One image, (3, H, W); the image's own memory where it is laid out so."""
    usable = image.flags.writeable and min(image.strides) >= 0  # what PyTorch takes
    values = torch.from_numpy(image if usable else image.copy()).permute(2, 0, 1)
    if values.dtype == torch.uint8:
        return torch.empty(values.shape).copy_(values).div_(255)
    return values.float().contiguous()


def to_maps(values: Tensor) -> NDArray[np.float32]:
    """float32 (B, H, W) on the CPU, from (B, 1, H, W)."""
    maps: NDArray[np.float32] = values[:, 0].float().cpu().numpy()
    return maps
