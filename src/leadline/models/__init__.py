"""Networks in PyTorch: their parts, settings, checkpoints and faster forms."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
