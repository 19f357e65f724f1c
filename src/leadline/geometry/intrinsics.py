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


def depth_to_points(depth_m: Tensor, intrinsics: Tensor) -> Tensor:
    """Unproject a depth map into camera space.

    Args:
        depth_m: distance along the optical axis in metres, (B, 1, H, W).
        intrinsics: pinhole matrices in pixels of this depth map, (B, 3, 3).

    Returns:
        Points in metres, (B, 3, H, W); x right, y down, z forward.

    Raises:
        ValueError: if the shapes are others.
    """
    if depth_m.ndim != 4 or depth_m.shape[1] != 1 or intrinsics.shape != (depth_m.shape[0], 3, 3):
        raise ValueError(
            f"wanted a depth of (B, 1, H, W) with intrinsics of (B, 3, 3), "
            f"got {tuple(depth_m.shape)} and {tuple(intrinsics.shape)}"
        )
    height, width = depth_m.shape[-2:]
    columns = torch.arange(width, dtype=depth_m.dtype, device=depth_m.device)
    rows = torch.arange(height, dtype=depth_m.dtype, device=depth_m.device)[:, None]
    matrix = intrinsics.to(depth_m)[..., None, None]
    ray_y = (rows - matrix[:, 1, 2]) / matrix[:, 1, 1]
    ray_x = (columns - matrix[:, 0, 2] - matrix[:, 0, 1] * ray_y) / matrix[:, 0, 0]
    z_m = depth_m[:, 0]
    return torch.stack((ray_x * z_m, ray_y * z_m, z_m), dim=1)
