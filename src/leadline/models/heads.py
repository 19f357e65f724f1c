"""Heads: from the network's last map to metres within a range."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.settings import HeadSettings


class Curve(NamedTuple):
    """How an unbounded number becomes depth between two ends, and back."""

    depth_m: Callable[[Tensor, float, float], Tensor]
    raw: Callable[[float, float, float], float]


def _tanh_depth(raw: Tensor, near_m: float, far_m: float) -> Tensor:
    return (near_m + far_m) / 2 + (far_m - near_m) / 2 * torch.tanh(raw)


def _tanh_raw(depth_m: float, near_m: float, far_m: float) -> float:
    return math.atanh((2 * depth_m - near_m - far_m) / (far_m - near_m))


def _log_depth(raw: Tensor, near_m: float, far_m: float) -> Tensor:
    return near_m * torch.exp(math.log(far_m / near_m) * torch.sigmoid(raw))


def _log_raw(depth_m: float, near_m: float, far_m: float) -> float:
    share = math.log(depth_m / near_m) / math.log(far_m / near_m)
    return math.log(share / (1 - share))


CURVES: dict[str, Curve] = {"tanh": Curve(_tanh_depth, _tanh_raw), "log": Curve(_log_depth, _log_raw)}


class DepthHead(nn.Module):
    """A 3×3 convolution to one channel, brought to the picture's size, then to metres."""

    def __init__(self, in_channels: int, settings: HeadSettings) -> None:
        """Build the convolution.

        Args:
            in_channels: channels of the decoder's map.
            settings: the curve and its ends.
        """
        super().__init__()
        self.settings = settings
        self.conv = nn.Conv2d(in_channels, 1, 3, padding=1)
        self.start_at(math.sqrt(settings.min_depth_m * settings.max_depth_m))

    def start_at(self, depth_m: float) -> None:
        """Set the bias so that the first prediction is near `depth_m`, for example the training median.

        A head that starts far from the data saturates and answers a constant. Depths outside the middle 90 %
        of the range are brought into it.
        """
        near_m, far_m = self.settings.min_depth_m, self.settings.max_depth_m
        margin_m = 0.05 * (far_m - near_m)
        inside_m = min(max(depth_m, near_m + margin_m), far_m - margin_m)
        nn.init.constant_(self.conv.bias, CURVES[self.settings.kind].raw(inside_m, near_m, far_m))  # type: ignore[arg-type]

    def forward(self, features: Tensor, height: int, width: int) -> Tensor:
        """Depth in metres (B, 1, height, width), float32, from the decoder's map (B, C, h, w)."""
        # float32 from here on: rounded to bfloat16, depth has steps of 1 to 3 cm, more than from a pixel to the next.
        with torch.autocast(features.device.type, enabled=False):
            raw = F.interpolate(self.conv(features.float()), size=(height, width), mode="bilinear")
        return CURVES[self.settings.kind].depth_m(raw, self.settings.min_depth_m, self.settings.max_depth_m)
