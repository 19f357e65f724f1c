"""`leadline.geometry`'s resizing for batches of tensors, with gradients."""

from torch import Tensor
from torch.nn import functional


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize images (B, C, H, W) to (B, C, height, width), averaging where they get smaller."""
    if image.shape[-2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)


def resize_depth(depth_m: Tensor, height: int, width: int) -> Tensor:
    """Resize depth maps (B, 1, H, W) that are valid everywhere, between the four nearest pixels only."""
    if depth_m.shape[-2:] == (height, width):
        return depth_m
    return functional.interpolate(depth_m, (height, width), mode="bilinear", align_corners=False)
