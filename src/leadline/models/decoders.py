"""Decoders: from the encoder's levels of features to one map at about half the picture's size."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import LeadlineError
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


class DenseDepthDecoder(nn.Module):
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


class ResidualUnit(nn.Module):
    """Two convolutions beside an identity, each after a ReLU (RefineNet, Lin et al. 2017)."""

    def __init__(self, width: int) -> None:
        """Build the convolutions of `width` channels."""
        super().__init__()
        self.convs = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same shape."""
        return features + self.convs(features)  # type: ignore[no-any-return]


class DPTDecoder(nn.Module):
    """Reassemble the levels at strides 4, 8, 16 and 32, or nearly, and fuse them upwards (DPT, Ranftl et al. 2021).

    A plain ViT's levels all have its patch's stride; each is brought to its own by one learned step.

    Attributes:
        channels: channels of the map it gives.
    """

    SCALES = (4.0, 2.0, 1.0, 0.5)  # of a plain ViT's levels, finest first

    def __init__(self, encoder_channels: Sequence[int], strides: Sequence[int], settings: DecoderSettings) -> None:
        """Build the steps.

        Args:
            encoder_channels: channels of the encoder's levels, finest first; the last four are used.
            strides: pixels of the picture per pixel of each level.
            settings: width.
        """
        super().__init__()
        width = settings.width
        plain = len(set(strides)) == 1
        scales = self.SCALES if plain else (1.0,) * len(self.SCALES)
        levels = list(encoder_channels)[-len(scales) :]
        self.reassemble = nn.ModuleList(_rescale(*pair, width) for pair in zip(levels, scales, strict=True))
        self.lateral = nn.ModuleList(ResidualUnit(width) for _ in levels[1:])  # the deepest has nothing to join
        self.fuse = nn.ModuleList(ResidualUnit(width) for _ in levels)
        self.channels = width // 2
        self.out = nn.Sequential(nn.Conv2d(width, self.channels, 3, padding=1), nn.ReLU())

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Map at twice the finest level's size, (B, channels, h, w), from the encoder's levels, finest first."""
        used = levels[-len(self.reassemble) :]
        *finer, deepest = (step(level) for step, level in zip(self.reassemble, used, strict=True))
        *fuse_finer, fuse_deepest = self.fuse
        features: Tensor = fuse_deepest(deepest)
        for lateral, fuse, level in reversed(list(zip(self.lateral, fuse_finer, finer, strict=True))):
            raised = F.interpolate(features, size=level.shape[-2:], mode="bilinear")
            features = fuse(raised + lateral(level))
        return self.out(F.interpolate(features, scale_factor=2.0, mode="bilinear"))  # type: ignore[no-any-return]


Decoder = DenseDepthDecoder | DPTDecoder


def build_decoder(encoder_channels: Sequence[int], strides: Sequence[int], settings: DecoderSettings) -> Decoder:
    """Build the decoder that the settings name.

    Args:
        encoder_channels: channels of the encoder's levels, finest first.
        strides: pixels of the picture per pixel of each level.
        settings: kind and sizes.

    Raises:
        LeadlineError: if the decoder cannot use such levels.
    """
    if settings.kind == "dpt":
        if len(strides) < len(DPTDecoder.SCALES):
            raise LeadlineError(
                f"the dpt decoder wants an encoder of 4 levels, got {len(strides)}; choose another encoder"
            )
        return DPTDecoder(encoder_channels, strides, settings)
    if len(set(strides)) == 1:
        raise LeadlineError("the report's decoder wants a pyramid, got a plain ViT; give --model.decoder.kind dpt")
    return DenseDepthDecoder(encoder_channels, settings)


def _rescale(in_channels: int, scale: float, width: int) -> nn.Module:
    """One learned step from a level to `width` channels at `scale` times its size."""
    if scale > 1:
        return nn.ConvTranspose2d(in_channels, width, int(scale), stride=int(scale))
    return nn.Conv2d(in_channels, width, 3, stride=round(1 / scale), padding=1)


def _init_conv(module: nn.Module) -> None:
    """He's initialisation (He et al. 2015) for the leaky ReLU that follows.

    torch's own shrinks what passes through each convolution; without batch norms less than a tenth is left after
    all of a decoder's, and training spends its first epochs on growing it back.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=LEAK, nonlinearity="leaky_relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
