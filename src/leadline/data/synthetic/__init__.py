"""Rendered rooms: drawn by chance (`layout`), met by rays (`raycast`), and shown (`shading`)."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
