"""Encoders: timm networks that turn a picture into a pyramid of features, and the loading of their weights."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from leadline.errors import LeadlineError, brief, unknown_name
from leadline.models.settings import NO_WEIGHTS, EncoderSettings
from leadline.models.vit_attention import chunked_attention
from leadline.models.vit_positions import cache_position_embeddings

logger = logging.getLogger(__name__)


class TimmEncoder(nn.Module):
    """Any timm network whose features are (B, C, h, w) and that takes pictures of any size.

    Attributes:
        channels: channels of each level, finest first.
        strides: pixels of the picture per pixel of each level.
    """

    def __init__(self, name: str) -> None:
        """Build the network with random weights.

        Args:
            name: timm's name.

        Raises:
            LeadlineError: if timm has no such network, or it gives no such features.
        """
        super().__init__()
        self.body = _create(name, features_only=True)
        self.channels: tuple[int, ...] = tuple(self.body.feature_info.channels())
        self.strides: tuple[int, ...] = tuple(self.body.feature_info.reduction())
        _require_pyramid(self, name)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of a normalised picture (B, 3, H, W), finest first."""
        return list(self.body(image))


class DenseNetEncoder(nn.Module):
    """timm's DenseNet with DenseDepth's skips: the stem's ReLU and the three pooled dense blocks.

    timm's own features are taken before each transition, where they have up to four times the channels.

    Attributes:
        channels: channels of each level, finest first.
        strides: pixels of the picture per pixel of each level.
    """

    TAPS = ("norm0", "pool0", "transition1", "transition2", "norm5")

    def __init__(self, name: str) -> None:
        """Build the network with random weights.

        Args:
            name: a key of `DENSENETS`.
        """
        super().__init__()
        self.features = _create(name).features
        with torch.no_grad():
            self.channels: tuple[int, ...] = tuple(level.shape[1] for level in self.eval()(torch.zeros(1, 3, 64, 64)))
        self.strides: tuple[int, ...] = (2, 4, 8, 16, 32)
        self.train()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of a normalised picture (B, 3, H, W), finest first."""
        pyramid = []
        for name, layer in self.features.named_children():
            image = layer(image)
            if name in self.TAPS:
                pyramid.append(image)
        return pyramid


class ViTEncoder(nn.Module):
    """timm's plain vision transformers: four evenly spaced blocks, normalised, as maps of one size.

    A picture whose sides are no multiples of the patch is first brought to the nearest that are, so that patches
    cover the whole picture and nothing else.

    Attributes:
        channels: channels of each level, shallowest first.
        strides: pixels of the picture per pixel of each level: the patch's side, four times.
    """

    NUM_LEVELS = 4

    def __init__(self, name: str, num_blocks: int | None = None) -> None:
        """Build the network with random weights.

        Args:
            name: timm's name.
            num_blocks: how many blocks are used, from the first; None for all.

        Raises:
            LeadlineError: if timm has no such network, or it is no plain vision transformer of so many blocks.
        """
        super().__init__()
        try:
            self.body = _create(name, num_classes=0, dynamic_img_size=True)
        except TypeError as error:  # what other networks say to `dynamic_img_size`
            raise LeadlineError(
                f"{name!r} is no plain vision transformer that takes any size; choose another"
            ) from error
        if num_blocks is not None and num_blocks > len(self.body.blocks):
            raise LeadlineError(f"{name!r} has {len(self.body.blocks)} blocks, wanted {num_blocks}; ask for fewer")
        self.body.blocks = self.body.blocks[:num_blocks]
        chunked_attention(self.body.blocks)
        cache_position_embeddings(self.body)
        num_blocks = len(self.body.blocks)
        self.taps = [num_blocks * level // self.NUM_LEVELS - 1 for level in range(1, self.NUM_LEVELS + 1)]
        self.patch_px: int = self.body.patch_embed.patch_size[0]
        self.channels: tuple[int, ...] = (self.body.embed_dim,) * self.NUM_LEVELS
        self.strides: tuple[int, ...] = (self.patch_px,) * self.NUM_LEVELS

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of a normalised picture (B, 3, H, W), each (B, C, H/patch, W/patch)."""
        if any(side % self.patch_px for side in image.shape[-2:]):
            size = [max(1, round(side / self.patch_px)) * self.patch_px for side in image.shape[-2:]]
            image = F.interpolate(image, size=size, mode="bilinear", antialias=True)
        return list(self.body.forward_intermediates(image, indices=self.taps, norm=True, intermediates_only=True))


DENSENETS = ("densenet121", "densenet161", "densenet169", "densenet201")
"""Networks that `DenseNetEncoder` takes apart."""

PLAIN_VIT = "vit_"
"""How timm's names of plain vision transformers begin."""

Encoder = TimmEncoder | DenseNetEncoder | ViTEncoder


def build_encoder(settings: EncoderSettings) -> Encoder:
    """Build an encoder and load its weights.

    Args:
        settings: name, weights and batch-norm epsilon.

    Returns:
        The encoder, in training mode.

    Raises:
        LeadlineError: if the network is unknown, or its weights cannot be had or leave a weight random.
    """
    encoder = _create_encoder(settings)
    if settings.norm_eps is not None:
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = settings.norm_eps
    if settings.weights != NO_WEIGHTS:
        load_weights(encoder, read_weights(settings.weights), settings.weights)
    return encoder


def _create_encoder(settings: EncoderSettings) -> Encoder:
    if settings.name.startswith(PLAIN_VIT):
        return ViTEncoder(settings.name, settings.num_blocks)
    if settings.num_blocks is not None:
        raise LeadlineError(f"num_blocks is for plain ViTs, got {settings.name!r}; leave it out")
    return (DenseNetEncoder if settings.name in DENSENETS else TimmEncoder)(settings.name)


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that the network's pretrained weights expect, for RGB in [0, 1]."""
    config = timm.get_pretrained_cfg(name)
    mean, std = (config.mean, config.std) if config else ((0.5,) * 3, (0.5,) * 3)
    return tuple(mean), tuple(std)


def read_weights(source: str) -> dict[str, Tensor]:
    """Read an encoder's weights from a file, or get them from the hub by name.

    Args:
        source: a .safetensors file, or a timm or hub name.

    Returns:
        Tensors by timm's names.

    Raises:
        LeadlineError: if the file is missing or broken, the name unknown, or the hub out of reach.
    """
    path = Path(source).expanduser()
    if path.suffix == ".safetensors" or path.exists():
        return _read_file(path)
    model = _create(source, pretrained=True)
    weights: dict[str, Tensor] = model.state_dict()
    return weights


def load_weights(encoder: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Load weights into an encoder, refusing to leave any of its weights at their random start.

    timm's feature wrappers rename layers ("body.", "model.", dots flattened); names are compared without that.

    Args:
        encoder: what to fill.
        weights: tensors by timm's names.
        source: where they came from, for messages.

    Raises:
        LeadlineError: if a weight of the encoder is missing or of another shape; the first few are named.
    """
    given = {_plain_name(key): key for key in weights}
    loaded, lacking, used = {}, [], set()
    for key, start in encoder.state_dict().items():
        name = given.get(_plain_name(key))
        if name is not None and weights[name].shape == start.shape:
            loaded[key] = weights[name].to(start.dtype)
            used.add(name)
        elif not key.endswith("num_batches_tracked"):
            lacking.append(key if name is None else f"{key} (shape {tuple(weights[name].shape)})")
    unused = [key for key in weights if key not in used]
    if lacking:
        raise LeadlineError(
            f"{source} does not fit the encoder: {len(lacking)} weights would stay random, such as "
            f"{', '.join(lacking[:3])}; not used: {', '.join(unused[:3]) or 'none'}"
        )
    if unused:
        logger.info("%s: not used by the encoder: %s", source, ", ".join(unused))
    encoder.load_state_dict(loaded, strict=False)


def _require_pyramid(encoder: TimmEncoder, name: str) -> None:
    """Refuse a network that cannot look at a picture of any size, or whose levels are not (B, C, h, w)."""
    try:
        with torch.no_grad():
            channels = [level.shape[1] for level in encoder.eval()(torch.zeros(1, 3, 64, 96))]
    except (AssertionError, RuntimeError, ValueError) as error:
        raise LeadlineError(f"{name!r} takes pictures of one size only; choose a convolutional timm network") from error
    finally:
        encoder.train()
    if channels != list(encoder.channels):
        raise LeadlineError(f"{name!r} gives no maps of (B, C, h, w); choose a convolutional timm network")


def _plain_name(key: str) -> str:
    return key.removeprefix("body.").removeprefix("body.").removeprefix("model.").replace(".", "_")


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise LeadlineError(f"no weights at {path}; give a .safetensors file, a timm name, or 'none'")
    try:
        weights: dict[str, Tensor] = load_file(path)
    except Exception as error:  # safetensors passes on what its readers of headers and types raise
        raise LeadlineError(f"{path} is not a whole .safetensors file: {brief(error)}") from error
    return weights


def _create(name: str, **kwargs: Any) -> Any:
    """Make a timm network, turning timm's and the hub's many errors into one line.

    Only for pretrained weights is the network asked. Else a hub's name stands for the network that it ends in.
    """
    if not kwargs.get("pretrained"):
        name = name.rpartition("/")[2].rpartition(":")[2]
    if not name.startswith("hf") and not timm.is_model(name.split(".")[0]):
        raise unknown_name("encoder", name, timm.list_models())
    try:
        with torch.random.fork_rng(devices=[], enabled=bool(kwargs.get("pretrained"))):
            return timm.create_model(name, **kwargs)
    except (RuntimeError, OSError, ValueError, AttributeError, AssertionError, KeyError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        hint = "; without a network give a .safetensors file" if kwargs.get("pretrained") else ""
        raise LeadlineError(f"timm cannot make {name!r}: {reason}{hint}") from error
