"""The report's U-Net (Ronneberger et al. 2015), for any picture size."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.heads import Features
from leadline.models.settings import PlainSettings


class UNet(nn.Module):
    """Contracting and expansive path with concatenated skips.

    The original's unpadded convolutions and 2×2 up-convolutions fix the sizes; here convolutions are padded and
    features are up-sampled to the skip's own size, so that any picture goes in and the same size comes out.

    Attributes:
        channels: channels of the finest map it gives.
        deep_channels: channels of the deepest.
    """

    def __init__(self, settings: PlainSettings) -> None:
        """Build `levels` steps down and as many back up; each level doubles `width`."""
        super().__init__()
        widths = [settings.width * 2**level for level in range(settings.levels + 1)]
        self.channels, self.deep_channels = widths[0], widths[-1]
        self.contract = nn.ModuleList(_double_conv(before, after) for before, after in pairwise([3, *widths]))
        self.reduce = nn.ModuleList(_conv(wide, narrow) for narrow, wide in pairwise(widths))
        self.expand = nn.ModuleList(_double_conv(2 * width, width) for width in widths[:-1])
        with torch.no_grad():
            # Skips start at zero and open as training wants them. Otherwise each level halves what comes from below,
            # little of the deepest map is left at the top, and the network learns slowly what only that map knows:
            # how far away things are.
            for expand, width in zip(self.expand, widths, strict=False):
                first = expand.get_submodule("0.0")
                assert isinstance(first, nn.Conv2d)
                first.weight[:, width:] = 0

    def forward(self, image: Tensor) -> Features:
        """Maps, the finest of the picture's size, from a normalised picture (B, 3, H, W)."""
        skips = [self.contract[0](image)]
        for block in self.contract[1:]:
            skips.append(block(F.max_pool2d(skips[-1], 2, ceil_mode=True)))
        features = deepest = skips.pop()
        for reduce, expand, skip in zip(reversed(self.reduce), reversed(self.expand), reversed(skips), strict=True):
            raised = reduce(F.interpolate(features, size=skip.shape[-2:], mode="bilinear"))
            features = expand(torch.cat([raised, skip], dim=1))
        return Features(features, deepest)


def _conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _double_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_conv(in_channels, out_channels), _conv(out_channels, out_channels))
