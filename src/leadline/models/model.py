"""The depth model: normalise, encode, decode, head; any picture size in, the same size out."""

from collections.abc import Callable
from math import nan
from typing import cast

import torch
from torch import Tensor, nn

from leadline.geometry import MAX_AREA_PX, ViewSize, size_with_area
from leadline.models.autoencoder import ConvAutoencoder
from leadline.models.decoders import build_decoder
from leadline.models.edge_sharpening import sharpen_edges
from leadline.models.encoders import build_encoder, normalisation
from leadline.models.heads import DepthHead, Estimate, Features
from leadline.models.resizing import resize, resize_depth
from leadline.models.settings import ModelSettings
from leadline.models.unet import UNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EncoderDecoder(nn.Module):
    """A timm encoder under a decoder.

    Attributes:
        channels: channels of the finest map it gives.
        deep_channels: channels of the deepest.
    """

    def __init__(self, settings: ModelSettings) -> None:
        """Build both parts; the encoder's weights are loaded as the settings say."""
        super().__init__()
        self.encoder = build_encoder(settings.encoder)
        self.decoder = build_decoder(self.encoder.channels, self.encoder.strides, settings.decoder)
        self.channels, self.deep_channels = self.decoder.channels, self.encoder.channels[-1]

    def forward(self, image: Tensor) -> Features:
        """Maps, the finest of about half the picture's size, from a normalised picture (B, 3, H, W)."""
        levels = self.encoder(image)
        return Features(self.decoder(levels), levels[-1])


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
        self.head = DepthHead(self.network.channels, self.network.deep_channels, settings.head)
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

    def estimate(self, image: Tensor, focal_px: Tensor | None = None) -> Estimate:
        """Predict depth, and how far off it may be, at the picture's own size.

        The picture is brought to the working number of pixels, its aspect kept, and the depth back: so the
        apparent focal length stays what the model was trained with. Where it is another, see `view_size`.

        Args:
            image: RGB in [0, 1], (B, 3, H, W), any size.
            focal_px: focal lengths in pixels of the pictures, (B,), NaN where unknown; None if none is known.

        Returns:
            Depth within the head's range, times the ratio of focal lengths, and the expected relative error if the
            head models it.

        Raises:
            ValueError: if the picture is not (B, 3, H, W).
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"image must be (B, 3, H, W), got {tuple(image.shape)}; add a batch dimension")
        height, width = image.shape[-2:]
        views = [self.view_size(focal, height, width) for focal in ([nan] if focal_px is None else focal_px.tolist())]
        if len(set(views)) == 1:
            return self.finish(self.infer(self.prepare(image, views[0])), image, views[0])
        parts = [
            self.finish(self.infer(self.prepare(each[None], view)), each[None], view)
            for each, view in zip(image, views, strict=True)
        ]
        errors = [part.relative_error for part in parts if part.relative_error is not None]
        return Estimate(torch.cat([part.depth_m for part in parts]), torch.cat(errors) if errors else None)

    def view_size(self, focal_px: float, height: int, width: int) -> ViewSize:
        """How to look at a picture of some focal length; see `leadline.geometry.view.WorkingView.view_size`."""
        return self.settings.view.view_size(focal_px, height, width)

    def focal_ratio(self, focal_px: Tensor) -> Tensor:
        """What metres are multiplied by at the working size: the ratio of the focal length to the training pictures'.

        It is taken to the power of 1 + `focal_gain`, and is 1 where either length is unknown.

        Args:
            focal_px: focal lengths in pixels at the working size, (B,), NaN where unknown.
        """
        trained_px, exponent = self.settings.focal_px, 1 + self.settings.focal_gain
        return torch.ones_like(focal_px) if trained_px is None else (focal_px / trained_px).nan_to_num(1.0) ** exponent

    def prepare(self, image: Tensor, view: ViewSize | None = None) -> Tensor:
        """Bring pictures (B, 3, H, W) to a view size and normalise them: the first step of `estimate`."""
        view = view or self.view_size(nan, *image.shape[-2:])
        return self._normalise(resize(image, view.height, view.width))

    def infer(self, prepared: Tensor) -> Estimate:
        """Answer prepared pictures at their own, the working size: the second step of `estimate`."""
        return cast(Estimate, self.head(self.network(prepared), *prepared.shape[-2:]))

    def finish(self, estimate: Estimate, image: Tensor, view: ViewSize | None = None) -> Estimate:
        """Bring an answer to the pictures' size, edges and focal length: the last step of `estimate`."""
        height, width = image.shape[-2:]
        depth_m = estimate.depth_m
        if self.settings.edge_radius_px > 0:
            size = size_with_area(height, width, min(height * width, MAX_AREA_PX), smallest=1)
            depth_m = sharpen_edges(resize_depth(depth_m, *size), resize(image, *size), self.settings.edge_radius_px)
        # Rounding can step over an end of the range by a bit.
        limits_m = (self.settings.head.min_depth_m, self.settings.head.max_depth_m)
        depth_m = resize_depth(depth_m, height, width).clamp(*limits_m)
        if view is not None and view.scale != 1:
            depth_m = depth_m * view.scale
        error = estimate.relative_error
        return Estimate(depth_m, None if error is None else resize_depth(error, height, width))

    def at_working_scale(self, image: Tensor) -> Tensor:
        """Depth of `estimate_at_working_scale`, in metres (B, 1, H, W)."""
        return self.estimate_at_working_scale(image).depth_m

    def estimate_at_working_scale(self, image: Tensor) -> Estimate:
        """Predict a picture, or a crop of one, that already has the working scale; see `estimate`.

        Training calls this: `estimate` would enlarge a crop and thereby change its apparent focal length.
        """
        return self.infer(self._normalise(image))

    def features_at_working_scale(self, image: Tensor) -> Features:
        """What the head answers from in `estimate_at_working_scale`."""
        return cast(Features, self.network(self._normalise(image)))

    def _normalise(self, image: Tensor) -> Tensor:
        return ((image - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
