"""Decoders: from a pyramid of features to one map at half the picture's size."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.settings import DecoderSettings

LEAK = 0.2


class UpStep(nn.Module):
    """Up-sample to the skip's size, concatenate it, and convolve twice (DenseDepth, Alhashim & Wonka 2018)."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        """Build the two convolutions; `skip_channels` 0 means that nothing is concatenated."""
        super().__init__()
        self.takes_skip = skip_channels > 0
        self.convs = nn.Sequential(
            nn.Conv2d(in_channels + skip_channels, out_channels, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.LeakyReLU(LEAK),
        )

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Features at the skip's size; a skip that is not concatenated still gives the size."""
        features = F.interpolate(features, size=skip.shape[-2:], mode="bilinear")
        return self.convs(torch.cat([features, skip], dim=1) if self.takes_skip else features)  # type: ignore[no-any-return]


class ReportDecoder(nn.Module):
    """The report's decoder: a 1×1 convolution on the deepest features, then a step up for every skip.

    Attributes:
        channels: channels of the map it gives.
    """

    def __init__(self, encoder_channels: Sequence[int], settings: DecoderSettings) -> None:
        """Build the steps.

        Args:
            encoder_channels: channels of the encoder's levels, finest first.
            settings: width, and whether skips are used.
        """
        super().__init__()
        *skips, deepest = encoder_channels
        widths = [settings.width // 2**step for step in range(len(skips) + 1)]
        self.channels = widths[-1]
        self.bottleneck = nn.Conv2d(deepest, settings.width, 1)
        self.steps = nn.ModuleList(
            UpStep(before, skip if settings.skips else 0, after)
            for (before, after), skip in zip(pairwise(widths), reversed(skips), strict=True)
        )
        self.apply(_init_conv)

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """Map at the finest level's size, (B, channels, h, w), from features, finest first."""
        *skips, deepest = pyramid
        features: Tensor = self.bottleneck(deepest)
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            features = step(features, skip)
        return features


def _init_conv(module: nn.Module) -> None:
    """He's initialisation (He et al. 2015) for the leaky ReLU that follows.

    torch's own shrinks what passes through each convolution; without batch norms less than a tenth is left after
    all of a decoder's, and training spends its first epochs on growing it back.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=LEAK, nonlinearity="leaky_relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
