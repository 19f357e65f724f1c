"""Intrinsics as tensors, and how they follow an image through resize, crop and mirror in training.

The convention of `leadline.geometry.camera`; matrices are (3, 3) or (B, 3, 3), and an unknown camera is a matrix of
NaN, which stays one through every function here.
"""

from math import inf

import torch
from torch import Tensor

from leadline.errors import LeadlineError


def pinhole(focal_px: float, height: int, width: int) -> Tensor:
    """Build the intrinsics of a camera with square pixels that looks through the middle of its picture.

    Args:
        focal_px: focal length in pixels.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        Intrinsics, float32 (3, 3).

    Raises:
        LeadlineError: if the focal length is not positive and finite.
    """
    if not 0 < focal_px < inf:
        raise LeadlineError(f"a focal length is a positive number of pixels, got {focal_px}: check the unit")
    return torch.tensor([[focal_px, 0.0, (width - 1) / 2], [0.0, focal_px, (height - 1) / 2], [0.0, 0.0, 1.0]])


def _affine(intrinsics: Tensor, rows: list[list[float]]) -> Tensor:
    """Apply a 3x3 map of pixel coordinates to the intrinsics."""
    return torch.tensor(rows, dtype=intrinsics.dtype, device=intrinsics.device) @ intrinsics


def resize_intrinsics(intrinsics: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Intrinsics of a picture after it was resized.

    The outer edges of the picture stay its outer edges, so with pixel centres at integers a coordinate x goes
    to (x + 0.5) * scale - 0.5, which is what `leadline.geometry.resizing.resize` does with the pixels.

    Args:
        intrinsics: of the old picture, (3, 3) or (B, 3, 3).
        old: its height and width.
        new: height and width of the resized picture.

    Returns:
        Intrinsics of the resized picture, in the shape given.
    """
    scale_y, scale_x = new[0] / old[0], new[1] / old[1]
    return _affine(
        intrinsics,
        [[scale_x, 0.0, scale_x / 2 - 0.5], [0.0, scale_y, scale_y / 2 - 0.5], [0.0, 0.0, 1.0]],
    )


def crop_intrinsics(intrinsics: Tensor, top: int, left: int) -> Tensor:
    """Intrinsics of a picture after rows above and columns to the left were cut off.

    Args:
        intrinsics: of the whole picture, (3, 3) or (B, 3, 3).
        top: first row that is kept; negative where rows were added.
        left: first column that is kept; negative where columns were added.

    Returns:
        Intrinsics of the crop, in the shape given.
    """
    return _affine(intrinsics, [[1.0, 0.0, -float(left)], [0.0, 1.0, -float(top)], [0.0, 0.0, 1.0]])


def mirror_intrinsics(intrinsics: Tensor, width: int) -> Tensor:
    """Intrinsics of a picture after it was mirrored left to right.

    The scene is mirrored with it (x becomes -x), so the focal length stays positive.

    Args:
        intrinsics: of the picture, (3, 3) or (B, 3, 3).
        width: of the picture in pixels.

    Returns:
        Intrinsics of the mirrored picture, in the shape given.
    """
    flipped = _affine(intrinsics, [[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    return flipped * torch.tensor([-1.0, 1.0, 1.0], dtype=intrinsics.dtype, device=intrinsics.device)
