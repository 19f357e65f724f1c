"""The depth model: normalise, encode, decode, head; any picture size in, the same size out."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from leadline.image import resize, resize_depth, size_with_area
from leadline.models.autoencoder import ConvAutoencoder
from leadline.models.decoders import build_decoder
from leadline.models.encoders import build_encoder, normalisation
from leadline.models.heads import DepthHead, Estimate
from leadline.models.settings import ModelSettings
from leadline.models.unet import UNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EncoderDecoder(nn.Module):
    """A timm encoder under a decoder.

    Attributes:
        channels: channels of the map it gives.
    """

    def __init__(self, settings: ModelSettings) -> None:
        """Build both parts; the encoder's weights are loaded as the settings say."""
        super().__init__()
        self.encoder = build_encoder(settings.encoder)
        self.decoder = build_decoder(self.encoder.channels, self.encoder.strides, settings.decoder)
        self.channels = self.decoder.channels

    def forward(self, image: Tensor) -> Tensor:
        """Map at about half the picture's size from a normalised picture (B, 3, H, W)."""
        return cast(Tensor, self.decoder(self.encoder(image)))


NETWORKS: dict[str, Callable[[ModelSettings], ConvAutoencoder | UNet | EncoderDecoder]] = {
    "cae": lambda settings: ConvAutoencoder(settings.plain),
    "unet": lambda settings: UNet(settings.plain),
    "encoder-decoder": EncoderDecoder,
}


class DepthModel(nn.Module):
    """Metric depth from RGB.

    Attributes:
        settings: what rebuilds this model.
        network: normalised picture to features.
        head: features to metres.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: ModelSettings) -> None:
        """Build the network; see `leadline.models.build_model`."""
        super().__init__()
        self.settings = settings
        self.network = NETWORKS[settings.network](settings)
        self.head = DepthHead(self.network.channels, settings.head)
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if settings.network == "encoder-decoder":
            mean, std = cast(tuple[tuple[float, float, float], ...], normalisation(settings.encoder.name))
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Predict depth at the picture's own size; see `estimate`.

        Returns:
            Metres along the optical axis, float32 (B, 1, H, W), within the head's range.
        """
        return self.estimate(image).depth_m

    def estimate(self, image: Tensor) -> Estimate:
        """Predict depth, and how far off it may be, at the picture's own size.

        The picture is brought to the working number of pixels, its aspect kept, and the depth back: so the
        apparent focal length stays what the model was trained with.

        Args:
            image: RGB in [0, 1], (B, 3, H, W), any size.

        Returns:
            Depth within the head's range, and the expected relative error if the head models it.

        Raises:
            ValueError: if the picture is not (B, 3, H, W).
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"image must be (B, 3, H, W), got {tuple(image.shape)}; add a batch dimension")
        return self.finish(self.infer(self.prepare(image)), *image.shape[-2:])

    def prepare(self, image: Tensor) -> Tensor:
        """Bring pictures (B, 3, H, W) to the working size and normalise them: the first step of `estimate`."""
        height, width = image.shape[-2:]
        working = size_with_area(height, width, self.settings.height * self.settings.width)
        return self._normalise(resize(image, *working))

    def infer(self, prepared: Tensor) -> Estimate:
        """Answer prepared pictures at their own, the working size: the second step of `estimate`."""
        return cast(Estimate, self.head(self.network(prepared), *prepared.shape[-2:]))

    def finish(self, estimate: Estimate, height: int, width: int) -> Estimate:
        """Bring an answer to the pictures' size: the last step of `estimate`."""
        # Rounding can step over an end of the range by a bit.
        limits_m = (self.settings.head.min_depth_m, self.settings.head.max_depth_m)
        depth_m = resize_depth(estimate.depth_m, height, width).clamp(*limits_m)
        error = estimate.relative_error
        return Estimate(depth_m, None if error is None else resize_depth(error, height, width))

    def focal_scale(self, focal_px: Tensor, height: int, width: int) -> Tensor:
        """What to multiply predicted metres by for pictures of another focal length than the training pictures'.

        A camera with twice the focal length shows a thing twice as large, so the network takes it for half as far.

        Args:
            focal_px: focal lengths in pixels of the pictures, (B,); NaN where unknown.
            height: of the pictures.
            width: of the pictures.

        Returns:
            Factors, (B,); 1 where the picture's or the training pictures' focal length is unknown.
        """
        if self.settings.focal_px is None:
            return torch.ones_like(focal_px)
        working = size_with_area(height, width, self.settings.height * self.settings.width)
        enlargement = ((working[0] * working[1]) / (height * width)) ** 0.5
        return torch.nan_to_num(focal_px * enlargement / self.settings.focal_px, nan=1.0)

    def at_working_scale(self, image: Tensor) -> Tensor:
        """Depth of `estimate_at_working_scale`, in metres (B, 1, H, W)."""
        return self.estimate_at_working_scale(image).depth_m

    def estimate_at_working_scale(self, image: Tensor) -> Estimate:
        """Predict a picture, or a crop of one, that already has the working scale; see `estimate`.

        Training calls this: `estimate` would enlarge a crop and thereby change its apparent focal length.
        """
        return self.infer(self._normalise(image))

    def _normalise(self, image: Tensor) -> Tensor:
        return ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
