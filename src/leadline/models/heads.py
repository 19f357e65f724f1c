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


class Features(NamedTuple):
    """What a network hands to the head."""

    finest: Tensor  # (B, C, h, w), at the picture's size or half of it
    deepest: Tensor  # (B, D, h', w'), the encoder's last map, which sees most of the picture


class Estimate(NamedTuple):
    """What a model answers for each pixel."""

    depth_m: Tensor  # metres along the optical axis, float32 (B, 1, H, W)
    relative_error: Tensor | None  # expected |ln predicted − ln true|, float32 (B, 1, H, W); None where not modelled


ERROR_LAYER = "head.error_conv"
"""How the names of a model's weights for the expected error begin."""
START_ERROR = 0.1
"""Relative error that a head expects before training."""
_LOG_ERROR_RANGE = (-6.0, 1.0)  # errors of 0.25 % to 270 %: keeps the likelihood's 1/error finite


class DepthHead(nn.Module):
    """A 3×3 convolution to one channel, brought to the picture's size, then to metres.

    Where uncertainty is asked for, a 1×1 convolution answers the log of the expected relative error from the deepest
    map: the finest one's channels hold depth and little of how hard it was to tell. It looks on: its gradient ends
    at the features, so that depth is the same with and without it.
    """

    def __init__(self, in_channels: int, deep_channels: int, settings: HeadSettings) -> None:
        """Build the convolutions.

        Args:
            in_channels: channels of the finest map.
            deep_channels: channels of the deepest one.
            settings: the curve and its ends.
        """
        super().__init__()
        self.settings = settings
        self.conv = nn.Conv2d(in_channels, 1, 3, padding=1)
        self.error_conv = nn.Conv2d(deep_channels, 1, 1) if settings.uncertainty else None
        if self.error_conv is not None:
            nn.init.zeros_(self.error_conv.weight)
            nn.init.constant_(self.error_conv.bias, math.log(START_ERROR))  # type: ignore[arg-type]
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

    def forward(self, features: Features, height: int, width: int) -> Estimate:
        """Estimate of (height, width) from a network's maps."""
        # float32 from here on: rounded to bfloat16, depth has steps of 1 to 3 cm, more than from a pixel to the next.
        with torch.autocast(features.finest.device.type, enabled=False):
            raw = _at_size(self.conv(features.finest.float()), height, width)
            error = None
            if self.error_conv is not None:
                log_error = _at_size(self.error_conv(features.deepest.detach().float()), height, width)
                error = log_error.clamp(*_LOG_ERROR_RANGE).exp()
        depth_m = CURVES[self.settings.kind].depth_m(raw, self.settings.min_depth_m, self.settings.max_depth_m)
        return Estimate(depth_m, error)


def _at_size(raw: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(raw, size=(height, width), mode="bilinear")
