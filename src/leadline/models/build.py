"""How settings become a network."""

from leadline.models.model import DepthModel
from leadline.models.settings import ModelSettings


def build_model(settings: ModelSettings) -> DepthModel:
    """Build a model; its encoder's weights are loaded as `settings.encoder.weights` says.

    Args:
        settings: what to build.

    Returns:
        A model in training mode on the CPU.

    Raises:
        LeadlineError: if timm does not know the encoder, or its weights cannot be had or do not fit.
    """
    return DepthModel(settings)
