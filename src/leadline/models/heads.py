"""Heads: from the network's last map to metres within a range."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
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
SCALE_LAYERS = "head.scale_field"
"""How the names of a model's weights for the factor of its depth begin."""
START_ERROR = 0.1
"""Relative error that a head expects before training."""
_LOG_ERROR_RANGE = (-6.0, 1.0)  # errors of 0.25 % to 270 %: keeps the likelihood's 1/error finite


class ScaleField(nn.Module):
    """The logarithm of a smooth factor of depth.

    A network that has learnt rooms at eye height gets the shape of near things right and their scale wrong. The deepest
    map tells which kind of view it is, and where in it something stands: two small transformer blocks hear all of it,
    made half as large, and answer what depth is to be multiplied by. The factor starts at 1.

    On pictures like those that the network learnt the answer is chance, some `CHANCE` in size: once taught, a logarithm
    c counts with c² / (c² + `CHANCE`²) of itself, the share of its square that is not chance.

    What was learnt from rendered scenes goes only part of the way in photographs, most of all where the way is long:
    the picture's mean logarithm m is enlarged by gain · m² / (m² + gain²) of itself, at most by the gain.
    """

    CHANCE = 0.03
    """Three times the mean size of the logarithm on NYU's training pictures, on which it was held at 0."""
    WIDTH, NUM_BLOCKS, NUM_HEADS = 128, 2, 4
    DROPOUT = 0.1

    def __init__(self, deep_channels: int, gain: float = 0.0) -> None:
        """Build the blocks for a deepest map of so many channels; see `HeadSettings.scale_gain`."""
        super().__init__()
        self.gain = gain
        self.enter = nn.Conv2d(deep_channels, self.WIDTH, 1)
        self.blocks = nn.Sequential(*(self._block() for _ in range(self.NUM_BLOCKS)))
        self.leave = nn.Linear(self.WIDTH, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def _block(self) -> Block:
        return Block(
            self.WIDTH, self.NUM_HEADS, mlp_ratio=2, qkv_bias=True, proj_drop=self.DROPOUT, attn_drop=self.DROPOUT
        )

    def forward(self, deepest: Tensor) -> Tensor:
        """Log factor (B, 1, h/2, w/2), halves rounded up, from the deepest map (B, C, h, w)."""
        pooled = F.avg_pool2d(self.enter(deepest), 2, ceil_mode=True, count_include_pad=False)
        told: Tensor = self.leave(self.blocks(pooled.flatten(2).transpose(1, 2)))
        told = told.transpose(1, 2).reshape(-1, 1, *pooled.shape[-2:])
        if not self.training:  # near 0 there would be nothing to learn by
            told = told * _share(told, self.CHANCE)
        if self.gain < 1e-6:  # nothing to speak of, and its square would vanish
            return told
        mean = told.mean((2, 3), keepdim=True)
        return told + self.gain * mean * _share(mean, self.gain)


def _share(told: Tensor, size: float) -> Tensor:
    """0 for what is far below some size, 1 for what is far above it, 1/2 for what has it."""
    square = told * told
    return square / (square + size**2)


class DepthHead(nn.Module):
    """A 3×3 convolution to one channel, brought to the picture's size, then to metres, times a smooth factor if wanted.

    Where uncertainty is asked for, a 1×1 convolution answers the log of the expected relative error from the deepest
    map: the finest one's channels hold depth and little of how hard it was to tell. It and the factor look on: their
    gradients end at the features, so that what the network learns is the same with and without them.
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
        self.scale_field = ScaleField(deep_channels, settings.scale_gain) if settings.scale_field else None
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
            limits_m = (self.settings.min_depth_m, self.settings.max_depth_m)
            depth_m = CURVES[self.settings.kind].depth_m(
                _at_size(self.conv(features.finest.float()), height, width), *limits_m
            )
            deepest = features.deepest.detach().float()
            if self.scale_field is not None:
                depth_m = (depth_m * _at_size(self.scale_field(deepest), height, width).exp()).clamp(*limits_m)
            error = None
            if self.error_conv is not None:
                log_error = _at_size(self.error_conv(deepest), height, width)
                error = log_error.clamp(*_LOG_ERROR_RANGE).exp() * self.settings.error_scale
        return Estimate(depth_m, error)


def _at_size(raw: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(raw, size=(height, width), mode="bilinear")
