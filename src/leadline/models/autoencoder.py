"""The report's convolutional autoencoder: features without skips, all through one bottleneck."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.heads import Features
from leadline.models.settings import PlainSettings


class ConvAutoencoder(nn.Module):
    """Convolution, batch norm and max pooling down; up-sampling, convolution and batch norm back up (Figure 2).

    Attributes:
        channels: channels of the finest map it gives.
        deep_channels: channels of the deepest.
    """

    def __init__(self, settings: PlainSettings) -> None:
        """Build `levels` steps down and as many back up; each level doubles `width`."""
        super().__init__()
        widths = [settings.width * 2**level for level in range(settings.levels + 1)]
        self.channels, self.deep_channels = widths[0], widths[-1]
        self.down = nn.ModuleList(_conv_block(before, after) for before, after in pairwise([3, *widths]))
        self.up = nn.ModuleList(_conv_block(before, after) for before, after in pairwise(reversed(widths)))

    def forward(self, image: Tensor) -> Features:
        """Maps, the finest of the picture's size, from a normalised picture (B, 3, H, W)."""
        sizes = []
        features = self.down[0](image)
        for block in self.down[1:]:
            sizes.append(features.shape[-2:])
            features = block(F.max_pool2d(features, 2, ceil_mode=True))
        deepest = features
        for block, size in zip(self.up, reversed(sizes), strict=True):
            features = block(F.interpolate(features, size=size, mode="bilinear"))
        return Features(features, deepest)


def _conv_block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
