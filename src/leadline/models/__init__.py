"""Depth models: the table of named ones, and how settings become a network.

This module is free of torch until a model is built, so that the command line can list models at once.
"""

from typing import TYPE_CHECKING

from leadline.models.settings import (
    DecoderSettings,
    EncoderSettings,
    HeadSettings,
    ModelSettings,
    PlainSettings,
)

if TYPE_CHECKING:
    from leadline.models.model import DepthModel

__all__ = [
    "MODELS",
    "DecoderSettings",
    "EncoderSettings",
    "HeadSettings",
    "ModelSettings",
    "PlainSettings",
    "build_model",
]

REPORT_HEAD = HeadSettings(kind="tanh", min_depth_m=0.5, max_depth_m=4.0)
"""The report's output: 1.75·tanh z + 2.25, in metres."""

MODELS: dict[str, ModelSettings] = {
    "cae": ModelSettings(network="cae", head=REPORT_HEAD),
    "unet": ModelSettings(network="unet", head=REPORT_HEAD),
    "xception": ModelSettings(encoder=EncoderSettings(name="legacy_xception", norm_eps=1e-3), head=REPORT_HEAD),
    "densenet": ModelSettings(encoder=EncoderSettings(name="densenet121"), head=REPORT_HEAD),
}
"""The report's four networks, with random weights."""


def build_model(settings: ModelSettings) -> "DepthModel":
    """Build a model; its encoder's weights are loaded as `settings.encoder.weights` says.

    Args:
        settings: what to build; `MODELS` holds the report's four.

    Returns:
        A model in training mode on the CPU.

    Raises:
        UserError: if timm does not know the encoder, or its weights cannot be had or do not fit.
    """
    from leadline.models.model import DepthModel

    return DepthModel(settings)
